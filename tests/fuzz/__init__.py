"""Fuzzing of everything that reads hostile bytes: ``make fuzz FUZZ_RUNS=1000000``."""
