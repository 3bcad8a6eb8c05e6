@scenario.host-to-host
Feature: Packets that an attacker puts on a link get no further than the gateway

  Scenario Outline: Recorded ESP is worth nothing the second time
    When ESP from <sender> to <receiver> is recorded and sent again
    Then <receiver> drops it as a replay
    And nothing crosses any intranet

    Examples:
      | sender    | receiver  |
      | gateway A | gateway S |
      | gateway S | gateway B |

  Scenario: Who knows a tunnel's number has not its key
    When ESP from gateway A to gateway S is forged for their tunnel
    Then gateway S drops it as a forgery
    And nothing crosses any intranet

  Scenario: ESP for a tunnel that does not exist
    When ESP from gateway S to gateway A is forged for no tunnel
    Then gateway A drops it as of no tunnel
    And nothing crosses any intranet

  Scenario: The tunnel is none the worse
    When ESP from gateway A to gateway S is forged for their tunnel
    Then client A1 gets a pong from the server through the tunnel
