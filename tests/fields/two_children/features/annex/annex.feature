@scenario.annex
Feature: Two networks behind gateway B, one child each, of which the second is refused

  Scenario: The first child carries
    Then host A can reach host B through the tunnel

  Scenario: The second child is refused where a packet asks for it
    When host A pings printer B
    Then gateway A receives the notify NO_PROPOSAL_CHOSEN

  Scenario: And where the gateway asks for all of the tunnel
    When gateway A initiates a tunnel with gateway B
    Then the log of gateway A has "NO_PROPOSAL_CHOSEN"

  Scenario: So nothing gets there
    Then host A can reach printer B
