"""The register of personal data (GDPR, article 30): every table, how a person's rows are found, what becomes of them.

Pure data. Export, erasure and the preview of an erasure read it; a test fails for a text, JSON or binary column, or a
column that names a person, which nobody entered here. Words of a closed list (checked by the table) need no entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Key(StrEnum):
    """What a column holds that leads to a person's rows."""

    CONTACT = "contact"
    ADDRESS = "address"
    HASH = "hash"
    EMAIL = "email"
    LEDGER = "ledger"
    LINE = "line"
    MESSAGE = "message"
    SUBJECT = "subject"
    """The id of a contact in `subject_id` where `subject_kind` is "contact"."""


class Fate(StrEnum):
    """What an erasure does to a person's rows."""

    DELETE = "delete"
    BLANK = "blank"
    KEEP = "keep"


class Phase(StrEnum):
    """When: under the lock of the address, row by row afterwards, or together with each message."""

    CLOSE = "close"
    ROWS = "rows"
    MESSAGES = "messages"


class New(StrEnum):
    """A value that is made for each row."""

    PUBLIC_ID = "public_id"
    LEDGER_ID = "ledger_id"
    NOW = "now"
    OWN_KEY = "own_key"
    """A recipient key of the row's own, which no contact and no hash of an address has."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the register.

    `found`: column by what it holds; a row is a person's where any matches. `personal` columns are theirs and end by
    `fate` (`blank` has what they become); `free` are words of staff in which an address or a full name may stand, and
    are looked through everywhere; `plain` hold nothing about persons, `why` says so or says what is kept. `title` is
    its heading in an export, `hidden` what an export leaves out.
    """

    name: str
    found: tuple[tuple[Key, str], ...] = ()
    fate: Fate = Fate.KEEP
    phase: Phase = Phase.ROWS
    blank: Mapping[str, Any] = field(default_factory=dict)
    personal: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    why: str = ""
    title: str = ""
    hidden: tuple[str, ...] = ()


_OF_CONTACT = ((Key.CONTACT, "contact_id"),)
_OF_MESSAGE = ((Key.MESSAGE, "message_id"),)
_TEXTS = (
    "external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category",
)  # fmt: skip
REMOVED = "[erased]"
"""What stands in free text where an address or a name was."""

PEOPLE = (
    Table(
        name="contact",
        found=((Key.CONTACT, "id"),),
        fate=Fate.BLANK,
        phase=Phase.CLOSE,
        blank={
            **dict.fromkeys(_TEXTS, ""), "external_id": None, "data": {}, "address_id": None, "company_id": None,
            "owner_id": None, "import_id": None, "do_not_mail": True, "public_id": New.PUBLIC_ID,
            "ledger_id": New.LEDGER_ID, "archived_at": New.NOW, "created_at": New.NOW, "updated_at": New.NOW,
        },
        personal=(*_TEXTS, "data", "ledger_id", "address_id"),
        free=("data",),
        why="an empty row stays, so that its number and the links made of it are nobody else's",
        title="Who you are",
        hidden=("ledger_id", "address_id", "public_id"),
    ),
    Table(
        name="address",
        found=((Key.ADDRESS, "id"), (Key.HASH, "email_hash"), (Key.EMAIL, "email")),
        fate=Fate.BLANK,
        phase=Phase.CLOSE,
        blank={
            "email": None, "domain": "", "provider": "other", "bounce_state": "ok", "is_valid": True,
            "created_at": New.NOW,
        },
        personal=("email", "domain"),
        plain=("email_hash",),
        why="the keyed hash stays: it keeps a list from bringing the address back",
        title="Your address",
        hidden=("email_hash",),
    ),
    Table(
        name="contact_tag", found=_OF_CONTACT, fate=Fate.DELETE, title="Tags",
    ),
    Table(
        name="activity", found=_OF_CONTACT, fate=Fate.DELETE,
        personal=("kind", "currency", "external_id", "note", "data"), free=("note", "data"),
        title="What you did: purchases, visits, answers", hidden=("import_id",),
    ),
    Table(name="engagement", found=_OF_CONTACT, fate=Fate.DELETE, title="Last open and click"),
    Table(
        name="follow_up", found=_OF_CONTACT, fate=Fate.DELETE,
        personal=("title", "note", "source", "dedupe_key"), free=("title", "note"),
        why="tasks that a link made stay in the report of its campaign as a count",
        title="Tasks of our staff about you", hidden=("public_id", "dedupe_key"),
    ),
    Table(
        name="action_run", found=(*_OF_CONTACT, *_OF_MESSAGE), fate=Fate.DELETE,
        personal=("note",), title="What your clicks set off",
    ),
)  # fmt: skip

SEGMENTS = (
    Table(name="segment_member", found=_OF_CONTACT, fate=Fate.DELETE, personal=("cause",),
          title="Lists that you are on"),
    Table(name="segment_watch_member", found=_OF_CONTACT, fate=Fate.DELETE, title="Audiences that you are in"),
    Table(name="segment_event", found=_OF_CONTACT, fate=Fate.DELETE, personal=("cause",),
          title="Audiences that you entered and left"),
    Table(name="bulk_member", found=_OF_CONTACT, fate=Fate.DELETE, personal=("reason", "before"),
          why="the task keeps its counts", title="Changes made to many at once"),
    Table(name="bulk_task", free=("segment_name", "params", "error")),
    Table(name="segment", free=("name", "description", "rule"), plain=("group_name",)),
    Table(name="segment_watch", free=("problem",)),
    Table(name="segment_use", plain=("user_kind",), why="names what uses a segment"),
    Table(name="segment_input"),
    Table(name="segment_size"),
)  # fmt: skip

CONSENT = (
    Table(name="consent", found=_OF_CONTACT, fate=Fate.DELETE, phase=Phase.CLOSE, personal=("source",),
          title="Your permission"),
    Table(name="subscription", found=_OF_CONTACT, fate=Fate.DELETE, phase=Phase.CLOSE, title="Your subscriptions"),
    Table(
        name="consent_event", found=((Key.LEDGER, "ledger_id"),), fate=Fate.KEEP,
        plain=("source", "channel", "wording_version", "evidence_digest", "message_id", "ledger_id"),
        why="a line names a person by a random number, which the erasure destroys; sources name things, not persons",
        title="What you agreed to and took back", hidden=("ledger_id", "evidence_digest"),
    ),
    Table(name="consent_evidence", found=((Key.LINE, "consent_event_id"),), fate=Fate.DELETE, phase=Phase.CLOSE,
          personal=("salt", "data"), title="What proves it", hidden=("salt",)),
    Table(name="leave_answer", found=((Key.LINE, "consent_event_id"),), fate=Fate.BLANK, phase=Phase.CLOSE,
          blank={"note": ""}, personal=("note",), why="the reason stays as a count", title="Why you left"),
    Table(name="consent_override_person", found=_OF_CONTACT, fate=Fate.DELETE, phase=Phase.CLOSE,
          title="Mails sent by special leave"),
    Table(name="consent_override", free=("reason",)),
    Table(name="consent_block", plain=("previous_digest", "digest"), why="seals"),
    Table(name="wording", plain=("version", "text"), why="what everybody is asked"),
    Table(
        name="suppression", found=((Key.HASH, "address_hash"),), fate=Fate.BLANK, phase=Phase.CLOSE,
        blank={"source": "", "message_id": None}, personal=("source", "message_id"), plain=("address_hash",),
        why="the keyed hash and the reason stay: no mail may ever go there",
        title="Why you get no mail", hidden=("address_hash",),
    ),
    Table(name="topic", plain=("name", "description"), why="our own words"),
)  # fmt: skip

FORMS = (
    Table(
        name="sign_up",
        found=(*_OF_CONTACT, (Key.HASH, "address_hash"), (Key.EMAIL, "email")),
        fate=Fate.DELETE,
        personal=("address_hash", "email", "data", "topic_ids", "note", "ip", "user_agent", "page", "message_id"),
        why="the form keeps its count",
        title="Your sign-ups",
        hidden=("address_hash",),
    ),
    Table(name="sign_up_address", found=((Key.HASH, "address_hash"),), fate=Fate.DELETE, personal=("address_hash",),
          title="Confirmation mails sent to you", hidden=("address_hash",)),
    Table(name="form", plain=("name", "fields", "topic_ids", "look", "sites", "actions", "version_key"),
          why="our own words"),
    Table(name="form_wording", plain=("text",), why="what everybody is asked"),
    Table(name="form_refusal"),
)  # fmt: skip

MAILS = (
    Table(
        name="message",
        found=((Key.MESSAGE, "id"),),
        fate=Fate.BLANK,
        phase=Phase.MESSAGES,
        blank={
            "contact_id": None, "address_id": None, "to_address": None, "recipient_key": New.OWN_KEY, "reply": "",
            "relay_message_id": None, "gate_token": None,
        },
        personal=("to_address", "reply", "relay_message_id", "contact_id", "address_id"),
        plain=("reason",),
        why="state and times stay without a name, so that reports stay true",
        title="Mails to you",
        hidden=("recipient_key", "gate_token", "batch_id", "address_id", "relay_message_id"),
    ),
    Table(
        name="event", found=_OF_MESSAGE, fate=Fate.BLANK, phase=Phase.MESSAGES,
        blank={"contact_id": None, "detail": {}}, personal=("detail", "contact_id"),
        plain=("reason", "code", "dedupe_key", "message_id"), why="kind and time stay without a name",
        title="What happened with our mails", hidden=("dedupe_key",),
    ),
    Table(
        name="hit", found=_OF_MESSAGE, fate=Fate.BLANK, phase=Phase.MESSAGES,
        blank={"ip": "", "user_agent": "", "program": "", "device": "", "network": ""},
        personal=("ip", "user_agent", "program", "device", "network"),
        plain=("kind", "method", "reason", "message_id"),
        why="events are known by the number of their hit, so that number must not be given again",
        title="Requests of your mail program",
    ),
    Table(
        name="bounce_report", found=_OF_MESSAGE, fate=Fate.BLANK, phase=Phase.MESSAGES,
        blank={"raw": None, "diagnostic": "", "recipients": [], "mail_from": "", "rcpt_to": ""},
        personal=("raw", "diagnostic", "recipients", "mail_from", "rcpt_to"),
        plain=("source", "digest", "reason", "status", "matched_by", "message_id", "wording"),
        why="verdict and reason stay as counts", title="Reports that came back",
        hidden=("digest", "raw", "rcpt_to", "wording"),
    ),
    Table(name="bounce_lesson", free=("words",), plain=("wording",)),
    Table(
        name="webhook_endpoint", free=("name", "last_note"), plain=("path_hash", "secret", "last_outcome"),
        why="a provider",
    ),
    Table(
        name="webhook_call", plain=("digest", "content_type", "body", "error"),
        why="a call becomes reports within seconds, and its body is dropped then",
    ),
    Table(
        name="bounce_mailbox", free=("error",),
        plain=("public_id", "name", "host", "username", "secret", "folder", "move_to"), why="a mailbox of ours",
    ),
    Table(name="provider_incident", plain=("provider",), why="a mailbox provider"),
    Table(name="sending", free=("hold_note",), plain=("canary",)),
    Table(name="send_batch", plain=("provider",), why="a mailbox provider"),
    Table(name="test_sending"),
    Table(name="policy_refusal", free=("reply",), plain=("provider",)),
    Table(name="provider_hold", free=("note",), plain=("provider",)),
    Table(name="relay_state", free=("last_error",), plain=("key",)),
    Table(name="kept_figure", plain=("name", "word"), why="counts"),
)  # fmt: skip

PRIVACY = (
    Table(
        name="subject_request",
        found=(*_OF_CONTACT, (Key.HASH, "address_hash")),
        fate=Fate.BLANK,
        blank={"who": "", "note": "", "extension_note": "", "answer": "", "contact_id": None},
        personal=("who", "note", "extension_note", "answer", "contact_id"),
        plain=("address_hash",),
        why="number, dates and keyed hash stay: they show that the request was answered in time",
        title="What you asked us for",
        hidden=("address_hash", "public_id"),
    ),
    Table(
        name="erasure",
        plain=("step", "waits_for", "address_hashes", "contact_ids", "address_ids", "person", "counts"),
        why="`person` is sealed while an erasure runs and NULL afterwards",
    ),
    Table(name="retention_run", plain=("counts",), why="counts"),
    Table(
        name="audit_event", found=((Key.SUBJECT, "subject_id"),), fate=Fate.BLANK,
        blank={"subject_id": None, "detail": {}}, personal=("subject_id",), free=("detail",),
        plain=("actor", "action", "subject_kind"), why="what staff did stays, without whom they did it to",
        title="What our staff did", hidden=("actor",),
    ),
)  # fmt: skip

OTHERS = (
    Table(name="company", free=("name",), plain=("domain", "industry", "category", "country"),
          why="an organization is no person; it stays"),
    Table(name="contact_field", plain=("key", "label", "choices"), why="our own words"),
    Table(name="tag", free=("name",)),
    Table(name="import_run", free=("file_name", "path", "source", "error", "refused_path", "mapping"),
          plain=("digest", "topic_ids")),
    Table(name="campaign", free=("name", "transactional_reason", "data"),
          plain=("subject", "preheader", "design", "mjml", "links"), why="what is written to all"),
    Table(name="campaign_attachment", plain=("name", "media_type"), why="a file that all get"),
    Table(name="campaign_segment"),
    Table(name="content_version", plain=("content_hash", "subject", "preheader", "html", "text", "data"),
          why="what was sent to all, frozen; what is one person's is put in while sending and kept nowhere"),
    Table(name="design", plain=("name", "description", "mjml", "data"), why="what is written to all"),
    Table(name="attachment", plain=("content_hash", "data"), why="a file that all get"),
    Table(name="version_attachment", plain=("name", "media_type"), why="a file that all get"),
    Table(name="tracked_link", plain=("url", "label", "page_text"), why="links that all get"),
    Table(name="link_action", plain=("params",), why="what a link does, for all"),
    Table(name="webhook", plain=("name", "url", "secret"), why="our own receivers"),
    Table(name="verdict_run"),
    Table(name="breaker", free=("note",), plain=("scope_key", "figures")),
    Table(name="breaker_change", free=("note",), plain=("scope_key", "figures")),
    Table(name="canary_watch", free=("note",)),
    Table(name="rate_slot", plain=("provider",), why="counts"),
    Table(name="rate_look", plain=("domain",), why="counts; the domain is our own"),
    Table(name="outside_figure", plain=("source", "domain", "domain_reputation"), why="about our own domains"),
    Table(name="follow_up_rules", plain=("group_name", "holidays"), why="how tasks are shared out"),
    Table(name="follow_up_turn", plain=("group_name",), why="whose turn it is"),
    Table(name="follow_up_mail"),
    Table(name="staff", plain=("email", "name", "group_name", "password_hash", "timezone"),
          why="who works here; ends with the work, not with a marketing contact"),
    Table(name="sender", plain=("name", "from_name", "from_email", "reply_to", "postal_address",
                                "organisation_number", "privacy_url", "footer"), why="who mails are from"),
    Table(name="sending_domain", plain=("domain", "checks"), why="our own domains"),
    Table(name="dkim_key", plain=("selector", "private_key", "public_key"), why="our own keys"),
    Table(name="transport", plain=("name", "label", "secret"), why="our own relays"),
    Table(name="spool_position", plain=("host", "file"), why="names of our own files"),
    Table(name="workspace", free=("stop_note",), plain=("name", "timezone", "limits", "brand_color")),
)  # fmt: skip

REGISTER: tuple[Table, ...] = (*PEOPLE, *CONSENT, *FORMS, *MAILS, *SEGMENTS, *PRIVACY, *OTHERS)
OF_PERSONS: tuple[Table, ...] = tuple(table for table in REGISTER if table.found)
"""The tables in which rows of one person are found, in the order of an export."""


def of_phase(phase: Phase) -> tuple[Table, ...]:
    """Return the tables whose rows an erasure changes in this phase."""
    return tuple(table for table in OF_PERSONS if table.phase is phase and table.fate is not Fate.KEEP)


def get_table(name: str) -> Table:
    """Return a table of the register; KeyError for a name that is none."""
    return _BY_NAME[name]


_BY_NAME = {table.name: table for table in REGISTER}
