@scenario.host-to-host
Feature: Every node keeps to its place, even when another line of defence is gone

  Scenario: A node may do what its part needs, and no more
    Then every client has exactly the capabilities NET_ADMIN and NET_RAW
    And the server has exactly the capabilities NET_ADMIN and NET_RAW
    And the router has exactly the capabilities NET_ADMIN and NET_RAW
    And the Internet has exactly the capabilities NET_ADMIN and NET_RAW
    And every gateway has exactly the capabilities NET_ADMIN, NET_RAW and NET_BIND_SERVICE

  Scenario: A node stands where the plan puts it
    Then every client of site A stands only in the intranet of site A
    And every client of site B stands only in the intranet of site B
    And the server stands only in the intranet of site S
    And gateway A stands only in the ISP link of site A and the intranet of site A
    And gateway B stands only in the ISP link of site B and the intranet of site B
    And gateway S stands only in the ISP link of site S and the intranet of site S
    And no two nodes have the same address

  Scenario: No router believes an address from the wrong side
    Then the router believes no packet from the Internet on any ISP link
    And gateway A believes no packet from client A1 on the ISP link of site A
    And gateway B believes no packet from client B1 on the ISP link of site B
    And gateway S believes no packet from the server on the ISP link of site S

  Scenario: The Internet knows no way to a private network
    When the Internet pings every client
    Then no ICMP crosses any ISP link
    When the Internet pings the server
    Then no ICMP crosses any ISP link
