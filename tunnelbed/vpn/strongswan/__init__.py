"""strongSwan: its files, its daemon charon, what its logs say."""
