@scenario.host-to-host
Feature: From gateway to gateway, what leaves a site is IKE and ESP
  On the links to the ISP nobody reads a request, learns an address from inside a site, or gets a packet in.

  Scenario: Only the tunnel crosses the ISP links
    When every client asks the server
    Then only IKE and ESP cross the ISP link of site A
    And only IKE and ESP cross the ISP link of site B
    And only IKE and ESP cross the ISP link of site S
    And ESP crosses every ISP link
    And the text of the request is never seen in clear on any ISP link
    And no private address is seen beyond a gateway

  Scenario: The server's own way to the Internet shows no private address
    When the server pings the Internet
    Then ICMP crosses the ISP link of site S
    And no private address is seen beyond a gateway

  Scenario: What a client sends elsewhere does not leave its site
    When every client pings the Internet
    Then no ICMP crosses any ISP link

  Scenario: A forged packet gets nowhere
    Then a plain packet forged as from gateway A and put on the ISP link of site S does not reach the server
    And a plain packet forged as from the Internet and put on the ISP link of site S does not reach the server
    And a plain packet forged as from gateway S and put on the ISP link of site A does not reach client A1
    And a plain request forged as from gateway A to gateway S on TCP port 8080 and put on the ISP link of site S does not reach the server
    And a plain request forged as from gateway B to gateway S on TCP port 8080 and put on the ISP link of site S does not reach the server
