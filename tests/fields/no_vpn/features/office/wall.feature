@scenario.office
Feature: A firewall between two networks, and no VPN anywhere

  Scenario: From the desk
    Then the desk can reach the web on TCP port 80
    But the desk cannot reach the web on TCP port 22
    And the desk cannot reach the web

  Scenario: From the web
    Then the web cannot reach the desk
    And the firewall of the wall drops TCP port 22 from the web to the desk

  Scenario: What does not hold
    Then the desk can reach the web on TCP port 22

  Scenario: No tunnel
    Then the desk can reach the web on TCP port 80 through the tunnel
