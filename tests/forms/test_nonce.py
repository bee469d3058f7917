"""The signed word in a form's page."""

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.clock import utc_now
from mailer.forms.nonce import make_nonce, read_nonce
from mailer.tokens import new_keys

KEYS = new_keys()


def test_a_nonce_tells_form_and_time_and_is_never_the_same() -> None:
    now = utc_now()
    first, second = make_nonce(KEYS, 7, now), make_nonce(KEYS, 7, now)

    read = read_nonce(KEYS, first, 7, now=now)

    assert read is not None
    assert abs(read.issued_at - now) < timedelta(seconds=0.2)
    assert first != second


@pytest.mark.parametrize("change", ["form", "keys", "flip", "cut", "future", "empty", "noise"])
def test_any_other_nonce_is_none(change: str) -> None:
    now = utc_now()
    text = make_nonce(KEYS, 7, now + timedelta(hours=1) if change == "future" else now)
    raw = bytearray(base64.urlsafe_b64decode(text + "="))
    raw[9] ^= 1
    texts = {"flip": base64.urlsafe_b64encode(raw).decode(), "cut": text[:-4], "empty": "", "noise": "é" * 47}
    keys = new_keys() if change == "keys" else KEYS

    assert read_nonce(keys, texts.get(change, text), 8 if change == "form" else 7, now=now) is None


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert read_nonce(KEYS, text, 7, now=utc_now()) is None
