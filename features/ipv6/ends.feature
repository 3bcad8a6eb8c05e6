@scenario.ipv6
Feature: What ends after hours, ends as configured, and nothing is said in clear meanwhile
  Hours pass for the gateways' daemons alone, in seconds; signs of life are asked for after 10 minutes of silence, not
  after 2 s.

  Background:
    Given every gateway sets "dpd_delay = 600s" in every connection

  Scenario: A site's certificate expires
    Given every gateway sets "reauth_time = 3h" in every connection
    And gateway A presents a certificate that expires after 2 hours
    And every client gets a pong from the server through the tunnel
    When 100 minutes pass while client A1 pings the server
    Then at most 2 pings are lost
    And gateway A has a tunnel with gateway S
    When 2 hours pass
    And client A1 asks the server once
    Then gateway S refuses its peer: certificate expired
    And gateway A has no tunnel
    And no ESP crosses the ISP link of site A
    And no private address is seen beyond a gateway
    But client B1 gets a pong from the server through the tunnel

  Scenario Outline: Both ends ask for new <layer> keys at once
    Given client A1 gets a pong from the server through the tunnel
    When gateway A and gateway S change their <layer> keys at once while client A1 pings the server
    Then no ping is lost
    And gateway A has exactly one tunnel with gateway S
    And gateway S has exactly one tunnel with gateway A
    And client A1 gets a pong from the server through the tunnel

    Examples:
      | layer |
      | ESP   |
      | IKE   |
