"""Who may be mailed about what, since when, and how we know: ledger, permission, topics, suppressions."""
