"""A person gets everything that is kept about them, in a form for people and one for programs."""

import csv
import io
import json
import zipfile

import pytest
from sqlalchemy import select

from mailer.addresses import hash_address
from mailer.consent.service import suppress
from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.privacy import queries
from mailer.privacy.export import export_person
from mailer.privacy.register import OF_PERSONS
from mailer.privacy.service import RequestValues, record_request
from mailer.schema.accounts import AuditEvent
from mailer.schema.contacts import Contact
from mailer.schema.privacy import SubjectRequest
from mailer.statuses import SuppressionReason
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
    asked = record_request(sending_ctx, RequestValues(kind="access", contact_id=world.contact_id))
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
    assert data["data"]["audience"] == [{"list": f"Mails to {EMAIL}"}]
    assert [line["verdict"] for line in data["data"]["consent_event"]][:2] == ["given", "subscribed"]
    assert {"note": f"{LAST} rang", "ip": IP} in [row["data"] for row in data["data"]["consent_evidence"]]
    with sending_ctx.read() as session:
        row = session.get_one(SubjectRequest, asked.id)
        line = session.scalars(select(AuditEvent).where(AuditEvent.action == "privacy.export")).one()
        others = session.scalars(select(SubjectRequest.status).where(SubjectRequest.kind == "erasure")).all()
    assert (row.status, others) == ("answered", ["open"])
    assert (line.subject_kind, line.subject_id) == ("contact", world.contact_id)


def test_an_address_that_no_contact_has_gets_what_is_kept_of_it(ctx: Context) -> None:
    suppress_typed(ctx, "nobody@example.com")

    data = json.loads(export(ctx, "nobody@example.com").read("data.json"))["data"]

    assert [row["reason"] for row in data["suppression"]] == ["manual"]
    assert set(data) == {"suppression"}
    with pytest.raises(NotFoundError, match="nothing is kept"):
        export(ctx, "stranger@example.com")


def suppress_typed(ctx: Context, email: str) -> None:
    with ctx.write() as session:
        digest = hash_address(email, ctx.keys.suppression)
        suppress(session, digest, SuppressionReason.MANUAL, "by hand")
