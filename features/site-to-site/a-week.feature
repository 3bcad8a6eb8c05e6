@scenario.site-to-site
Feature: A week later the tunnels are still there
  As long as most tunnels stay up at a stretch, and long enough for what happens once in a hundred changes of keys.

  Background:
    Given every gateway sets "dpd_delay = 1h" in every connection
    And every client gets a pong from the server through the tunnel

  Scenario: A week of changing keys
    When 7 days pass while client A1 pings the server
    Then at most 5 pings are lost
    And every gateway has changed its ESP keys at least 160 times
    And every gateway has changed its IKE keys at least 40 times
    And gateway A has a tunnel with gateway S
    And gateway B has a tunnel with gateway S
    And every client gets a pong from the server through the tunnel
