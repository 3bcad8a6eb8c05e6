@scenario.twins
Feature: Two sites with the same addresses, which translate them for each other

  Scenario: Each knows the other by an address that is in no stack
    Then desk A can reach 172.31.2.2 through the tunnel
    And desk B can reach 172.31.1.2 through the tunnel

  Scenario: And is seen as one
    Then desk A reaches 172.31.2.2 and is seen there as 172.31.1.2

  Scenario: Not as itself
    Then desk A reaches 172.31.2.2 and is seen there as 172.26.0.2

  Scenario: It is not stopped
    Then desk A cannot reach 172.31.2.2
