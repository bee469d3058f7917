"""Opens and clicks: endpoint, spool, ingest, human or machine (RFC 9110: GET and HEAD change nothing)."""
