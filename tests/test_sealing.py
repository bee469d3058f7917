"""Sealed secrets: readable with the right keys and context, and with nothing else."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import SetupError
from mailer.sealing import seal, unseal
from mailer.tokens import new_keys

KEYS = new_keys()


@given(st.binary(max_size=4000), st.text(max_size=40))
def test_what_was_sealed_comes_back(plain, context):
    assert unseal(KEYS, context, seal(KEYS, context, plain)) == plain


def test_a_sealed_secret_is_not_readable():
    sealed = seal(KEYS, "relay", b"smtp://user:password@relay.example.com")
    assert b"password" not in sealed


def test_the_same_secret_seals_differently_each_time():
    assert seal(KEYS, "relay", b"x") != seal(KEYS, "relay", b"x")


def test_rotating_the_token_keys_keeps_secrets_readable():
    sealed = seal(KEYS, "relay", b"secret")
    other = new_keys()
    rotated = dataclasses.replace(other, suppression=KEYS.suppression)
    assert unseal(rotated, "relay", sealed) == b"secret"


def test_another_key_file_is_named_as_the_cause():
    sealed = seal(KEYS, "relay", b"secret")
    with pytest.raises(SetupError, match="other secret keys") as caught:
        unseal(new_keys(), "relay", sealed)
    assert "MAILER_SECRET_KEYS" in caught.value.mend


def test_a_secret_moved_to_another_place_is_refused():
    sealed = seal(KEYS, "dkim example.com", b"secret")
    with pytest.raises(SetupError, match="damaged"):
        unseal(KEYS, "dkim example.org", sealed)


@pytest.mark.parametrize("place", [0, 5, 17, 20, -1])
def test_a_changed_byte_is_refused(place):
    sealed = bytearray(seal(KEYS, "relay", b"secret"))
    sealed[place] ^= 1
    with pytest.raises(SetupError):
        unseal(KEYS, "relay", bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"x" * 32])
def test_a_cut_secret_is_refused(sealed):
    with pytest.raises(SetupError, match="damaged"):
        unseal(KEYS, "relay", sealed)
