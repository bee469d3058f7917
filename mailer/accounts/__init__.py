"""Staff who sign in, their roles and sessions, and the audit of what was done. People we write to: contacts/."""
