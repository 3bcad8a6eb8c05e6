"""Every verdict: who reaches whom, what can be read, what a firewall and a tunnel do."""
