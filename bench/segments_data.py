"""The data that `bench.segments` and `bench.freeze` ask: people, companies, mails, events and purchases, made by SQL.

At a size of one million: 1 M contacts, 2 M messages of ten campaigns, 5 M events, 500,000 purchases, two lists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, text

from mailer.clock import utc_now
from mailer.consent.service import create_topic
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery.sendings import SendingSpec
from mailer.schema.base import Base
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Contact, ContactField
from mailer.schema.segments import Segment
from mailer.statuses import SendingClass, SendingState
from tests.support.make import make_sender, make_version

CAMPAIGNS = 10
LISTS = ("List of 300k", "List of 50k")
_FILLED = ("company", "address", "contact", "consent", "subscription", "message", "event", "activity", "segment_member")
_ENGAGEMENT = """
INSERT INTO engagement (contact_id, last_open_at, last_human_open_at, last_click_at)
SELECT contact_id, max(CASE WHEN kind = 'open' AND class <> 'machine' THEN at END),
       max(CASE WHEN kind = 'open' AND class = 'human' THEN at END),
       max(CASE WHEN kind = 'click' AND class = 'human' THEN at END)
FROM event GROUP BY contact_id
"""


def fill(ctx: Context, size: int) -> None:
    """Fill an empty database with `size` contacts and what belongs to them; one that holds people stays as it is."""
    with ctx.read() as session:
        if session.scalar(select(func.count()).select_from(Contact)):
            return
    topic = create_topic(ctx, "News")
    now = utc_now()
    with ctx.write() as session:
        sender, version = make_sender(session), make_version(session, ctx)
        spec = SendingSpec(
            sending_class=SendingClass.MARKETING, sender_id=sender.id, content_version_id=version.id, topic_id=topic.id
        )
        for number in range(1, CAMPAIGNS + 1):
            sending = sendings.create_sending(session, ctx, spec)
            sending.state = SendingState.FINISHED.value
            named = Campaign(name=f"Campaign {number}", status=sending.state, sending_id=sending.id, topic_id=topic.id)
            named.created_at = named.updated_at = now
            session.add(named)
        session.add(ContactField(key="score", label="Score", type="number", created_at=now))
        session.add(ContactField(key="plan", label="Plan", type="text", created_at=now))
        session.add_all(Segment(name=name, kind="static", created_at=now, updated_at=now) for name in LISTS)
    _fill_tables(ctx, size, topic.id)


def _fill_tables(ctx: Context, size: int, topic_id: int) -> None:
    """Fill without checks and indexes, and make those afterwards, as a restore does."""
    indexes = [index for name in _FILLED for index in Base.metadata.tables[name].indexes if not index.unique]
    words = _Words(is_sqlite=ctx.database.is_sqlite)
    with ctx.database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for statement in words.before:  # on the driver: inside a transaction SQLite ignores them
            driver.execute(statement)
        for index in indexes:
            index.drop(connection)
        for table, values, count in _tables(words, size):
            before, series = words.series(count)
            insert = (
                f"INSERT INTO {table} ({', '.join(values)}) {before} SELECT {', '.join(values.values())} FROM {series}"
            )
            connection.execute(text(insert), {"topic": topic_id, "now": words.moment()})
        connection.execute(text(_ENGAGEMENT))
        for index in indexes:
            index.create(connection)
        _move_sequences(connection)
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
        connection.invalidate()  # its settings are for filling only


def _move_sequences(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        return
    for name in ("company", "address", "contact", "message", "event", "activity"):
        moved = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))"
        connection.exec_driver_sql(moved)


@dataclass(frozen=True)
class _Words:
    """SQL of the engine for values by number `i`; `draw` is a number that looks like chance and is the same again."""

    is_sqlite: bool

    @property
    def before(self) -> tuple[str, ...]:
        if self.is_sqlite:
            return ("PRAGMA foreign_keys=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000")
        return ("SET session_replication_role = replica", "COMMIT")

    @property
    def uuid(self) -> str:
        return "printf('%032x', i)" if self.is_sqlite else "CAST(lpad(to_hex(i), 32, '0') AS uuid)"

    @property
    def digest(self) -> str:
        return "randomblob(16)" if self.is_sqlite else "decode(md5('a' || i), 'hex')"

    @property
    def padded(self) -> str:
        return "printf('%010d', i)" if self.is_sqlite else "lpad(i::text, 10, '0')"

    @property
    def no(self) -> str:
        return "0" if self.is_sqlite else "false"

    @property
    def now(self) -> str:
        return "strftime('%Y-%m-%d %H:%M:%S.000000', :now)" if self.is_sqlite else "CAST(:now AS timestamptz)"

    def moment(self) -> object:
        return utc_now().replace(tzinfo=None) if self.is_sqlite else utc_now()

    def series(self, count: int) -> tuple[str, str]:
        if self.is_sqlite:
            return f"WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count})", "s"
        return "", f"generate_series(1::bigint, {count}) AS s(i)"

    def draw(self, salt: int, among: int) -> str:
        return f"((i * {2654435761 + salt * 209458}) % 4294967296 / 7 % {among})"

    def ago(self, salt: int, days: int) -> str:
        seconds = self.draw(salt, days * 86400)
        if self.is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', :now, '-' || {seconds} || ' seconds')"
        return f"CAST(:now AS timestamptz) - {seconds} * interval '1 second'"

    def word(self, salt: int, words: str) -> str:
        listed = words.split()
        cases = " ".join(f"WHEN {number} THEN '{one}'" for number, one in enumerate(listed))
        return f"CASE {self.draw(salt, len(listed))} {cases} END"

    def json(self, **values: str) -> str:
        make = "json_object" if self.is_sqlite else "jsonb_build_object"
        return f"{make}({', '.join(f'{key!r}, {value}' for key, value in values.items())})"


def _tables(sql: _Words, size: int) -> Iterator[tuple[str, dict[str, str], int]]:
    yield from _people(sql, size)
    yield from _mails(sql, size)
    amount = {"amount": sql.draw(17, 30_000_000), "currency": "'EUR'", "note": "''", "data": "'{}'"}
    who = {"id": "i", "contact_id": f"1 + {sql.draw(15, size)}", "kind": "'purchase'", "at": sql.ago(16, 730)}
    yield "activity", {**who, **amount, "created_at": sql.now}, size // 2
    for number, step, count in ((1, 3, size * 3 // 10), (2, 11, size // 20)):
        listed = {"segment_id": str(number), "contact_id": f"1 + (i * {step}) % {size}"}
        yield "segment_member", {**listed, "added_at": sql.now, "cause": "'bench'"}, count


def _people(sql: _Words, size: int) -> Iterator[tuple[str, dict[str, str], int]]:
    country = sql.word(4, "Norway Sweden Denmark Finland Germany")
    companies = max(size // 20, 1)
    company = {
        "id": "i", "public_id": sql.uuid, "name": "'Company ' || i", "domain": "'example' || i || '.com'",
        "industry": sql.word(3, "Software Retail Shipping Food"), "category": "'A'", "country": country,
        "do_not_mail": sql.no, "created_at": sql.now,
    }  # fmt: skip
    yield "company", company, companies
    address = {
        "id": "i", "email": f"'person' || {sql.padded} || '@example' || (i % 50) || '.com'", "email_hash": sql.digest,
        "domain": "'example' || (i % 50) || '.com'", "provider": sql.word(6, "google microsoft other other"),
        "is_valid": "1" if sql.is_sqlite else "true", "bounce_state": "'ok'", "created_at": sql.now,
    }  # fmt: skip
    yield "address", address, size
    contact = {
        "id": "i", "public_id": sql.uuid, "ledger_id": "i * 7", "address_id": "i", "title": "''", "phone": "''",
        "first_name": f"'First' || {sql.draw(1, 500)}", "last_name": f"'Last' || {sql.draw(2, 5000)}", "timezone": "''",
        "language": sql.word(9, "nb sv da en"), "country": country, "city": f"'City ' || {sql.draw(5, 400)}",
        "category": sql.word(10, "Buyer User Chief Other"), "company_id": f"1 + {sql.draw(11, companies)}",
        "do_not_mail": sql.no, "created_at": sql.ago(12, 1000), "updated_at": sql.now,
        "data": sql.json(score=sql.draw(7, 100), plan=sql.word(8, "free basic team business")),
    }  # fmt: skip
    yield "contact", contact, size
    permission = "CASE WHEN i % 50 = 0 THEN 'withdrawn' ELSE 'consent' END"
    given = {"purpose": "'e_marketing'", "permission": permission, "basis": "'consent'", "source": "'form'"}
    yield "consent", {"contact_id": "i", **given, "updated_at": sql.now}, size
    status = "CASE WHEN i % 40 = 0 THEN 'unsubscribed' ELSE 'subscribed' END"
    yield "subscription", {"contact_id": "i", "topic_id": ":topic", "status": status, "updated_at": sql.now}, size


def _mails(sql: _Words, size: int) -> Iterator[tuple[str, dict[str, str], int]]:
    each = size // 5
    count = each * CAMPAIGNS
    person = f"1 + (i * 7919) % {size}"
    at = sql.ago(13, 400)
    message = {
        "id": "i", "sending_id": f"1 + (i - 1) / {each}", "contact_id": person, "address_id": person,
        "recipient_key": person, "occurrence": "0", "state": "'accepted'", "reason": "''", "attempts": "1",
        "repeats": "0", "reply": "''", "gate_at": at, "accepted_at": at,
    }  # fmt: skip
    yield "message", message, count
    place = sql.draw(18, count)
    event = {
        "id": "i", "message_id": f"1 + {place}", "sending_id": f"1 + {place} / {each}",
        "contact_id": f"1 + ((1 + {place}) * 7919) % {size}",
        "kind": sql.word(19, "click open open open"),
        "class": sql.word(20, "machine proxy human human human"),
        "at": sql.ago(14, 365), "reason": "''", "code": "''", "dedupe_key": sql.padded, "detail": "'{}'",
    }  # fmt: skip
    yield "event", event, size * 5
