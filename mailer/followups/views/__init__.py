"""Pages of follow-up tasks."""
