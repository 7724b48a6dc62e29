"""Call frames from call frame information, signal frames included."""
