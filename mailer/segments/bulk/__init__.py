"""Bulk tasks: what is done to every member of a segment, with progress, exactly once, undone where possible (S17)."""
