@scenario.site-to-site
Feature: The first hours, in which a tunnel changes its keys for the first time
  A tunnel may come up, carry everything, and end with its first keys.

  Background:
    Given every gateway sets "dpd_delay = 600s" in every connection
    And every client gets a pong from the server through the tunnel

  Scenario: Keys are changed before they end
    When 5 hours pass
    Then every gateway has changed its ESP keys at least 4 times
    And every gateway has changed its IKE keys at least 1 times
    And gateway A has a tunnel with gateway S
    And gateway B has a tunnel with gateway S
