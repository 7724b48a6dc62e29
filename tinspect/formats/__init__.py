"""Bytes to frozen values: pure parsers without input or output, hostile-proof and fuzzed."""
