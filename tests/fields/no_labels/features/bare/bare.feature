@scenario.bare
Feature: Two sites without any label, whose gateways use their tunnel themselves, too

  Scenario: Host to host
    Then ann can reach bob through the tunnel

  Scenario: The gateway itself
    Then west can reach bob through the tunnel
    And bob can reach 172.24.1.1 through the tunnel

  Scenario: It is not stopped
    Then west cannot reach bob

  Scenario: Behind the same gateway
    Then ann can reach amy outside the tunnel

  Scenario: Where no tunnel is
    Then ann can reach amy through the tunnel

  Scenario: Between the gateways themselves
    Then west can reach 198.51.100.2 through the tunnel
