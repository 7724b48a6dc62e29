"""The panes: each makes, of a moment and a thread, what stands in it. Drawing is apart, and for visible lines alone."""
