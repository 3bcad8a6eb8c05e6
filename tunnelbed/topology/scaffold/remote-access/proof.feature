@scenario.$name
Feature: Laptops behind a NAT reach the office through tunnels of their own, with addresses that it lends them
  Every sentence that can stand here: `invoke phrases`.

  Scenario: Every laptop reaches the server through its tunnel, and is reached
    Then every laptop can reach the server through the tunnel
    And the server can reach every laptop through the tunnel
    And laptop 1 reaches the server and is seen there as laptop 1
    And laptop 1 receives the MTU for packets to the server

  Scenario: Nobody in the cafe or beyond it reads along
    When every laptop pings the server
    Then only IKE and ESP cross every ISP link
    And no private address is seen beyond a gateway

  Scenario: The office knows each laptop by its certificate
    Then every laptop has a tunnel with the gateway
    And the gateway has a tunnel with laptop 1
    And the gateway has a peer authenticated as "O=$name, CN=Laptop 1"
    And the tunnels of the gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384

  Scenario: A laptop speaks with the office only
    Then the cafe cannot reach laptop 1
    And laptop 1 cannot reach the cafe
    And the cafe cannot reach the server
$apart
  Scenario: Keys change while a laptop is at work
    When laptop 1 changes its ESP keys while laptop 1 pings the server
    Then no ping is lost

  Scenario: A tunnel that is lost comes back
    When the gateway ends its tunnels
    Then every laptop has a tunnel with the gateway within 10 s
    And every laptop can reach the server through the tunnel

  Scenario: A laptop is stolen
    When the certificate of laptop 1 is revoked
    And laptop 1 initiates a tunnel with the gateway
    Then the gateway refuses its peer: certificate revoked
    And laptop 1 cannot reach the server
    And the server cannot reach laptop 1
$others
  Scenario: The cafe passes itself off as the office
    When the cafe poses as the gateway
    Then laptop 1 refuses its peer: certificate of an unknown authority
    And laptop 1 cannot reach the server

  Scenario: A forged packet gets nowhere
    Then a plain packet forged as from laptop 1 and put on isp_link does not reach the server
