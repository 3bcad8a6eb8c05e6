@scenario.bench
Feature: A stack that uses what Compose has
  Scenario: Who reaches whom
    Then the PLC_7 can reach Core.Router
    And every dns can reach PLC 7
    And Core.Router has interfaces only in production_floor_south and default
    And PLC_7 has interfaces only in production_floor_south and dev
    And no two nodes have the same address
