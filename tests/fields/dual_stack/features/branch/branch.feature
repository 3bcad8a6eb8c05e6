@scenario.branch
Feature: One IP version in the tunnel, and the other beside it

  Scenario: IPv4
    Then desk A can reach desk B through the tunnel by IPv4

  Scenario: IPv6 goes in clear
    Then desk A can reach desk B outside the tunnel by IPv6

  Scenario: Not both
    Then desk A can reach desk B through the tunnel

  Scenario: Not IPv6
    Then desk A can reach desk B through the tunnel by IPv6
