@scenario.ipv6
Feature: IPv6 tunnels on demand, with exactly the proposals agreed

  Scenario: The first request sets the tunnel up
    Given every gateway ends its tunnels
    Then gateway A has no tunnel
    When client A1 asks the server
    Then gateway A has a tunnel with gateway S
    And gateway S has a tunnel with gateway A
    But gateway B has no tunnel

  Scenario: IKEv2, AES-GCM and P-384, certificates of known gateways
    When every client asks the server
    Then the tunnels of every gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384
    And gateway A has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Cloud fc00:4300:aaec::aaec"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site A fc00:4300:aaea::aaea"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site B fc00:4300:aaeb::aaeb"

  Scenario: A tunnel covers a site and the cloud, no more
    When every client asks the server
    Then gateway A protects exactly fc00:4300:a::/64 towards fc00:4300:c::/64
    And gateway B protects exactly fc00:4300:b::/64 towards fc00:4300:c::/64
    And gateway S protects exactly fc00:4300:c::/64 towards fc00:4300:a::/64
    And gateway S protects exactly fc00:4300:c::/64 towards fc00:4300:b::/64
