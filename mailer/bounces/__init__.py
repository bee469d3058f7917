"""Reports that come back: bounces, complaints, unsubscribe mail (RFC 3464, RFC 5965, RFC 2369)."""
