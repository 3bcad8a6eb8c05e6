@scenario.plainly
Feature: ESP whose cipher hides nothing (RFC 2410)

  Scenario: There is a tunnel
    Then bench A can reach bench B
    And west has a tunnel with east

  Scenario: It hides no ping
    Then bench A can reach bench B through the tunnel

  Scenario: It hides no connection
    Then bench A can reach bench B on TCP port 8080 through the tunnel

  Scenario: It hides no address
    When bench A pings bench B
    Then no private address is seen beyond a gateway
