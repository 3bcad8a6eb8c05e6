@scenario.depots
Feature: A leased line beside the VPN, of which some traffic goes there in clear, and a second uplink that is idle

  Scenario: What goes by the tunnel
    Then meter A can reach till B through the tunnel

  Scenario: What goes by the leased line
    Then till A can reach till B outside the tunnel

  Scenario: Does not go by the tunnel
    Then till A can reach till B through the tunnel

  Scenario: A private address is seen
    When till A pings till B
    Then no private address is seen beyond a gateway

  Scenario: Nothing but the tunnel crosses the uplink
    When meter A pings till B
    Then only IKE and ESP cross uplink

  Scenario: Signs of life are no traffic
    When till A pings till B
    Then nothing crosses backup
