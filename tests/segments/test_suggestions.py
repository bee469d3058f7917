"""Values that people choose from: counted, the most frequent first, found by a part of their name."""

from typing import Any

import pytest

from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.contacts import ContactField, ContactTag, Tag
from mailer.segments import suggestions
from mailer.segments.fields import CLOSED_WORDS, FIELDS, Kind
from mailer.segments.suggestions import Suggestion, list_kinds, list_suggestions
from mailer.statuses import FieldType
from tests.support.make import make_activity, make_company, make_consent, make_contact, make_staff, make_workspace


def values_of(ctx: Context, field: str, search: str = "", **more: Any) -> list[tuple[str | int, int | None]]:
    """Return values with their numbers."""
    with ctx.read() as session:
        found = list_suggestions(session, field, search, viewer=None, **more)
    return [(one.value, one.count) for one in found.items]


def test_the_most_frequent_value_comes_first_and_empty_ones_not_at_all(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        for city in ("Oslo", "Bergen", "Oslo", ""):
            make_contact(session, city=city)
        make_contact(session, city="Gone", archived_at=utc_now())

    assert values_of(ctx, "city") == [("Oslo", 2), ("Bergen", 1)]


def test_a_part_of_the_name_finds_a_value_in_any_case_and_script(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        for city in ("Ålesund", "Oslo", "100 %"):
            make_contact(session, city=city)

    assert values_of(ctx, "city", "åLES") == [("Ålesund", 1)]
    assert values_of(ctx, "city", "%") == [("100 %", 1)]


def test_companies_owners_tags_consent_and_own_fields_have_their_values(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        bo = make_staff(session, email="bo@example.com", name="Bo Petersen")
        company = make_company(session, name="Skog Bygg", industry="building", owner_id=bo.id)
        now = utc_now()
        for key, kind in (("class", FieldType.CHOICE), ("likes", FieldType.TAGS), ("age", FieldType.NUMBER)):
            session.add(ContactField(key=key, label=key, type=kind, choices=[], created_at=now))
        contact = make_contact(
            session, company_id=company.id, owner_id=bo.id, data={"class": "B", "likes": ["tea", "chess"], "age": 7}
        )
        tag = Tag(name="vip")
        session.add(tag)
        session.flush()
        session.add(ContactTag(contact_id=contact.id, tag_id=tag.id))
        make_consent(session, contact)

    assert values_of(ctx, "company") == [("Skog Bygg", 1)]
    assert values_of(ctx, "company.industry") == [("building", 1)]
    assert values_of(ctx, "company.owner") == values_of(ctx, "owner") == [("bo@example.com", 1)]
    assert values_of(ctx, "tags") == [("vip", 1)]
    assert values_of(ctx, "permission") == [("consent", 1)]
    assert values_of(ctx, "consent_source") == [("test", 1)]
    assert values_of(ctx, "class") == values_of(ctx, "own.class") == [("B", 1)]
    assert sorted(values_of(ctx, "likes")) == [("chess", 1), ("tea", 1)]
    assert values_of(ctx, "age") == []
    assert values_of(ctx, "nonsense") == []
    with ctx.read() as session:
        assert list_suggestions(session, "owner", "", viewer=None).items == [
            Suggestion("bo@example.com", "Bo Petersen", 1, "bo@example.com")
        ]


def test_only_the_newest_contacts_are_counted(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "LOOKED_AT", 2)
    with ctx.write() as session:
        make_workspace(session)
        for city in ("Bergen", "Oslo", "Oslo"):
            make_contact(session, city=city)
    with ctx.read() as session:
        found = list_suggestions(session, "city", "", viewer=None)

    assert [(one.value, one.count) for one in found.items] == [("Oslo", 2)]
    assert found.looked_at == 2


def test_more_values_than_fit_are_said_to_be_there(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        for number in range(suggestions.LIMIT + 1):
            make_contact(session, city=f"City {number}")
    with ctx.read() as session:
        found = list_suggestions(session, "city", "", viewer=None)

    assert (len(found.items), found.has_more) == (suggestions.LIMIT, True)


def test_kinds_of_activity_come_once_each_by_name(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        contact = make_contact(session)
        for kind in ("purchase", "nps", "purchase", "seminar"):
            make_activity(session, contact, kind)
    with ctx.read() as session:
        assert list_kinds(session) == ["nps", "purchase", "seminar"]
    assert values_of(ctx, "activity", "sem") == [("seminar", None)]


def test_every_field_answers(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)

    assert not any(values_of(ctx, field, "zz") for field in FIELDS)


def test_fields_with_a_closed_list_of_words_are_choices() -> None:
    assert {FIELDS[name] for name in CLOSED_WORDS} == {Kind.CHOICE}
