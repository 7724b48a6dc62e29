"""Frozen values that flow from the target to the views. Nothing in here does input or output."""
