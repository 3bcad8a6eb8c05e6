@scenario.ipv6
Feature: Tunnels change their keys, and nobody notices

  Background:
    Given client A1 gets a pong from the server through the tunnel

  Scenario Outline: New keys for what crosses the links
    When <gateway> changes its ESP keys while client A1 pings the server
    Then no ping is lost
    And ESP with new SPIs crosses the ISP link of site A
    And the new ESP keys come from a key exchange of their own, ecp384

    Examples:
      | gateway   |
      | gateway A |

  Scenario: New keys between the gateways themselves
    When gateway A changes its IKE keys while client A1 pings the server
    Then no ping is lost
    And gateway A has a tunnel with gateway S
    And the tunnels of gateway A use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16-ecp384
