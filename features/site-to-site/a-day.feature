@scenario.site-to-site
Feature: A day later the tunnels are still there
  Hours pass for the gateways' daemons alone, in seconds. So many hours hold too many signs of life, asked for after 2 s
  of silence; here they are asked for after 10 minutes.

  Background:
    Given every gateway sets "dpd_delay = 600s" in every connection
    And every client gets a pong from the server through the tunnel

  Scenario: A day of changing keys
    When 24 hours pass while client A1 pings the server
    Then at most 2 pings are lost
    And every gateway has changed its ESP keys at least 22 times
    And every gateway has changed its IKE keys at least 5 times
    And every client gets a pong from the server through the tunnel
