@scenario.kiosk
Feature: Only one service is in the tunnel, and proposals are written as most files have them

  Scenario: The service
    Then west has a tunnel with east within 10 s
    And the kiosk can reach the till on TCP port 8443 through the tunnel

  Scenario: What both agreed on
    Then west protects exactly 172.21.1.0/24[tcp] towards 172.21.2.0/24[tcp/8443]
    And the tunnels of every gateway use exactly IKE aes256-sha256-modp2048 and ESP aes256-sha256

  Scenario: With the PRF that both derive from it
    Then the tunnels of every gateway use exactly IKE aes256-sha256-prfsha256-modp2048 and ESP aes256-sha256

  Scenario: With another one
    Then the tunnels of every gateway use exactly IKE aes256-sha256-prfsha384-modp2048 and ESP aes256-sha256

  Scenario: A ping is not in the tunnel
    Then the kiosk can reach the till outside the tunnel

  Scenario: Or not at all
    Then the kiosk cannot reach the till

  Scenario: A node that is not there
    Then the kiosk Z can reach the till
