@scenario.mill
Feature: Two sites with three children, the last one refused

  Scenario: Two children carry
    Then desk can reach loom through the tunnel
    And desk can reach scale through the tunnel
    And west protects exactly 172.20.1.0/24 towards 172.20.2.0/24
    And west protects exactly 172.20.1.0/24 towards 172.20.3.0/24

  Scenario: The third is refused where a packet asks for it
    When desk pings 172.20.4.5
    Then west receives the notify NO_PROPOSAL_CHOSEN

  Scenario: And where the gateway asks for all of the tunnel
    When west initiates a tunnel with east
    Then the log of west has "received NO_PROPOSAL_CHOSEN notify"

  Scenario: And what it was for does not go through
    Then desk can reach 172.20.4.5 through the tunnel

  Scenario: A host without a route back gets the request
    Then desk cannot reach safe

  Scenario: And answers nothing
    Then desk can reach safe through the tunnel

  Scenario: No ICMP error has the MTU
    Then desk receives the MTU for packets to loom

  Scenario: So that a long question does not get through
    Then desk gets a pong from loom to a question longer than a packet

  Scenario: A smaller MTU on the path lets small packets through
    When uplink silently drops packets larger than 1200 bytes
    Then desk can reach loom
    And desk gets a pong from loom

  Scenario: And no long question
    When uplink silently drops packets larger than 1200 bytes
    Then desk gets a pong from loom to a question longer than a packet

  Scenario: Both come back after a cut
    When uplink goes down at east
    Then west has no tunnel with east within 30 s
    When uplink comes back at east
    Then west has a tunnel with east within 30 s
    And loom can reach desk through the tunnel
    And scale can reach desk through the tunnel
