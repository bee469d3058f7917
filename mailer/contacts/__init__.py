"""People and companies we may write to, their own fields, and what they did outside our mails."""
