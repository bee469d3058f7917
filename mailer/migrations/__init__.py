"""The schema's history (Alembic), shipped inside the package and run by `mailer up`, `mailer doctor` and the tests."""
