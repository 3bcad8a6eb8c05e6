@scenario.shared
Feature: A node that would use this machine's own network
  Scenario: It is not brought up
    Then alone can reach guest
