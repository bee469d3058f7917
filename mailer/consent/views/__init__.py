"""Pages of consent: topics and suppressions for staff, unsubscribe and preferences for everybody."""
