"""What people look at: drawings of a network, reports, and what is printed on a terminal."""
