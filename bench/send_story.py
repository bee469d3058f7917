"""The campaign that `bench.send` sends: people with permission, a mail of about 8 KB with ten links, batches."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.consent.bulk import Imported, ImportTerms, record_imported
from mailer.contacts import bulk
from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.content.service import ContentSpec, freeze_content
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.claim import build_batch_row
from mailer.delivery.domain_queries import list_keys
from mailer.delivery.domain_service import create_domain
from mailer.delivery.policy import BATCH_SIZE
from mailer.delivery.sendings import SendingSpec
from mailer.statuses import Basis, SendingClass
from tests.support.make import make_sender, make_topic

_CHUNK = 2_000
_TEXT = "Blåbær og jordbær: what a good year of mail looks like, told by three who had one, in some six hundred words. "
_PARAGRAPH = '<mj-text>{text} <a href="https://example.com/{number}">Read on</a></mj-text>'
_MJML = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{{{ contact.first_name }}}} of {{{{ company.name | default('your company') }}}},</mj-text>
{rows}
<mj-text>{{{{ sender.postal_address }}}} <a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def make_campaign(ctx: Context, size: int, *, dkim: str = "none", first: int = 0) -> int:
    """Write `size` people, numbered from `first`, and a running sending with a message for each; return its id."""
    rows = "\n".join(_PARAGRAPH.format(text=_TEXT * 3, number=number) for number in range(10))
    with ctx.write() as session:
        topic_id, sender_id = make_topic(session).id, make_sender(session).id
        subject = "{{ contact.first_name | default('Hello') }}, join us in {{ contact.city }}"
        version = freeze_content(session, ctx, ContentSpec(mjml=_MJML.format(rows=rows), subject=subject))
        spec = SendingSpec(
            sending_class=SendingClass.MARKETING, sender_id=sender_id, content_version_id=version.id, topic_id=topic_id
        )
        sending_id = sendings.create_sending(session, ctx, spec).id
    if dkim != "none":
        _sign_with(ctx, ("rsa", "ed25519") if dkim == "both" else (dkim,))
    for start in range(0, size, _CHUNK):
        with ctx.write() as session:
            people = _add_people(ctx, session, range(first + start, first + min(size, start + _CHUNK)), topic_id)
            _add_messages(session, sending_id, people, start // BATCH_SIZE)
    with ctx.write() as session:
        sendings.start_sending(session, ctx, sending_id)
    with ctx.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))
    return sending_id


def _sign_with(ctx: Context, algorithms: tuple[str, ...]) -> None:
    """Let the sender's domain sign with a key of each kind; nobody looks for their records here."""
    domain = create_domain(ctx, "example.com", with_ed25519=True)
    with ctx.write() as session:
        for key in list_keys(session, domain.id):
            key.is_active = key.algorithm in algorithms


def _add_people(ctx: Context, session: Session, numbers: range, topic_id: int) -> list[Imported]:
    now = utc_now()
    emails = [f"person{number}@example{number % 50}.com" for number in numbers]
    hashes = [hash_address(email, ctx.keys.suppression) for email in emails]
    rows = [(email, digest, email.rpartition("@")[2], "other") for email, digest in zip(emails, hashes, strict=True)]
    addresses = bulk.add_addresses(session, rows, now)
    plain = dict.fromkeys(PLAIN_COLUMNS, "") | {"city": "Oslo", "last_name": "Berg"}
    contacts = [
        (None, address, *(plain | {"first_name": f"Åse {number}"}).values(), None, None, "{}")
        for number, address in zip(numbers, addresses, strict=True)
    ]
    identities = bulk.add_contacts(session, contacts, now)
    people = [
        Imported(*identity, address, digest, True, True)
        for identity, address, digest in zip(identities, addresses, hashes, strict=True)
    ]
    record_imported(session, people, ImportTerms(Basis.CONSENT, "bench", (topic_id,)), now)
    return people


def _add_messages(session: Session, sending_id: int, people: list[Imported], first_ordinal: int) -> None:
    now = utc_now()
    groups = [people[start : start + BATCH_SIZE] for start in range(0, len(people), BATCH_SIZE)]
    batches = [
        build_batch_row(sending_id, "other", first_ordinal + place, not_before=now) for place in range(len(groups))
    ]
    rows = [
        {
            "sending_id": sending_id,
            "contact_id": person.contact_id,
            "address_id": person.address_id,
            "to_address": None,
            "recipient_key": person.contact_id,
            "occurrence": 0,
            "batch_id": batch_id,
            "state": "queued",
            "reason": "",
            "attempts": 0,
            "reply": "",
        }
        for batch_id, group in zip(delivery.add_batches(session, batches), groups, strict=True)
        for person in group
    ]
    delivery.add_messages(session, rows)
