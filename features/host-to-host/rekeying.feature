@scenario.host-to-host
Feature: The gateways' tunnels change their keys, and no client notices
  Nobody but the gateways has an address in a tunnel here, so what goes on meanwhile is the application itself.

  Background:
    Given every client gets a pong from the server through the tunnel

  Scenario Outline: New keys for what crosses the links
    When gateway <site> changes its ESP keys while client <site>1 asks the server
    Then no request is lost
    And ESP with new SPIs crosses the ISP link of site <site>
    And the new ESP keys come from a key exchange of their own, ecp384

    Examples:
      | site |
      | A    |
      | B    |

  Scenario Outline: New keys between the gateways themselves
    When gateway <site> changes its IKE keys while client <site>1 asks the server
    Then no request is lost
    And gateway <site> has a tunnel with gateway S
    And the tunnels of gateway <site> use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384

    Examples:
      | site |
      | A    |
      | B    |
