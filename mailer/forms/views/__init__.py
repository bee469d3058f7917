"""Pages of forms: hosted, framed and confirming ones for everybody, lists and the builder for staff."""
