@scenario.host-to-host
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

  Scenario: The Internet knows no way to a private network
    When the Internet pings every client
    Then no ICMP crosses any ISP link
    When the Internet pings the server
    Then no ICMP crosses any ISP link

  Scenario: A gateway itself hears its peers only
    Then the firewall of gateway A drops ICMP and TCP port 22 from client A1 to gateway A
    And the firewall of gateway B drops ICMP and TCP port 22 from client B1 to gateway B
    And the firewall of gateway S drops ICMP and TCP port 22 from the server to gateway S
    And the firewall of gateway A drops ICMP, UDP port 500 and ESP from the router to gateway A
    And the firewall of gateway B drops ICMP, UDP port 500 and ESP from the router to gateway B
    And the firewall of gateway S drops ICMP, UDP port 500 and ESP from the router to gateway S

  Scenario: A gateway itself speaks to its peers only
    Then every gateway cannot reach the Internet
    And gateway A cannot reach client A1
    And gateway B cannot reach client B1
    And the firewall of gateway A drops TCP port 80, UDP port 500 and ESP from gateway A to the router
    And the firewall of gateway B drops TCP port 80, UDP port 500 and ESP from gateway B to the router
    And the firewall of gateway S drops TCP port 80, UDP port 500 and ESP from gateway S to the router
    And the firewall of gateway A drops UDP port 53 from gateway A to gateway S
    And the firewall of gateway B drops UDP port 53 from gateway B to gateway S
    And the firewall of gateway S drops UDP port 53 from gateway S to gateway A

  Scenario: Each firewall decides by itself, whatever the other one would do
    Then the firewall of gateway A drops ICMP, TCP port 22 and TCP port 8080 from every client of site A to gateway S
    And the firewall of gateway B drops ICMP, TCP port 22 and TCP port 8080 from every client of site B to gateway S
    And the firewall of gateway S drops ICMP and TCP port 8080 from the server to gateway A
    And the firewall of gateway S drops ICMP and TCP port 8080 from the server to gateway B
    And the firewall of gateway S drops ICMP and TCP port 80 from a neighbour of the server to the Internet

  Scenario: The cloud's gateway hands on requests to the application, whatever else the sites' let out
    When the firewall of gateway A accepts everything
    And the firewall of gateway B accepts everything
    Then client A1 cannot reach gateway S on TCP port 22
    And client B1 cannot reach gateway S on TCP port 22

  Scenario: Without a tunnel nobody's request is handed on
    When gateway S unloads its connections
    Then gateway A does not redirect TCP port 8080 from client A1 to 10.1.0.99
    And gateway B does not redirect TCP port 8080 from client B1 to 10.1.0.99
    And gateway S does not redirect TCP port 8080 from gateway A to 172.30.30.30
    And gateway S does not redirect TCP port 8080 from gateway B to 172.30.30.30

  Scenario: A conversation does not outlive its tunnel in clear
    When every client asks the server
    And every gateway unloads its connections
    And every client sends its last packets again
    Then nothing crosses any ISP link
    When the server sends its last packets again
    Then nothing crosses any ISP link

  Scenario: The cloud's gateway takes nothing in clear for a part of a conversation
    When every client asks the server
    And every gateway unloads its connections
    And the firewall of gateway A accepts everything
    And the firewall of gateway B accepts everything
    And every client sends its last packets again
    Then TCP port 8080 crosses the ISP link of site S
    But nothing crosses the intranet of site S

  Scenario: A site's gateway takes nothing in clear for a part of a conversation
    When every client asks the server
    And every gateway unloads its connections
    And the firewall of gateway S accepts everything
    And the server sends its last packets again
    Then nothing crosses the intranet of site A
    And nothing crosses the intranet of site B
