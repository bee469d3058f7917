"""A person gets everything that is kept about them, in a form for people and one for programs."""

import csv
import io
import json
import zipfile

import pytest
from sqlalchemy import select

from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.privacy import queries
from mailer.privacy.erasure import erase_person
from mailer.privacy.export import export_person, gather
from mailer.privacy.register import OF_PERSONS
from mailer.privacy.service import RequestValues, record_request
from mailer.schema.accounts import AuditEvent
from mailer.schema.contacts import Contact
from mailer.schema.privacy import SubjectRequest
from tests.privacy.traces import EMAIL, EXTERNAL, IP, LAST, OTHER, PHONE, World, leave_traces


@pytest.fixture
def world(sending_ctx: Context) -> World:
    return leave_traces(sending_ctx)


def export(ctx: Context, email: str = EMAIL) -> zipfile.ZipFile:
    with ctx.read() as session:
        person = queries.find_person(session, ctx, email)
    return zipfile.ZipFile(io.BytesIO(export_person(ctx, person)))


def test_an_export_holds_every_table_in_which_the_person_left_traces(sending_ctx: Context, world: World) -> None:
    """What the erasure test leaves behind everywhere, an export shows; her name may be a formula, and runs nowhere."""
    with sending_ctx.write() as session:
        session.get_one(Contact, world.contact_id).title = '=HYPERLINK("https://example.com")'
    archive = export(sending_ctx)

    names = set(archive.namelist())
    data = json.loads(archive.read("data.json"))
    page = archive.read("index.html").decode()
    left_out = {"leave_answer", "consent_override_person"}  # she said no reason, and needed no leave
    assert {entry.name for entry in OF_PERSONS} - left_out <= set(data["data"])
    assert {f"csv/{name}.csv" for name in data["data"]} <= names
    for text in (EMAIL, LAST, IP, PHONE, EXTERNAL, "fair in Oslo", "News", "Seminar"):
        assert text in page
    assert OTHER not in page
    mails = data["data"]["message"]
    assert {mail["mail"] for mail in mails} == {"News"}
    assert all(mail["state"] == "accepted" for mail in mails)
    (contact,) = csv.DictReader(io.StringIO(archive.read("csv/contact.csv").decode("utf-8-sig")))
    assert contact["title"].startswith("'=HYPERLINK")
    assert contact["company"] == "Nordlys"
    assert b"mailbox full" in archive.read(f"reports/{data['data']['bounce_report'][0]['id']}.eml")
    assert "<script" not in page
    assert "http" not in page.replace("https://example.com", "").replace("http-equiv", "")


def test_an_export_shows_consent_with_what_proves_it(sending_ctx: Context, world: World) -> None:
    data = json.loads(export(sending_ctx).read("data.json"))["data"]

    assert [line["verdict"] for line in data["consent_event"]][:2] == ["given", "subscribed"]
    assert {"note": f"{LAST} rang", "ip": IP} in [row["data"] for row in data["consent_evidence"]]
    assert all("salt" not in row for row in data["consent_evidence"])


def test_an_export_is_audited_and_closes_what_asked_for_it(sending_ctx: Context, world: World) -> None:
    asked = record_request(sending_ctx, RequestValues(kind="access", contact_id=world.contact_id))
    export(sending_ctx)

    with sending_ctx.read() as session:
        row = session.get_one(SubjectRequest, asked.id)
        line = session.scalars(select(AuditEvent).where(AuditEvent.action == "privacy.export")).one()
        others = session.scalars(select(SubjectRequest.status).where(SubjectRequest.kind == "erasure")).all()
    assert (row.status, others) == ("answered", ["open"])
    assert (line.subject_kind, line.subject_id) == ("contact", world.contact_id)


def test_an_address_that_no_contact_has_gets_what_is_kept_of_it(sending_ctx: Context, world: World) -> None:
    erased = queries.find_person
    with sending_ctx.read() as session:
        erase_person(sending_ctx, erased(session, sending_ctx, EMAIL))

    data = json.loads(export(sending_ctx).read("data.json"))["data"]

    assert {row["reason"] for row in data["suppression"]} >= {"erasure", "complaint"}
    assert set(data) <= {"suppression", "address", "subject_request"}
    with pytest.raises(NotFoundError, match="nothing is kept"):
        export(sending_ctx, "stranger@example.com")


def test_audiences_are_named(sending_ctx: Context, world: World) -> None:
    with sending_ctx.read() as session:
        found = gather(session, sending_ctx, queries.find_person(session, sending_ctx, EMAIL))

    lists = [row for section in found.sections if section.name == "audience" for row in section.rows]
    assert lists == [{"list": f"Mails to {EMAIL}"}]
