@scenario.clinic
Feature: A road warrior that is lent an address of the office's LAN

  Scenario: It is in the LAN
    Then the nurse can reach the files through the tunnel
    And the files can reach the nurse through the tunnel
    And the nurse reaches the files and is seen there as the nurse

  Scenario: Its address stays inside
    When the nurse pings the files
    Then no private address is seen beyond a gateway
