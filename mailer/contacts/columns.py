"""Names of columns in bulk. Nothing is imported here, so that a process that only checks rows starts quickly."""

PLAIN_COLUMNS = ("first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category")

STAGE_COLUMNS = (
    "n", "ledger_id", "public_id", "email_hash", "owner_id", "email", "domain", "provider", *PLAIN_COLUMNS,
    "company", "data",
)  # fmt: skip
"""Columns of `stage_row` (bulk.py): an attached file on SQLite, a temporary table on PostgreSQL."""
