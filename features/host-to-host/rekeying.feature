@scenario.host-to-host
Feature: The gateways' tunnels change their keys, and no client notices
  Nobody but the gateways has an address in a tunnel here, so what goes on meanwhile is the application itself.

  Background:
    Given client A1 gets a pong from the server through the tunnel

  Scenario: New keys for what crosses the links
    When gateway A changes its ESP keys while client A1 asks the server
    Then no request is lost
    And ESP with new numbers crosses the ISP link of site A
    And the new ESP keys come from a key exchange of their own, ecp384

  Scenario: New keys between the gateways themselves
    When gateway A changes its IKE keys while client A1 asks the server
    Then no request is lost
    And gateway A has a tunnel with gateway S
    And the tunnels of gateway A use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384
