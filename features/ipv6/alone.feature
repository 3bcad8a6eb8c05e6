@scenario.ipv6
Feature: Every node keeps to its place, even when another line of defence is gone

  Scenario: A node may do what its part needs, and no more
    Then every client has exactly the capabilities NET_ADMIN and NET_RAW
    And the server has exactly the capabilities NET_ADMIN and NET_RAW
    And the router has exactly the capabilities NET_ADMIN and NET_RAW
    And the Internet has exactly the capabilities NET_ADMIN and NET_RAW
    And every gateway has exactly the capabilities NET_ADMIN, NET_RAW and NET_BIND_SERVICE

  Scenario: A node stands where the plan puts it
    Then every client of site A has interfaces only in the intranet of site A
    And every client of site B has interfaces only in the intranet of site B
    And the server has interfaces only in the intranet of site S
    And gateway A has interfaces only in the ISP link of site A and the intranet of site A
    And gateway B has interfaces only in the ISP link of site B and the intranet of site B
    And gateway S has interfaces only in the ISP link of site S and the intranet of site S
    And no two nodes have the same address

  Scenario: No router believes an address from the wrong side
    Then the router accepts no packet from the Internet on any ISP link
    And gateway A accepts no packet from client A1 on the ISP link of site A
    And gateway B accepts no packet from client B1 on the ISP link of site B
    And gateway S accepts no packet from the server on the ISP link of site S

  Scenario: A gateway hears errors about what it sent, and about nothing else
    Given every client can reach the server
    Then the firewall of gateway A accepts an error from the router about its IKE with gateway S
    And the firewall of gateway B accepts an error from the router about its IKE with gateway S
    And the firewall of gateway S accepts an error from the router about its IKE with gateway A
    But the firewall of gateway A drops an error from the router about nothing that was sent
    And the firewall of gateway B drops an error from the router about nothing that was sent
    And the firewall of gateway S drops an error from the router about nothing that was sent

  Scenario: A gateway itself hears its peers only, and from them IKE and ESP
    Then the firewall of gateway A drops ICMP and TCP port 22 from client A1 to gateway A
    And the firewall of gateway B drops ICMP and TCP port 22 from client B1 to gateway B
    And the firewall of gateway S drops ICMP and TCP port 22 from the server to gateway S
    And the firewall of gateway A drops ICMP, UDP port 500 and ESP from the router to gateway A
    And the firewall of gateway B drops ICMP, UDP port 500 and ESP from the router to gateway B
    And the firewall of gateway S drops ICMP, UDP port 500 and ESP from the router to gateway S
    And the firewall of gateway A drops UDP port 53 from gateway S to gateway A
    And the firewall of gateway B drops UDP port 53 from gateway S to gateway B
    And the firewall of gateway S drops UDP port 53 from gateway A to gateway S

  Scenario: A gateway itself speaks to its peers only, and to them IKE and ESP
    Then every gateway cannot reach the Internet
    And the firewall of gateway A drops TCP port 80, UDP port 500 and ESP from gateway A to the router
    And the firewall of gateway B drops TCP port 80, UDP port 500 and ESP from gateway B to the router
    And the firewall of gateway S drops TCP port 80, UDP port 500 and ESP from gateway S to the router
    And the firewall of gateway A drops UDP port 53 from gateway A to gateway S
    And the firewall of gateway B drops UDP port 53 from gateway B to gateway S
    And the firewall of gateway S drops UDP port 53 from gateway S to gateway A

  Scenario: Each firewall decides by itself, whatever the other one would do
    Then the firewall of gateway B drops TCP port 22 and UDP port 8080 from client B1 to the server
    And the firewall of gateway A drops ICMP and TCP port 8080 from client A1 to a neighbour of the server
    And the firewall of gateway B drops ICMP and TCP port 8080 from client B1 to a neighbour of the server
    And the firewall of gateway S drops ICMP and TCP port 8080 from the server to client A1
    And the firewall of gateway S drops ICMP and TCP port 8080 from the server to client B1
    And the firewall of gateway S drops ICMP and TCP port 80 from a neighbour of the server to the Internet

  Scenario: The Internet knows no way to a private network
    When the Internet pings every client
    Then no ICMPv6 crosses any ISP link
    When the Internet pings the server
    Then no ICMPv6 crosses any ISP link

  Scenario: Who sends too much for the tunnel is told
    Given every client can reach the server
    Then client A1 receives the MTU for packets to the server
    And client B1 receives the MTU for packets to the server
    But client A1 receives no ICMP error about unsolicited answers to the server
    And client B1 receives no ICMP error about unsolicited answers to the server
    When client A1 pings the server
    Then the server receives the MTU for answers to client A1
    But the server receives no ICMP error about unsolicited answers to client A1

  Scenario: Who looks for the way finds it, through the tunnel, too
    Given every client can reach the server
    Then client A1 sees gateway A on its path to the server
    And client A1 sees gateway S on its path to the server
    And client B1 sees gateway S on its path to the server

  Scenario: The sites' gateways tell about answers to their clients, and about no others
    Given every client can reach the server
    When the firewall of gateway S accepts everything
    And client A1 pings the server
    Then the server sees gateway A on the path of its answer to client A1
    When client B1 pings the server
    Then the server sees gateway B on the path of its answer to client B1
    But the server does not see gateway A on the path of unsolicited answers to client A1
    And the server does not see gateway B on the path of unsolicited answers to client B1

  Scenario: The cloud's gateway tells about nothing that nobody asked for
    Given every client can reach the server
    When the firewall of gateway A accepts everything
    Then client A1 does not see gateway S on the path of unsolicited answers to the server

  Scenario Outline: A site whose gateway forgot its tunnel falls silent
    Given <client> can reach the server
    When <client> pings the server
    And <gateway> unloads its connections
    And a plain answer forged as from the server and put on <link> does not reach <client>
    And <client> pings the server
    Then no ICMPv6 crosses <link>

    Examples:
      | client    | gateway   | link                   |
      | client A1 | gateway A | the ISP link of site A |
      | client B1 | gateway B | the ISP link of site B |

  Scenario: The cloud, whose gateway forgot its tunnels, falls silent towards the sites
    Given client A1 can reach the server
    When client A1 pings the server
    And gateway S unloads its connections
    And the server answers the ping of client A1 again
    Then no ICMPv6 crosses the ISP link of site S
    When the server pings client A1
    Then no ICMPv6 crosses the ISP link of site S
    And a plain packet forged as from client A1 and put on the ISP link of site S does not reach the server
    But the server reaches the Internet and is seen there as gateway S

  Scenario Outline: A conversation that goes on starts the tunnel from the cloud, too
    Given <client> can reach the server
    When <client> pings the server
    And every gateway ends its tunnels
    And the server answers the ping of <client> again
    Then gateway S has a tunnel with <gateway> within 2 s

    Examples:
      | client    | gateway   |
      | client A1 | gateway A |
      | client B1 | gateway B |

  Scenario: The sites' gateways let only answers in, whatever the cloud's lets out
    Given every client can reach the server
    When the firewall of gateway S accepts everything
    Then the server cannot reach client A1
    And the server cannot reach client B1
    And the server cannot reach client B1 on TCP port 8080

  Scenario: The cloud's gateway lets only requests to the application in, whatever the sites' let out
    Given every client can reach the server
    When the firewall of gateway A accepts everything
    And the firewall of gateway B accepts everything
    Then client A1 cannot reach the server on TCP port 22
    And client B1 cannot reach the server on UDP port 8080
    And the firewall of gateway S drops TCP port 22, TCP port 443, UDP port 53 and UDP port 123 from client A1 to the server
    And the firewall of gateway S drops ICMP and TCP port 8080 from client A1 to a neighbour of the server
    But client A1 can reach the server on TCP port 8080 through the tunnel

  Scenario: A conversation does not outlive its tunnel in clear
    When every client asks the server
    And every gateway unloads its connections
    And every client sends its last packets again
    Then nothing crosses any ISP link
    When the server sends its last packets again
    Then nothing crosses any ISP link
