@scenario.host-to-host
Feature: Three sites with the same addresses reach one server, from gateway to gateway
  Every site uses 10.1.0.0/16, so the tunnels know the gateways alone. A client asks the address where the server stood
  before it moved; its gateway asks the cloud's gateway, which hands each site's requests to that site's server.

  Scenario: Every client gets its answer through the tunnel
    Then every client of site A gets a pong from the server through the tunnel
    And every client of site B gets a pong from the server through the tunnel

  Scenario: What takes several packets fits the tunnel, too
    Then client A1 gets a pong from the server to a question longer than a packet
    And client B1 gets a pong from the server to a question longer than a packet

  Scenario Outline: The server knows the gateway, not who is behind it
    Then <client> gets a pong from the server and is seen there as <gateway>

    Examples:
      | client    | gateway   |
      | client A1 | gateway A |
      | client A2 | gateway A |
      | client B1 | gateway B |
      | client B2 | gateway B |

  Scenario: Each site has a server of its own
    When every client of site A asks the server
    Then TCP port 30000 crosses cloud_network_s
    But no TCP port 30001 crosses cloud_network_s
    When every client of site B asks the server
    Then TCP port 30001 crosses cloud_network_s
    But no TCP port 30000 crosses cloud_network_s

  Scenario Outline: Each site has a server of its own, and if site <site>'s tunnel came up last
    When gateway <site> initiates a tunnel with gateway S
    Then client A1 gets a pong from the server through the tunnel
    And client B1 gets a pong from the server through the tunnel

    Examples:
      | site |
      | A    |
      | B    |

  Scenario: Devices have no business on the Internet
    Then the router can reach the Internet
    But every client cannot reach the Internet
    And every client cannot reach the Internet on TCP port 80
    And client A1 cannot reach the Internet on UDP port 53

  Scenario: The tunnel is for the application, asked at its old address
    Then client A1 cannot reach gateway S
    And client A1 cannot reach gateway S on TCP port 8080
    And client B1 cannot reach gateway S on TCP port 30001
    And client A1 cannot reach gateway B on TCP port 8080
    But client A1 can reach client A2

  Scenario: The server may use the Internet, behind its gateway
    Then the server reaches the Internet and is seen there as gateway S
    And the Internet cannot reach the server
    And the Internet cannot reach the server on TCP port 30000
    And the Internet cannot reach gateway S on TCP port 8080
