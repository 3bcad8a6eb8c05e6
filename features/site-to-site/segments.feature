@scenario.site-to-site
Feature: Each network is a segment of its own

  Scenario: What is sent to all reaches all of the segment, and nobody else
    Then every interface has a MAC of its own
    And a broadcast by client A1 on intranet_a is seen by every node there and nobody else
    And an LLDP frame by client A1 on intranet_a is seen by every node there and nobody else
    And a broadcast by the router on any ISP link is seen by every node there and nobody else

  Scenario: Neighbours reach each other without their gateway
    Then client A1 can reach client A2 outside the tunnel
    And client B2 can reach client B1 outside the tunnel

  Scenario: Errors find their way back through the gateway
    Then the server receives an ICMP error that 198.51.100.1 is unreachable
