@scenario.$name
Feature: Two sites reach each other through their tunnel, and nobody reads along
  Every sentence that can stand here: `invoke phrases`.

  Scenario: The hosts reach each other through the tunnel
    Then host A can reach host B through the tunnel
    And host B can reach host A through the tunnel
    And host A receives the MTU for packets to host B

  Scenario: Only the tunnel crosses the link
    When host A pings host B
    Then only IKE and ESP cross the ISP link
    And no private address is seen beyond a gateway

  Scenario: The first packet sets the tunnel up, with the proposals agreed
    Given every gateway ends its tunnels
    Then gateway A has no tunnel
    When host A pings host B
    Then gateway A has a tunnel with gateway B within 2 s
    And the tunnels of every gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384

  Scenario: A forged packet gets nowhere
    Then a plain packet forged as from host A and put on isp_link does not reach host B
