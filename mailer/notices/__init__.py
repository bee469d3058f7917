"""Mails to staff, pulled from rows: nobody who makes a task waits for a mail about it."""
