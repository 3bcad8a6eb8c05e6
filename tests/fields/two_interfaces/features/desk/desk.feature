@scenario.desk
Feature: A host with two interfaces, of which only one leads on

  Scenario: It reaches what is beyond the router
    Then box can reach screen
    And box reaches screen and is seen there as 172.25.6.13
    And box can reach printer

  Scenario: It is not stopped
    Then box cannot reach screen

  Scenario: An address that nobody has is not reached
    Then box cannot reach 172.25.7.99

  Scenario: Nor is it reachable
    Then box can reach 172.25.7.99
