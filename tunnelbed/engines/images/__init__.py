"""What nodes run: images built, root file systems, other processors."""
