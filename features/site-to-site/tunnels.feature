@scenario.site-to-site
Feature: Tunnels on demand, with exactly the proposals agreed

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
    And gateway A has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Cloud 172.28.28.28"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site A 172.26.26.26"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site B 172.27.27.27"

  Scenario: A tunnel covers a site and the cloud, no more
    When every client asks the server
    Then gateway A protects exactly 10.1.0.0/16 towards 10.3.0.0/16
    And gateway B protects exactly 10.2.0.0/16 towards 10.3.0.0/16
    And gateway S protects exactly 10.3.0.0/16 towards 10.1.0.0/16
    And gateway S protects exactly 10.3.0.0/16 towards 10.2.0.0/16
