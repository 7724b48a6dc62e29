"""What every backend offers: a Target to look at, memory to read, and a plan of what to capture."""
