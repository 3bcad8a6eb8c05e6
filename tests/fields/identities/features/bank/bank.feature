@scenario.bank
Feature: Who a hub is, and to whom

  Scenario: A name of the certificate
    Then west can reach the depot through the tunnel
    And west has a peer authenticated as "hub.bank.example"

  Scenario: A name that the certificate lacks
    Then south can reach the depot through the tunnel

  Scenario: Nor is it authenticated so
    Then south has a peer authenticated as "hub.shop.example"

  Scenario: A key that is for somebody else
    Then north can reach the depot through the tunnel

  Scenario: What is logged of it
    When north initiates a tunnel with the hub
    Then north receives the notify AUTHENTICATION_FAILED
    And the log of hub has "no shared key found"
