@scenario.host-to-host
Feature: Who is kept from whom

  Scenario: Nothing of a client's own leaves its site
    Then the firewall of gateway A drops ICMP, TCP port 80 and UDP port 53 from client A1 to the Internet
    And the firewall of gateway B drops ICMP and TCP port 80 from client B2 to the Internet

  Scenario: Gateways speak with their peers only
    Then the firewall of gateway A drops ICMP, UDP port 500 and UDP port 4500 from the router to gateway A
    And the firewall of gateway S drops UDP port 500 from the router to gateway S
    And the firewall of gateway S drops UDP port 500 from the Internet to gateway S

  Scenario: The host is no part of the testbed, nor the testbed of the host
    Then the host has no route into the testbed
    And the host's devices are not visible inside any node
    And every node has exactly its own networks

  Scenario: Nodes may do what their stack says, and nothing more
    Then every node has exactly the capabilities its stack gives
    And every gateway is unprivileged
    And every client is unprivileged
    And the router is unprivileged
