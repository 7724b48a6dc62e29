"""The ways to open a target; independent of each other."""
