@scenario.host-to-host
Feature: After a fault the tunnels come back by themselves, and until then nothing is said in clear
  A peer that does not answer is given up after 2 s of silence and four tries, 0.5, 1, 2 and 4 s apart: some 10 s, and
  20 s on a busy machine. A site that starts anew need not be waited for, since it sets the tunnel up itself.

  Scenario: A site's gateway restarts
    When gateway A restarts
    Then every client of site A gets a pong from the server through the tunnel within 10 s

  Scenario: The daemon of a site's gateway is killed
    When charon is killed on gateway B
    And client B1 asks the server once
    Then no private address is seen beyond a gateway
    And every client of site B gets a pong from the server through the tunnel within 10 s

  Scenario: The router restarts
    When the router restarts
    Then every client gets a pong from the server through the tunnel within 10 s

  Scenario: A site's link goes down and comes back
    When the ISP link of site A goes down at gateway A
    And client A1 asks the server once
    Then no ESP crosses the ISP link of site A
    And no private address is seen beyond a gateway
    But client B1 gets a pong from the server through the tunnel
    And gateway S has no tunnel with gateway A within 20 s
    When the ISP link of site A comes back at gateway A
    Then every client of site A gets a pong from the server through the tunnel within 10 s

  Scenario: The cloud's link goes down and comes back
    When the ISP link of site S goes down at gateway S
    And client A1 asks the server once
    Then only IKE and ESP cross the ISP link of site A
    And no private address is seen beyond a gateway
    When the ISP link of site S comes back at gateway S
    Then every client gets a pong from the server through the tunnel within 10 s

  Scenario: The sites' gateways start while the cloud cannot be reached, and try until it can
    When the ISP link of site S goes down at gateway S
    And gateway A restarts
    And gateway B restarts
    Then the log of gateway A has "peer not responding, trying again" within 20 s
    And the log of gateway B has "peer not responding, trying again" within 20 s
    When the ISP link of site S comes back at gateway S
    Then every client gets a pong from the server through the tunnel within 10 s
