@scenario.yard
Feature: Whatever a stack may name, a sentence can say

  Scenario: Who reaches whom
    Then the PC_02 can reach Core_Switch.Turku
    And Core_Switch.Turku can reach PC 02
    And the PC_02 has interfaces only in WAN_Carrier2
    And no node has an IPv4 address on any network
