@scenario.ipv6
Feature: Over IPv6, sites A and B reach the server in the cloud through their tunnels, and nothing else
  The clients still ask the address where the server stood before it moved to the cloud. Their gateway sends the request
  on to the cloud, through a tunnel that the first packet sets up.

  Scenario: Every client gets its answer through the tunnel
    Then every client of site A gets a pong from the server through the tunnel
    And every client of site B gets a pong from the server through the tunnel
    And client A1 can reach the server through the tunnel
    And client B2 can reach the server on TCP port 8080 through the tunnel

  Scenario: The server knows each client by its own address
    Then client A1 gets a pong from the server and is seen there as client A1
    And client B2 gets a pong from the server and is seen there as client B2

  Scenario: Devices have no business on the Internet
    Then the router can reach the Internet
    But every client cannot reach the Internet
    And every client cannot reach the Internet on TCP port 80
    And client A1 cannot reach the Internet on UDP port 53

  Scenario: Sites do not reach each other
    Then client A1 cannot reach client B1
    And client B2 cannot reach client A2
    And client A1 cannot reach client B1 on TCP port 8080
    But client A1 can reach client A2

  Scenario: The server offers its application and a ping, and nothing more
    Then client A1 cannot reach the server on TCP port 22
    And client B1 cannot reach the server on UDP port 8080
    And client A2 cannot reach the server on TCP port 8081

  Scenario: The server may use the Internet, behind its gateway
    Then the server reaches the Internet and is seen there as gateway S
    And the Internet cannot reach the server
    And the Internet cannot reach the server on TCP port 8080


  Scenario: There is no IPv4 anywhere
    Then no node has an IPv4 address on any network
