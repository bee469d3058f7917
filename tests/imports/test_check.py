"""A row is values or a reason."""

import json

import pytest

from mailer.imports.check import ActivityChecker, ContactChecker, OwnField, RowError, read_amount, read_instant
from mailer.imports.mapping import Columns
from mailer.statuses import FieldType

OWN = {
    "n": OwnField("n", FieldType.NUMBER),
    "d": OwnField("d", FieldType.DATE),
    "y": OwnField("y", FieldType.YES_NO),
    "c": OwnField("c", FieldType.CHOICE, ("Small", "Large")),
    "t": OwnField("t", FieldType.TAGS),
    "x": OwnField("x", FieldType.TEXT),
}


def check(**cells):
    columns = Columns(tuple(cells), ())
    checker = ContactChecker(columns, OWN, {"ola@example.com": 7}, hash_key=b"k" * 32)
    return checker.check(list(cells.values()))


def test_values_are_put_in_order():
    row = check(
        email=" Anna@Example.COM ", first_name="Anna", owner="Ola@example.com", tags="golf; chess,golf", company="Fjord"
    )

    assert (row.email, row.domain, row.provider) == ("anna@example.com", "example.com", "other")
    assert (row.plain[0], row.owner_id, row.tags, row.company) == ("Anna", 7, ("golf", "chess"), "Fjord")
    assert len(row.email_hash) == 16


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"email": ""}, "there is no address"),
        ({"email": "", "external_id": ""}, "neither address nor external id"),
        ({"email": "no address"}, "@"),
        ({"email": "postmaster@example.com"}, "role address"),
        ({"email": "a@example.com", "city": "x" * 101}, "city has more than 100"),
        ({"email": "a@example.com", "timezone": "Mars/Crater"}, "no time zone"),
        ({"email": "a@example.com", "owner": "nobody@example.com"}, "is no user"),
        ({"email": "a@example.com", "n": "many"}, "n: 'many' is no number"),
        ({"email": "a@example.com", "d": "soon"}, "no date"),
        ({"email": "a@example.com", "y": "perhaps"}, "neither yes nor no"),
        ({"email": "a@example.com", "c": "medium"}, "none of Small, Large"),
    ],
)
def test_refused_row_says_why(cells, reason):
    with pytest.raises(RowError, match=reason):
        check(**cells)


def test_own_values_are_stored_by_type():
    row = check(email="a@example.com", n="1 234,50", d="21.11.2026", y="Ja", c="LARGE", t="a;b", x="é")

    assert json.loads(row.data) == {"n": 1234.5, "d": "2026-11-21", "y": True, "c": "Large", "t": ["a", "b"], "x": "é"}


def test_empty_cells_hold_nothing():
    assert json.loads(check(email="a@example.com", n="", x="").data) == {}


def test_controls_become_spaces():
    assert check(email="a@example.com", city="Os\nlo\x00\ud800").plain[7] == "Os lo"


@pytest.mark.parametrize(
    ("text", "minor"),
    [("200001", 20000100), ("1.234,56", 123456), ("1,234.56", 123456), ("1 234,5", 123450), ("-3", -300), ("0.005", 1)],
)
def test_amounts_are_read_as_people_write_them(text, minor):
    assert read_amount(text) == minor


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21", "2026-11-20T23:00:00+00:00"),
        ("2026-11-21 14:00", "2026-11-21T13:00:00+00:00"),
        ("2026-07-01T14:00:00Z", "2026-07-01T14:00:00+00:00"),
        ("21.11.2026", "2026-11-20T23:00:00+00:00"),
    ],
)
def test_times_are_those_of_the_workspace(text, instant):
    assert read_instant(text, "Europe/Oslo") == instant


def test_activity_keeps_own_columns():
    checker = ActivityChecker(Columns(("email", "kind", "at", "score", "place"), ()), "UTC")

    row = checker.check(["a@example.com", "NPS answer", "2026-11-21", "9", "Oslo"])

    assert (row.kind, json.loads(row.data)) == ("nps_answer", {"score": 9, "place": "Oslo"})
    with pytest.raises(RowError, match="there is no at"):
        checker.check(["a@example.com", "nps"])
