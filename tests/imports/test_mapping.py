"""Columns map themselves by name; --map says the rest; every mistake is listed."""

import pytest

from mailer.errors import InputError
from mailer.imports.mapping import CONTACT_FIELDS, map_columns

OWN = {"shoe_size": "Shoe size", "vip": "VIP"}


def mapped(*header, **chosen):
    return map_columns(header, fields=CONTACT_FIELDS, own_fields=OWN, chosen=chosen).fields


def test_columns_map_themselves_in_several_languages():
    assert mapped("E-Mail Address", "FIRST_NAME", "Efternamn", "Firma", "Kundenummer", "By", "Telefon", "Colour") == (
        "email", "first_name", "last_name", "company", "external_id", "city", "phone", None,
    )  # fmt: skip


def test_own_fields_map_by_key_and_label():
    assert mapped("Shoe Size", "vip", "email") == ("shoe_size", "vip", "email")


def test_choice_wins_over_the_name():
    assert mapped("email", "Private mail", **{"Private mail": "email"}) == (None, "email")
    assert mapped("email", "city", city="") == ("email", None)


def test_every_mistake_is_listed():
    with pytest.raises(InputError) as caught:
        mapped("email", "mail", nowhere="email", mail="shoe")

    assert [problem.where for problem in caught.value.problems] == ["--map nowhere", "--map mail"]


def test_field_twice_is_refused():
    with pytest.raises(InputError, match="email, mail"):
        mapped("email", "mail")
