@scenario.tour
Feature: Road warriors with IPv6 left on, behind one NAT, who reach each other through their head office

  Scenario: They reach the office
    Then every tablet can reach the store through the tunnel
    And the store can reach tablet 2 through the tunnel

  Scenario: And each other
    Then tablet 1 can reach tablet 2 through the tunnel
    And tablet 2 reaches tablet 1 and is seen there as tablet 2

  Scenario: They are not stopped
    Then tablet 1 cannot reach tablet 2

  Scenario: Their own IPv6 is noticed
    Then every tablet has addresses only of the IP versions its stack gives

  Scenario: Only the tunnel crosses the uplink, in UDP
    When tablet 1 pings the store
    Then only IKE and ESP cross uplink
