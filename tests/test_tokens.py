"""Tokens: keyed, of one purpose, and no other string verifies."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import tokens
from mailer.errors import SetupError, UntrustedRequestError

KEYS = tokens.new_keys()
IDS = st.integers(1, 2**48 - 1)


@given(IDS, st.integers(0, 2**16 - 1), st.sampled_from([tokens.OPEN, tokens.CLICK, tokens.VIEW]))
def test_tracking_token_says_what_it_was_made_of(message_id: int, link: int, kind: int) -> None:
    token = tokens.track_token(KEYS, kind, message_id, link)

    assert len(token) == 36
    assert tokens.read_track_token(KEYS, token) == tokens.TrackToken(kind, message_id, link)


@given(IDS, st.integers(0, 2**24 - 1), IDS)
def test_manage_token_says_what_it_was_made_of(contact_id: int, topic_id: int, message_id: int) -> None:
    token = tokens.manage_token(KEYS, contact_id, topic_id, message_id)

    assert len(token) == 40
    assert tokens.read_manage_token(KEYS, token) == tokens.ManageToken(contact_id, topic_id, message_id)


@given(IDS, st.integers(0, 2**24 - 1), IDS)
def test_an_address_that_unsubscribes_survives_folded_case(contact_id: int, topic_id: int, message_id: int) -> None:
    local = tokens.mail_manage_local(tokens.manage_token(KEYS, contact_id, topic_id, message_id))

    assert len(local) <= 64
    assert tokens.read_mail_manage_local(KEYS, local.upper()) == tokens.ManageToken(contact_id, topic_id, message_id)


@given(IDS, IDS, IDS, st.integers(0, 2**32 - 1))
def test_undo_token_says_what_it_was_made_of_and_serves_for_nothing_else(
    contact_id: int, first: int, last: int, expires: int
) -> None:
    token = tokens.undo_token(KEYS, contact_id, first, last, expires)

    assert tokens.read_undo_token(KEYS, token) == tokens.UndoToken(contact_id, first, last, expires)
    with pytest.raises(UntrustedRequestError):
        tokens.read_manage_token(KEYS, token)
    with pytest.raises(UntrustedRequestError):
        tokens.read_undo_token(KEYS, ("B" if token[20] == "A" else "A").join((token[:20], token[21:])))


@given(IDS)
def test_mail_tokens_survive_folded_case_and_never_serve_for_one_another(message_id: int) -> None:
    verp = tokens.verp_local(KEYS, message_id, 1)
    local = tokens.message_id_local(KEYS, message_id, 1)

    assert len(verp) <= 64
    assert tokens.read_verp_local(KEYS, verp.upper()) == message_id
    assert tokens.read_message_id_local(KEYS, local.upper()) == message_id
    with pytest.raises(UntrustedRequestError):
        tokens.read_message_id_local(KEYS, verp.removeprefix("b+"))


@given(st.integers(0, 27 * 8 - 1))
def test_one_flipped_bit_is_refused(bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(tokens.track_token(KEYS, tokens.CLICK, 7, 3)))
    raw[bit // 8] ^= 1 << bit % 8

    with pytest.raises(UntrustedRequestError):
        tokens.read_track_token(KEYS, base64.urlsafe_b64encode(bytes(raw)).decode())


@given(st.text(max_size=60))
def test_no_other_string_is_a_token(text: str) -> None:
    for read in (
        tokens.read_track_token, tokens.read_manage_token, tokens.read_verp_local, tokens.read_undo_token,
        tokens.read_mail_manage_local,
    ):  # fmt: skip
        with pytest.raises(UntrustedRequestError):
            read(KEYS, text)


def test_token_of_another_installation_is_refused() -> None:
    token = tokens.manage_token(tokens.new_keys(), 1, 1, 1)

    with pytest.raises(UntrustedRequestError):
        tokens.read_manage_token(KEYS, token)


def test_rotated_key_still_verifies_what_was_mailed() -> None:
    token = tokens.track_token(KEYS, tokens.OPEN, 7)
    rotated = tokens.Keys(
        KEYS.suppression, KEYS.session, {**KEYS.tracking, 2: b"n" * 32}, {**KEYS.manage, 2: b"m" * 32}
    )

    assert tokens.read_track_token(rotated, token).message_id == 7
    assert tokens.track_token(rotated, tokens.OPEN, 7) != token


def test_keys_are_made_once_with_mode_0600_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"

    first, second = tokens.load_keys(path), tokens.load_keys(path)

    assert first == second
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.suppression.hex() not in repr(first)
    assert list(path.parent.iterdir()) == [path]


def test_unreadable_keys_are_an_error_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}", encoding="ascii")

    with pytest.raises(SetupError) as caught:
        tokens.load_keys(path)

    assert "backup" in caught.value.mend
    assert path.read_text(encoding="ascii") == "{}"
