@scenario.site-to-site
Feature: Every port of TCP and UDP was asked for
  Not those that somebody thought of: the first packet to each of them is sent, and looked for.

  Scenario: A client's packets go to the application and nowhere else, and each firewall sees to it
    Given every client can reach the server
    Then the firewall of gateway A drops every TCP and UDP port but TCP port 8080 from client A1 to the server
    And the firewall of gateway B drops every TCP and UDP port but TCP port 8080 from client B1 to the server

  Scenario: The server asks no client anything
    Given every client can reach the server
    Then the firewall of gateway S drops every TCP and UDP port from the server to client A1

  Scenario: A client reaches nobody on the Internet
    Then client A1 reaches the Internet on no TCP or UDP port

  Scenario: Nobody reaches a gateway itself
    Then the router reaches gateway A on no TCP or UDP port
    And the router reaches gateway B on no TCP or UDP port
    And the Internet reaches gateway S on no TCP or UDP port

  Scenario: A gateway itself reaches nobody
    Then gateway A reaches the Internet on no TCP or UDP port
    And gateway B reaches the Internet on no TCP or UDP port
    And gateway S reaches the Internet on no TCP or UDP port
