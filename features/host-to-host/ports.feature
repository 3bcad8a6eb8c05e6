@scenario.host-to-host
Feature: Every port of TCP and UDP was asked for
  Not those that somebody thought of: the first packet to each of them is sent, and looked for.

  Scenario: The server asks no gateway of a site anything
    Then the firewall of gateway S drops every TCP and UDP port from the server to gateway A

  Scenario: A client asks the cloud's gateway nothing by its own address
    Then the firewall of gateway A drops every TCP and UDP port from client A1 to gateway S
    And the firewall of gateway B drops every TCP and UDP port from client B1 to gateway S

  Scenario: A client reaches nobody on the Internet
    Then client A1 reaches the Internet on no TCP or UDP port
    And client B1 reaches the Internet on no TCP or UDP port

  Scenario: Nobody reaches a gateway itself
    Then the router reaches gateway A on no TCP or UDP port
    And the router reaches gateway B on no TCP or UDP port
    And the Internet reaches gateway S on no TCP or UDP port

  Scenario: A gateway itself reaches nobody
    Then gateway A reaches the Internet on no TCP or UDP port
    And gateway B reaches the Internet on no TCP or UDP port
    And gateway S reaches the Internet on no TCP or UDP port
    And gateway A reaches client A1 on no TCP or UDP port
    And gateway B reaches client B1 on no TCP or UDP port
