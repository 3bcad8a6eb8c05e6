@scenario.host-to-host
Feature: A day later the tunnels are still there
  Nobody but the gateways has an address in a tunnel here, so what goes on meanwhile is the application itself. Signs of
  life are asked for after 10 minutes of silence, not after 2 s.

  Background:
    Given every gateway sets "dpd_delay = 600s" in every connection
    And every client gets a pong from the server through the tunnel

  Scenario: A day of changing keys
    When 24 hours pass while client A1 asks the server
    Then no request is lost
    And every gateway has changed its ESP keys at least 22 times
    And every gateway has changed its IKE keys at least 5 times
    And gateway A has exactly one tunnel with gateway S
    And every client gets a pong from the server through the tunnel
