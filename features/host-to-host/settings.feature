@scenario.host-to-host
Feature: Kernels, routes and timers are set as planned
  Some of it changes nothing for hours, or only once something else has failed.

  Scenario: Whatever is not on its own networks, a node sends to one neighbour
    Then every client of site A has no route beyond its own networks but a default route by gateway A
    And every client of site B has no route beyond its own networks but a default route by gateway B
    And the server has no route beyond its own networks but a default route by gateway S
    And every gateway has no route beyond its own networks but a default route by the router
    And the Internet has no route beyond its own networks but a default route by the router
    And the router has no route beyond its own networks

  Scenario: IPv6 is off everywhere
    Then no node has an IPv6 address on any network

  Scenario Outline: Who forwards packets heeds only addresses, and believes them where they belong: <sysctl>
    Then every gateway has <sysctl> = <value>
    And the router has <sysctl> = <value>

    Examples:
      | sysctl                                    | value |
      | net.ipv4.ip_forward                       | 1     |
      | net.ipv4.conf.all.rp_filter               | 1     |
      | net.ipv4.conf.default.rp_filter           | 1     |
      | net.ipv4.conf.all.accept_redirects        | 0     |
      | net.ipv4.conf.default.accept_redirects    | 0     |
      | net.ipv4.conf.all.send_redirects          | 0     |
      | net.ipv4.conf.default.send_redirects      | 0     |
      | net.ipv4.conf.all.accept_source_route     | 0     |
      | net.ipv4.conf.default.accept_source_route | 0     |

  Scenario: A packet's mark counts when its source is judged
    Then every gateway has net.ipv4.conf.all.src_valid_mark = 1

  Scenario: Who is no router forwards nothing
    Then every client has net.ipv4.ip_forward = 0
    And the server has net.ipv4.ip_forward = 0
    And the Internet has net.ipv4.ip_forward = 0

  Scenario: Keys are changed in time, and a peer that is gone is noticed
    Then every gateway changes its IKE keys after 14400 s
    And every gateway changes its ESP keys after 3600 s
    And every gateway asks a silent peer for a sign of life after 2 s

  Scenario: A tunnel that has ended is set up again, or not
    Then gateway A sets a tunnel up again at once where its peer is dead
    And gateway A sets a tunnel up again at once where its peer closes it
    And gateway B sets a tunnel up again at once where its peer is dead
    And gateway B sets a tunnel up again at once where its peer closes it
    And gateway S sets a tunnel up again never where its peer is dead
    And gateway S sets a tunnel up again never where its peer closes it
