"""One question a file, one analyze() each; all on the snapshot."""
