"""Addresses: the quick path says what the library says."""

import string

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from mailer.addresses import ROLE_LOCAL_PARTS, AddressError, check_address, hash_address, mask_address

_LOCAL = st.text(string.ascii_letters + string.digits + "._+-'! \"", min_size=0, max_size=70)
_LABEL = st.text(string.ascii_letters + string.digits + "-", min_size=0, max_size=66)
_TOP = st.sampled_from(
    ["com", "org", "test", "invalid", "localhost", "arpa", "local", "onion", "c", "museum", "xn--p1ai", "1"]
)
_DOMAIN = st.builds(lambda labels, top: ".".join([*labels, top]), st.lists(_LABEL, max_size=4), _TOP)
ADDRESSES = st.one_of(st.builds("{}@{}".format, _LOCAL, _DOMAIN), st.text(max_size=40))


def _library(text: str) -> str | None:
    try:
        valid = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError:
        return None
    normal = f"{valid.local_part.lower()}@{valid.ascii_domain.lower()}"
    return None if normal.rpartition("@")[0] in ROLE_LOCAL_PARTS else normal


@given(ADDRESSES)
def test_quick_path_and_library_agree(text: str) -> None:
    try:
        ours = check_address(text).email
    except AddressError:
        ours = None

    assert ours == _library(text)


@pytest.mark.parametrize(
    "text", ["alice@example.org)bob@example.com", "a@b@example.com", "-", "", "x@example", "a@[192.0.2.1]"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        check_address(text)


def test_normal_form_folds_case_and_domains_become_a_labels() -> None:
    assert check_address("  Anna.Berg@EXAMPLE.com ").email == "anna.berg@example.com"
    assert check_address("kari@blåbær.no").email == "kari@xn--blbr-roah.no"


def test_role_addresses_are_refused() -> None:
    with pytest.raises(AddressError, match="role"):
        check_address("abuse@example.com")


def test_hash_hangs_on_the_key() -> None:
    assert hash_address("a@example.com", b"k" * 32) != hash_address("a@example.com", b"l" * 32)


def test_mask_shows_one_letter() -> None:
    assert mask_address("anna@example.com") == "a…@example.com"
