"""Which module, which function, which line an address belongs to."""
