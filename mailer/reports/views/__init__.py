"""Pages that need several rooms: dashboard, contact, rates, campaign report."""
