"""What nodes see: frames recorded, packets read, probes sent, the firewall's trace, logs."""
