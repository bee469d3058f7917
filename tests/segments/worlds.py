"""A random world for the oracle: people and all that hangs on them, as dictionaries, and the same in a database."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Consent, Subscription, Suppression, Topic
from mailer.schema.contacts import Activity, Address, Company, Contact, ContactField, ContactTag, Tag
from mailer.schema.content import ContentVersion, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.segments import Segment, SegmentInput, SegmentMember
from tests.segments.comparing import Row
from tests.segments.oracle import World
from tests.support.make import fill_engagement, make_sender, make_staff, make_workspace

TODAY = date(2026, 11, 21)
NAMES = ("Anna", "ANNA", "Åse", "åse", "Bo", "", "O'Neil", "50%_off", "50 times off", "a_b", "axb", "Émile")
CITIES = ("Oslo", "OSLO", "Ålesund", "ålesund", "Bergen", "", "x; DROP")
WORDS = ("", "Fish", "fish & chips", "Øl", "B2B", "ØL")
TAGS = ("Golf", "Mat", "Øl", "Jazz", "Sci-Fi")
TOPICS = ("News", "Nyheter Å", "Events")
KINDS = ("purchase", "seminar", "nps")
CURRENCIES = ("NOK", "EUR")
URLS = ("https://example.com/a", "https://example.com/b?x=1", "https://example.com/å")
OWN = {"seats": "number", "born": "date", "vip": "yes_no", "size": "choice", "likes": "tags", "nick": "text"}
ZONES = ("UTC", "Europe/Oslo", "America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu")


def draw_world(rng: random.Random, size: int) -> World:
    """Return a world of `size` people; the same for the same seed."""
    world = World(own_fields=dict(OWN))
    links = [(1000 + number, URLS[number % len(URLS)]) for number in range(8)]
    names = ("Autumn", "Winter", "Autumn", "Spring & more")
    world.campaigns = [
        {"id": 11 + number, "name": name, "links": links[2 * number : 2 * number + 2]}
        for number, name in enumerate(names)
    ]
    companies = [_company(rng, number) for number in range(1, 9)]
    world.people = [_person(rng, world, companies, number) for number in range(1, size + 1)]
    return world


def moment(rng: random.Random) -> datetime:
    """An instant around today, now and then the first or last second of a day somewhere."""
    at = datetime.combine(TODAY, time(12), tzinfo=UTC) + timedelta(seconds=int(rng.gauss(-90, 200) * 86_400))
    if rng.random() < 0.3:
        local = datetime.combine(at.date(), time.min, tzinfo=ZoneInfo(rng.choice(ZONES)))
        at = (local.astimezone(UTC) - timedelta(seconds=rng.choice((0, 1)))).astimezone(UTC)
    return at


def _maybe(rng: random.Random, value: Any, share: float = 0.7) -> Any:
    return value if rng.random() < share else None


def _company(rng: random.Random, number: int) -> Row:
    return {
        "id": number, "name": f"{rng.choice(('Fjord', 'Berg', 'ÅS'))} {number}", "domain": f"c{number}.example",
        "industry": rng.choice(WORDS), "category": rng.choice(WORDS), "country": rng.choice(("Norway", "Sverige", "")),
        "owner": rng.choice((None, "ola@example.com", "kari@example.com")), "do_not_mail": rng.random() < 0.2,
        "created_at": moment(rng),
    }  # fmt: skip


def _person(rng: random.Random, world: World, companies: list[Row], number: int) -> Row:
    person: Row = {
        "id": number, "external_id": _maybe(rng, f"X{number}"), "first_name": rng.choice(NAMES),
        "last_name": rng.choice(NAMES), "title": rng.choice(WORDS), "phone": rng.choice(("", "+47 1", "+46 2")),
        "language": rng.choice(("nb", "sv", "")), "timezone": rng.choice(("Europe/Oslo", "")),
        "country": rng.choice(("Norway", "Sverige", "")), "city": rng.choice(CITIES), "category": rng.choice("ABC"),
        "owner": rng.choice((None, "ola@example.com", "kari@example.com")),
        "company": _maybe(rng, rng.choice(companies)),
        "do_not_mail": rng.random() < 0.2, "archived": rng.random() < 0.1, "created_at": moment(rng),
        "updated_at": moment(rng), "tags": rng.sample(TAGS, rng.choice((0, 0, 1, 2, 3))), "data": _own(rng),
        "address": _address(rng, number), "consent": _consent(rng), "suppressions": [],
        "topics": [
            {"topic": name, "status": rng.choice(("pending", "subscribed", "unsubscribed")), "updated_at": moment(rng)}
            for name in TOPICS if rng.random() < 0.6
        ],
    }  # fmt: skip
    if person["address"]:
        reasons = rng.sample(("hard_bounce", "complaint", "manual", "unsubscribe"), rng.choice((0, 0, 1, 2)))
        person["suppressions"] = [
            {
                "reason": reason,
                "scope": rng.choice(("all", "topic")),
                "created_at": moment(rng),
                "lifted": rng.random() < 0.3,
            }
            for reason in reasons
        ]
    person["messages"] = [
        {"campaign": campaign, "accepted_at": _maybe(rng, moment(rng), 0.8)}
        for campaign in world.campaigns if rng.random() < 0.6
    ]  # fmt: skip
    person["events"] = [_event(rng, message) for message in person["messages"] for _ in range(rng.choice((0, 1, 1, 3)))]
    person["activities"] = [_activity(rng) for _ in range(rng.choice((0, 1, 2, 4)))]
    person["tasks"] = [_task(rng, world) for _ in range(rng.choice((0, 0, 1, 2)))]
    return person


def _own(rng: random.Random) -> Row:
    values = {
        "seats": rng.choice((0, 1, 2.5, 10, -3, 1000, "many", True)),
        "born": (TODAY + timedelta(days=int(rng.gauss(0, 120)))).isoformat(),
        "vip": rng.choice((True, False)),
        "size": rng.choice(("Large", "small", "ØL")),
        "likes": rng.sample(TAGS, rng.choice((0, 1, 2))),
        "nick": rng.choice(NAMES),
    }
    return {key: value for key, value in values.items() if rng.random() < 0.8}


def _address(rng: random.Random, number: int) -> Row | None:
    domain = rng.choice(("example.com", "example.org", "mail.example"))
    return _maybe(
        rng,
        {
            "email": _maybe(rng, f"p{number}@{domain}", 0.9), "domain": domain,
            "provider": rng.choice(("google", "microsoft", "other")), "is_valid": rng.random() < 0.9,
            "bounce_state": rng.choice(("ok", "ok", "hard", "asleep")),
        },
        0.9,
    )  # fmt: skip


def _consent(rng: random.Random) -> Row | None:
    return _maybe(
        rng,
        {
            "permission": rng.choice(("consent", "customer", "business", "none", "withdrawn")),
            "basis": rng.choice((None, "consent", "contract")), "source": rng.choice(("Fair 2026", "Form Å", "")),
            "expires_at": _maybe(rng, moment(rng), 0.4), "updated_at": moment(rng),
        },
        0.8,
    )  # fmt: skip


def _event(rng: random.Random, message: Row) -> Row:
    kind = rng.choice(
        ("open", "open", "click", "click", "hard_bounce", "soft_bounce", "complaint", "unsubscribe", "delivered")
    )
    is_hit = kind in ("open", "click")
    link = rng.choice(message["campaign"]["links"]) if kind == "click" else (None, None)
    return {
        "kind": kind, "class": rng.choice(("human", "proxy", "machine")) if is_hit else None, "at": moment(rng),
        "campaign": message["campaign"], "message": message, "link_id": link[0], "url": link[1],
    }  # fmt: skip


def _activity(rng: random.Random) -> Row:
    data = {
        "score": rng.choice((0, 7, 9, 10, "9", None, True)), "product": rng.choice(("Boat", "BÅT", "net", ["net"], 5)),
    }  # fmt: skip
    return {
        "kind": rng.choice(KINDS), "at": moment(rng), "amount": _maybe(rng, rng.choice((0, 100, 5000, 99_99, 250_00))),
        "currency": rng.choice(CURRENCIES), "data": {key: value for key, value in data.items() if rng.random() < 0.7},
    }  # fmt: skip


def _task(rng: random.Random, world: World) -> Row:
    status = rng.choice(("open", "done", "done", "cancelled"))
    done = status == "done"
    return {
        "kind": rng.choice(("to_do", "call", "meeting")), "status": status, "created_at": moment(rng),
        "outcome": rng.choice(("reached", "not_interested", "meeting", "sale", "")) if done else "",
        "done_at": moment(rng) if done else None, "campaign": _maybe(rng, rng.choice(world.campaigns), 0.5),
    }  # fmt: skip


# ------------------------------------------------------------------ the same in a database


def store_world(session: Session, world: World) -> None:
    """Write a world into an empty database, with its segments."""
    now = utc_now()
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql("PRAGMA foreign_keys=OFF")
    make_workspace(session)
    staff = {email: make_staff(session, email=email).id for email in ("ola@example.com", "kari@example.com")}
    topics = {name: number for number, name in enumerate(TOPICS, 1)}
    tags = {name: number for number, name in enumerate(TAGS, 1)}
    _add(
        session,
        ContactField,
        [{"key": k, "label": k, "type": v, "choices": [], "created_at": now} for k, v in OWN.items()],
    )
    _add(session, Topic, [{"id": number, "name": name, "created_at": now} for name, number in topics.items()])
    _add(session, Tag, [{"id": number, "name": name} for name, number in tags.items()])
    _store_campaigns(session, world)
    companies = {one["company"]["id"]: one["company"] for one in world.people if one["company"]}
    _add(session, Company, [
        {**{key: row[key] for key in row if key != "owner"}, "owner_id": staff.get(row["owner"])}
        for row in companies.values()
    ])  # fmt: skip
    _add(session, Address, [
        {"id": one["id"], "email_hash": _hash(one), "created_at": now, **one["address"]}
        for one in world.people if one["address"]
    ])  # fmt: skip
    plain = ("id", "external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country",
             "city", "category", "do_not_mail", "data", "created_at", "updated_at")  # fmt: skip
    _add(session, Contact, [
        {
            **{key: one[key] for key in plain}, "ledger_id": one["id"], "owner_id": staff.get(one["owner"]),
            "address_id": one["id"] if one["address"] else None, "archived_at": now if one["archived"] else None,
            "company_id": one["company"]["id"] if one["company"] else None,
        }
        for one in world.people
    ])  # fmt: skip
    for one in world.people:
        _store_person(session, one, topics, tags, staff["ola@example.com"])
    fill_engagement(session)
    _store_segments(session, world)


def _add(session: Session, table: Any, rows: list[Row]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _hash(person: Row) -> bytes:
    return int(person["id"]).to_bytes(16, "big")


def _store_campaigns(session: Session, world: World) -> None:
    now, sender = utc_now(), make_sender(session).id
    for campaign in world.campaigns:
        number = campaign["id"]
        session.add(ContentVersion(id=number, content_hash=str(number), subject="", html="", text="", created_at=now))
        session.flush()
        session.add(
            Sending(id=number, sending_class="marketing", sender_id=sender, content_version_id=number, state="finished",
                    key_id=1, created_at=now)
        )  # fmt: skip
        session.flush()
        session.add(Campaign(id=number, name=campaign["name"], sending_id=number, created_at=now, updated_at=now))
        for ordinal, (link_id, url) in enumerate(campaign["links"]):
            session.add(TrackedLink(id=link_id, content_version_id=number, ordinal=ordinal, url=url))
        session.flush()


def _store_person(session: Session, one: Row, topics: dict[str, int], tags: dict[str, int], owner: int) -> None:
    mine = {"contact_id": one["id"]}
    _add(session, ContactTag, [mine | {"tag_id": tags[name]} for name in one["tags"]])
    _add(session, Consent, [mine | {"purpose": "e_marketing", **one["consent"]}] if one["consent"] else [])
    _add(session, Subscription, [
        mine | {"topic_id": topics[row["topic"]], "status": row["status"], "updated_at": row["updated_at"]}
        for row in one["topics"]
    ])  # fmt: skip
    _add(session, Suppression, [
        {"address_hash": _hash(one), "scope": row["scope"], "topic_id": 1 if row["scope"] == "topic" else None,
         "reason": row["reason"], "created_at": row["created_at"], "lifted_at": utc_now() if row["lifted"] else None}
        for row in one["suppressions"]
    ])  # fmt: skip
    for row in one["messages"]:
        message = Message(sending_id=row["campaign"]["id"], recipient_key=one["id"], state="accepted",
                          accepted_at=row["accepted_at"], **mine)  # fmt: skip
        session.add(message)
        session.flush()
        row["id"] = message.id
    _add(session, Event, [
        mine | {"message_id": row["message"]["id"], "sending_id": row["campaign"]["id"], "kind": row["kind"],
                "hit_class": row["class"], "at": row["at"], "tracked_link_id": row["link_id"], "detail": {},
                "dedupe_key": f"{one['id']}-{number}"}
        for number, row in enumerate(one["events"])
    ])  # fmt: skip
    _add(session, Activity, [mine | row | {"created_at": row["at"]} for row in one["activities"]])
    _add(session, FollowUp, [
        mine | {"owner_id": owner, "title": "t", "kind": row["kind"], "due_on": TODAY, "status": row["status"],
                "outcome": row["outcome"], "created_at": row["created_at"], "done_at": row["done_at"],
                "tracked_link_id": row["campaign"]["links"][0][0] if row["campaign"] else None}
        for row in one["tasks"]
    ])  # fmt: skip


def _store_segments(session: Session, world: World) -> None:
    now = utc_now()
    for number, row in world.segments.items():
        rule = {"rule": row["rule"]} if row["kind"] == "dynamic" else {}
        session.add(
            Segment(id=number, name=row["name"], kind=row["kind"], operation=row.get("operation"), created_at=now,
                    updated_at=now, archived_at=now if row.get("archived") else None, **rule)
        )  # fmt: skip
        session.flush()
        _add(session, SegmentMember, [
            {"segment_id": number, "contact_id": contact, "added_at": now, "cause": ""}
            for contact in row.get("members", ())
        ])  # fmt: skip
        _add(session, SegmentInput, [
            {"segment_id": number, "ordinal": ordinal, "input_id": operand}
            for ordinal, operand in enumerate(row.get("inputs", ()))
        ])  # fmt: skip
