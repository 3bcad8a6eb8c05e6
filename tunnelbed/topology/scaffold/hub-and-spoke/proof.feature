@scenario.$name
Feature: Every site reaches the server in the cloud through its own tunnel, and no other site
  Every sentence that can stand here: `invoke phrases`.

  Scenario: Every site reaches the server through its tunnel
    Then every client can reach the server through the tunnel
    And every client gets a pong from the server through the tunnel

  Scenario: The cloud has a tunnel with every site, with the proposals agreed
$tunnels
    And the tunnels of every gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384

  Scenario: Only tunnels cross the links
    When every client asks the server
    Then only IKE and ESP cross every ISP link
    And no private address is seen beyond a gateway
$apart
  Scenario: A forged packet gets nowhere
    Then a plain packet forged as from client 1 and put on isp_link_s does not reach the server
