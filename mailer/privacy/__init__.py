"""The rights of the person: export, erasure, retention, requests and incidents. It knows every table (GDPR)."""
