"""strongSwan: its files, its daemon charon, what its logs say, what its packets look like."""

from tunnelbed.vpn.strongswan.seam import StrongSwan

VPN = StrongSwan()
