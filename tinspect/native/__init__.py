"""The C side: `_inspect` (stops, reads and scans a target) and `_scope` (the scoped-thread runtime).

Both are abi3 extension modules that import nothing of tinspect; their contracts are in the .pyi files beside this one.
"""
