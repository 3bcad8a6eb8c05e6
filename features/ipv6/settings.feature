@scenario.ipv6
Feature: Kernels, routes and timers are set as planned
  Some of it changes nothing for hours, or only once something else has failed.

  Scenario: Whatever is not on its own networks, a node sends to one neighbour
    Then every client of site A has no route beyond its own networks but a default route by gateway A
    And every client of site B has no route beyond its own networks but a default route by gateway B
    And the server has no route beyond its own networks but a default route by gateway S
    And every gateway has no route beyond its own networks but a default route by the router
    And the Internet has no route beyond its own networks but a default route by the router
    And the router has no route beyond its own networks

  Scenario Outline: Who forwards packets heeds only addresses: <sysctl>
    Then every gateway has <sysctl> = <value>
    And the router has <sysctl> = <value>

    Examples:
      | sysctl                                    | value |
      | net.ipv4.ip_forward                       | 0     |
      | net.ipv6.conf.all.disable_ipv6            | 0     |
      | net.ipv6.conf.default.disable_ipv6        | 0     |
      | net.ipv6.conf.all.forwarding              | 1     |
      | net.ipv6.conf.default.forwarding          | 1     |
      | net.ipv6.conf.default.accept_dad          | 0     |
      | net.ipv6.conf.default.accept_ra           | 0     |
      | net.ipv6.conf.default.accept_redirects    | 0     |
      | net.ipv6.conf.all.accept_source_route     | -1    |
      | net.ipv6.conf.default.accept_source_route | -1    |

  Scenario Outline: Who is no router has the addresses it was given: <sysctl>
    Then every client has <sysctl> = <value>
    And the server has <sysctl> = <value>
    And the Internet has <sysctl> = <value>

    Examples:
      | sysctl                                 | value |
      | net.ipv6.conf.all.disable_ipv6         | 0     |
      | net.ipv6.conf.default.disable_ipv6     | 0     |
      | net.ipv6.conf.all.forwarding           | 0     |
      | net.ipv6.conf.default.accept_dad       | 0     |
      | net.ipv6.conf.default.accept_ra        | 0     |
      | net.ipv6.conf.default.accept_redirects | 0     |

  Scenario: Keys are changed in time, and a peer that is gone is noticed
    Then every gateway changes its IKE keys after 14400 s
    And every gateway changes its ESP keys after 3600 s
    And every gateway asks a silent peer for a sign of life after 2 s

  Scenario: A tunnel that has ended is set up again, or not
    Then gateway A sets a tunnel up again on demand where its peer is dead
    And gateway A sets a tunnel up again on demand where its peer closes it
    And gateway B sets a tunnel up again on demand where its peer is dead
    And gateway B sets a tunnel up again on demand where its peer closes it
    And gateway S sets a tunnel up again on demand where its peer is dead
    And gateway S sets a tunnel up again never where its peer closes it
