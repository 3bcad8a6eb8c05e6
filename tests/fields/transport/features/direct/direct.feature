@scenario.direct
Feature: ESP in transport mode

  Scenario: Between the gateways
    Then west can reach east through the tunnel
    And west has a tunnel with east within 5 s
