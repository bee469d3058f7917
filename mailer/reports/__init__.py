"""Read-only figures and the contact's timeline: pages that need several rooms. Writes nothing."""
