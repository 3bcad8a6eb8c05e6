@scenario.ipv6
Feature: Who is kept from whom

  Scenario: The firewall of a site lets its clients' requests into the tunnel, and nothing else out
    Then the firewall of gateway A accepts ICMP and TCP port 8080 from client A1 to the server
    But the firewall of gateway A drops TCP port 22 and UDP port 8080 from client A1 to the server
    And the firewall of gateway A drops ICMP, TCP port 80 and UDP port 53 from client A1 to the Internet
    And the firewall of gateway A drops ICMP and TCP port 22 from client A1 to gateway A

  Scenario: Gateways speak with their peers only
    Then the firewall of gateway A drops ICMP, UDP port 500 and UDP port 4500 from the router to gateway A
    And the firewall of gateway S drops UDP port 500 from the router to gateway S
    And the firewall of gateway S drops UDP port 500 from the Internet to gateway S

  Scenario: The server may use the Internet, and nobody there the server
    Then the firewall of gateway S accepts ICMP and TCP port 80 from the server to the Internet
    But the firewall of gateway S drops ICMP and TCP port 8080 from the Internet to gateway S

  Scenario: Sites are isolated from each other
    Then client A1 is isolated from client B1
    And client B2 is isolated from client A2

  Scenario: The host is no part of the testbed, nor the testbed of the host
    Then the host has no route into the testbed
    And the host's devices are not visible inside any node
    And every node has exactly its own networks

  Scenario: Nodes may do what their stack says, and nothing more
    Then every node has exactly the capabilities its stack gives
    And every node is unprivileged
