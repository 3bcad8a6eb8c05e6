"""strongSwan: its files, its daemon charon, the lines of its logs, and its packets."""

from tunnelbed.vpn.strongswan.seam import StrongSwan

VPN = StrongSwan()
