"""Sendings, batches, messages and their states; the gate, MIME, SMTP, replies (RFC 5321, RFC 5322)."""
