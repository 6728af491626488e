"""What is wrong with this host's network, why it matters, and the command that mends it. Reads only."""
