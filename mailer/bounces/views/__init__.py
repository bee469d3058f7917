"""Pages of what came back, and the doors that providers call."""
