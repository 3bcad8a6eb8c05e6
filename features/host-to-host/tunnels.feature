@scenario.host-to-host
Feature: Tunnels between gateways, from the start, with exactly the proposals agreed

  Scenario: Both sites' tunnels are up without anybody asking
    Then gateway A has a tunnel with gateway S within 5 s
    And gateway B has a tunnel with gateway S within 5 s
    And gateway S has a tunnel with gateway A
    And gateway S has a tunnel with gateway B

  Scenario: IKEv2, AES-GCM and P-384, certificates of known gateways
    Then the tunnels of every gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384
    And gateway A has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Cloud 172.30.30.30"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site A 172.16.16.16"
    And gateway S has a peer authenticated as "C=FI, O=CSE4300, CN=CSE4300 Site B 172.18.18.18"

  Scenario: A tunnel covers two gateways, no more
    Then gateway A protects exactly 172.16.16.16/32 towards 172.30.30.30/32
    And gateway B protects exactly 172.18.18.18/32 towards 172.30.30.30/32
    And gateway S protects exactly 172.30.30.30/32 towards 172.16.16.16/32
    And gateway S protects exactly 172.30.30.30/32 towards 172.18.18.18/32
