"""Passwords and their hashes."""

import argon2

from mailer.accounts import passwords


def test_a_password_is_known_by_its_hash() -> None:
    stored = passwords.hash_password("three words do well")

    assert passwords.is_password("three words do well", stored)
    assert not passwords.is_password("three words do not", stored)


def test_somebody_unknown_costs_as_much_as_somebody_known() -> None:
    """Else the time of an answer says who has an account."""
    costs = argon2.extract_parameters(passwords._NOBODY)

    assert costs == argon2.extract_parameters(passwords.hash_password("whatever it is"))
    assert not passwords.is_password("whatever it is", None)
