"""What both sides of Kithbook must agree on: formats, checks and rules, with no I/O."""
