@scenario.site-to-site
Feature: What ends after hours, ends as configured, and nothing is said in clear meanwhile
  Certificates, CRLs, dead peers, and requests for new keys by both ends at once. Hours pass for the gateways' daemons
  alone, in seconds; signs of life are asked for after 10 minutes of silence, not after 2 s.

  Background:
    Given every gateway sets "dpd_delay = 600s" in every connection

  # A ping that crosses the peer's last message of the exchange comes with keys that its receiver does not have yet.
  Scenario: A day of reauthentication, every 3 hours
    Given every gateway sets "reauth_time = 3h" in every connection
    And every client gets a pong from the server through the tunnel
    When 24 hours pass while client A1 pings the server
    Then at most 20 pings are lost
    And every gateway has authenticated its peers at least 7 times
    And gateway A has exactly one tunnel with gateway S
    And gateway S has exactly one tunnel with gateway A
    And every client gets a pong from the server through the tunnel

  Scenario: A site's certificate expires
    Given every gateway sets "reauth_time = 3h" in every connection
    And gateway A presents a certificate that expires after 2 hours
    And every client gets a pong from the server through the tunnel
    When 100 minutes pass while client A1 pings the server
    Then at most 2 pings are lost
    And gateway A has a tunnel with gateway S
    When 2 hours pass
    And client A1 asks the server once
    Then gateway S refuses its peer: certificate expired
    And gateway A has no tunnel
    And no ESP crosses the ISP link of site A
    And no private address is seen beyond a gateway
    But client B1 gets a pong from the server through the tunnel

  Scenario: The cloud's CRLs expire, and it gets no new ones
    Given every gateway sets "reauth_time = 3h" in every connection
    And gateway S has CRLs that expire after 2 hours
    And every client gets a pong from the server through the tunnel
    When 100 minutes pass while client B1 pings the server
    Then at most 2 pings are lost
    And gateway S has a tunnel with gateway B
    When 2 hours pass
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway S refuses its peer: certificate not known to be good
    And every gateway has no tunnel
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario: The cloud's CRLs expire, and it gets new ones before
    Given every gateway sets "reauth_time = 3h" in every connection
    And gateway S has CRLs that expire after 2 hours
    When 100 minutes pass
    And gateway S has CRLs that expire after 24 hours
    And every client gets a pong from the server through the tunnel
    When 4 hours pass while client A1 pings the server
    Then at most 5 pings are lost
    And every gateway has authenticated its peers at least 1 times
    And every client gets a pong from the server through the tunnel

  Scenario: A peer is lost after hours of silence
    Given every client gets a pong from the server through the tunnel
    When 3 hours pass
    Then gateway S has a tunnel with gateway A
    When the ISP link of site A goes down at gateway A
    And 1 hours pass
    Then gateway S has no tunnel with gateway A
    And gateway A has no tunnel
    But client B1 gets a pong from the server through the tunnel
    When the ISP link of site A comes back at gateway A
    Then every client of site A gets a pong from the server through the tunnel within 10 s

  Scenario: A peer's daemon dies after hours of silence, and tells nobody
    Given every client gets a pong from the server through the tunnel
    When 3 hours pass
    And charon is killed on gateway A
    And 1 hours pass
    Then gateway S has no tunnel with gateway A
    When client A1 asks the server
    Then no private address is seen beyond a gateway
    And every client gets a pong from the server through the tunnel

  Scenario Outline: Both ends ask for new <layer> keys at once
    Given client A1 gets a pong from the server through the tunnel
    When gateway A and gateway S change their <layer> keys at once while client A1 pings the server
    Then no ping is lost
    And gateway A has exactly one tunnel with gateway S
    And gateway S has exactly one tunnel with gateway A
    And client A1 gets a pong from the server through the tunnel

    Examples:
      | layer |
      | ESP   |
      | IKE   |

  Scenario: Hours in which both ends change all keys at the same times
    Given every gateway sets "rekey_time = 50m" in every connection
    And every gateway sets "rand_time = 0s" in every connection
    And every gateway sets "rekey_time = 20m" in every child
    And every gateway sets "rand_time = 0s" in every child
    And every client gets a pong from the server through the tunnel
    When 4 hours pass while client A1 pings the server
    Then at most 2 pings are lost
    And every gateway has changed its ESP keys at least 10 times
    And every gateway has changed its IKE keys at least 4 times
    And gateway A has exactly one tunnel with gateway S
    And gateway S has exactly one tunnel with gateway A
