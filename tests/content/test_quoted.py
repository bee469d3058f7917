"""Quoted-printable in pieces (RFC 2045, section 6.7)."""

import quopri

from hypothesis import example, given
from hypothesis import strategies as st

from mailer.content.quoted import MAX_LINE, clean_text, encode_piece, is_plain

text = st.text(st.one_of(st.characters(), st.sampled_from(" .=\n\r\tFrom ä€😀")), max_size=300)


def check_lines(encoded: str) -> None:
    for line in encoded.split("\r\n"):
        assert len(line) <= MAX_LINE
        assert not line.startswith((".", "From "))
        assert not line.endswith((" ", "\t"))
        assert "\r" not in line
        assert "\n" not in line


@given(st.lists(text, max_size=6))
@example(["From me", "From you"])
@example([".", "..", ".\n."])
@example(["a" * 75, "b" * 76, "c" * 74 + "ä"])
@example(["a ", "\n", " "])
def test_pieces_decode_to_what_they_were_made_of(pieces):
    pieces = [clean_text(piece) for piece in pieces]

    encoded = "".join(encode_piece(piece) for piece in pieces)

    assert quopri.decodestring(encoded.encode("ascii")).decode().replace("\r\n", "\n") == "".join(pieces)
    check_lines(encoded)


@given(text)
def test_plain_text_is_its_own_encoding(value):
    if is_plain(value):
        assert encode_piece(value) == value + "=\r\n"
