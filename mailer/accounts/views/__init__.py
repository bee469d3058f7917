"""Pages of accounts: signing in, one's own account, staff, settings, sender profiles, audit."""
