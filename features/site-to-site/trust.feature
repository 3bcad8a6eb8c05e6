@scenario.site-to-site
Feature: A gateway speaks only with the peer it knows, as well protected as agreed
  Whoever cannot prove who it is gets no tunnel; what a client has to say is then said to nobody.

  Background:
    Given every gateway ends its tunnels

  Scenario: A site's certificate was revoked
    When the certificate of gateway A is revoked
    And client A1 asks the server once
    Then gateway S refuses its peer: certificate revoked
    And gateway A receives the notify AUTHENTICATION_FAILED
    And gateway A has no tunnel
    And only IKE cross the ISP link of site A
    And no private address is seen beyond a gateway
    But client B1 gets a pong from the server through the tunnel

  Scenario: The cloud's certificate was revoked
    When the certificate of gateway S is revoked
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway A refuses its peer: certificate revoked
    And gateway B refuses its peer: certificate revoked
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario: The cloud has no list of revoked certificates
    When gateway S has no CRL
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway S refuses its peer: certificate not known to be good
    And gateway A receives the notify AUTHENTICATION_FAILED
    And gateway B receives the notify AUTHENTICATION_FAILED
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario: The sites have no list of revoked certificates
    When gateway A has no CRL
    And gateway B has no CRL
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway A refuses its peer: certificate not known to be good
    And gateway B refuses its peer: certificate not known to be good
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario Outline: <Whose> certificate does not prove who it is
    When <gateway> presents <certificate>
    And client A1 asks the server once
    Then <other> refuses its peer: <reason>
    And gateway A has no tunnel
    And only IKE cross the ISP link of site A
    And no private address is seen beyond a gateway

    Examples:
      | Whose       | gateway   | other     | certificate                          | reason                              |
      | A site's    | gateway A | gateway S | an expired certificate               | certificate expired                 |
      | A site's    | gateway A | gateway S | a certificate of another authority   | certificate of an unknown authority |
      | The cloud's | gateway S | gateway A | an expired certificate               | certificate expired                 |
      | The cloud's | gateway S | gateway A | a certificate of another authority   | certificate of an unknown authority |

  Scenario: Each site comes in the other's name
    When gateway A presents a valid certificate of gateway B
    And gateway B presents a valid certificate of gateway A
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway S refuses its peer: identity unknown
    And gateway A has no tunnel
    And gateway B has no tunnel
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario: The cloud comes in a site's name
    When gateway S presents a valid certificate of gateway B
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway A has no tunnel
    And gateway B has no tunnel
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

  Scenario Outline: The sites offer weak <layer> only
    When gateway A offers only <layer> <proposal>
    And gateway B offers only <layer> <proposal>
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway S refuses its peer: no common proposal
    And gateway A receives the notify NO_PROPOSAL_CHOSEN
    And gateway B receives the notify NO_PROPOSAL_CHOSEN
    And every gateway has no tunnel
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

    Examples:
      | layer | proposal             |
      | IKE   | aes128-sha256-ecp256 |
      | ESP   | aes128-sha256        |

  Scenario Outline: The cloud takes weak <layer> only
    When gateway S offers only <layer> <proposal>
    And client A1 asks the server once
    And client B1 asks the server once
    Then gateway S refuses its peer: no common proposal
    And every gateway has no tunnel
    And no ESP crosses any ISP link
    And no private address is seen beyond a gateway

    Examples:
      | layer | proposal             |
      | IKE   | aes128-sha256-ecp256 |
      | ESP   | aes128-sha256        |

  Scenario: A stranger between the sites takes the cloud's place
    When the router poses as gateway S
    And client A1 asks the server once
    Then gateway A refuses its peer: certificate of an unknown authority
    And gateway A has no tunnel
    And only IKE cross the ISP link of site A
    And no private address is seen beyond a gateway

  Scenario: A stranger between the sites asks for a tunnel in the cloud's name
    When the router poses as gateway S
    And the router initiates a tunnel with gateway A
    Then gateway A refuses its peer: certificate of an unknown authority
    And gateway A has no tunnel
    And only IKE cross the ISP link of site A
    And nothing crosses the intranet of site A
