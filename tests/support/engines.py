"""A test whose rule has nothing to do with the database runs on one engine."""

import pytest

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
