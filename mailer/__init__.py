"""Email marketing and campaign automation: each recipient is a ledger row, exactly once or known."""
