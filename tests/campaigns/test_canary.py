"""Who goes first: the rule of DEFAULTS, the size, the spread over providers, and a prepare that dies in its middle."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from mailer.campaigns import prepare
from mailer.campaigns.canary import CANARY_ORDINALS, CanaryReason, Facts, Rules, decide_canary, share_out
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.claim import claim_batch
from mailer.delivery.sendings import release_rest
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.imports import ImportRun
from mailer.workspace.service import update_settings
from tests.support.crowd import make_crowd_campaign
from tests.support.make import make_sending, make_topic

FACTS = Facts(sendable=20_000, sample=2_000, stale=0, imported=0, is_new_domain=False)
WATCH = {"canary_above": 100, "canary_least": 60, "canary_watch_minutes": 1}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, None),
        ({"stale": 399}, None),
        ({"stale": 400}, {CanaryReason.NOT_MAILED_LATELY: 0.2}),
        ({"imported": 19}, None),
        ({"imported": 20}, {CanaryReason.NEW_IMPORT: 0.01}),
        ({"is_new_domain": True}, {CanaryReason.NEW_DOMAIN: None}),
        ({"is_new_domain": True, "sendable": 2_000}, None),
        ({"is_new_domain": True, "sendable": 2_001}, {CanaryReason.NEW_DOMAIN: None}),
    ],
)
def test_a_canary_needs_a_large_audience_and_a_reason(changes: dict[str, Any], reasons: object) -> None:
    plan = decide_canary(replace(FACTS, **changes), Rules())

    assert (plan.reasons if plan else None) == reasons


@pytest.mark.parametrize(("sendable", "size"), [(2_001, 500), (10_000, 500), (20_000, 1_000), (1_000_000, 2_000)])
def test_it_is_five_per_cent_but_500_to_2000(sendable: int, size: int) -> None:
    plan = decide_canary(replace(FACTS, sendable=sendable, is_new_domain=True), Rules())

    assert plan is not None
    assert (plan.size, plan.whole) == (size, sendable)


def test_no_watch_is_no_canary() -> None:
    assert decide_canary(replace(FACTS, is_new_domain=True), Rules(watch_seconds=0)) is None


@pytest.mark.parametrize("size", [0, 1, 7, 500, 999, 2_000])
def test_shares_add_up_and_follow_the_providers(size: int) -> None:
    audience = {"google": 1_400, "microsoft": 333, "other": 200, "yahoo": 66, "apple": 1}

    given = share_out(size, audience)

    assert sum(given.values()) == size
    for name, count in audience.items():
        assert abs(given[name] - size * count / 2_000) < 1


def make_campaign(ctx: Context, people: dict[str, int]) -> int:
    """A campaign in `preparing` for so many readers at each domain; its id."""
    return make_crowd_campaign(ctx, {("p", domain): count for domain, count in people.items()}, WATCH)


def count_first(ctx: Context, campaign_id: int) -> Counter[str]:
    """Messages in canary batches by provider."""
    with ctx.read() as session:
        rows = session.execute(
            select(SendBatch.provider, func.count())
            .join(Message, Message.batch_id == SendBatch.id)
            .join(Campaign, Campaign.sending_id == Message.sending_id)
            .where(SendBatch.ordinal < CANARY_ORDINALS, Campaign.id == campaign_id)
            .group_by(SendBatch.provider)
        )
        return Counter({provider: count for provider, count in rows})


def test_the_first_share_is_spread_over_providers_and_the_rest_is_kept_back(ctx: Context) -> None:
    campaign_id = make_campaign(ctx, {"gmail.com": 240, "outlook.com": 120, "example.com": 240})

    prepare.prepare(ctx, campaign_id)

    assert count_first(ctx, campaign_id) == {"google": 24, "microsoft": 12, "other": 24}
    with ctx.write() as session:
        sending = session.scalars(select(Sending)).one()
        claimed = []
        while (claim := claim_batch(session, sending.id, ctx.clock.now() + timedelta(days=1))) is not None:
            claimed.append(claim.ordinal)
        assert sending.canary is not None
        assert (sending.canary["size"], sending.canary["of"]) == (60, 600)
        assert max(claimed) < CANARY_ORDINALS == (sending.release_limit or 0) + 1
        assert release_rest(session, ctx, sending.id)
        assert not release_rest(session, ctx, sending.id)
        assert claim_batch(session, sending.id, ctx.clock.now() + timedelta(days=1)) is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_first_are_not_the_oldest_contacts(ctx: Context) -> None:
    campaign_id = make_campaign(ctx, {"example.com": 600})

    prepare.prepare(ctx, campaign_id)

    with ctx.read() as session:
        places = session.scalars(
            select(Message.contact_id)
            .join(SendBatch, SendBatch.id == Message.batch_id)
            .where(SendBatch.ordinal < CANARY_ORDINALS)
        ).all()
        ids = session.scalars(select(Contact.id).order_by(Contact.id)).all()
    thirds = Counter(ids.index(one) // 200 for one in places if one)
    assert all(10 <= thirds[number] <= 30 for number in range(3))


def test_a_prepare_that_died_keeps_its_plan(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign_id = make_campaign(ctx, {"gmail.com": 240, "example.com": 360})
    monkeypatch.setattr(prepare, "SQLITE_CHUNK", 250)
    monkeypatch.setattr(prepare, "POSTGRESQL_CHUNK", 250)
    written = prepare._Writer.write

    def die(self: prepare._Writer, cursor: int, last: int) -> None:
        if cursor:
            raise OSError("killed")
        written(self, cursor, last)

    monkeypatch.setattr(prepare._Writer, "write", die)
    with pytest.raises(OSError, match="killed"):
        prepare.prepare(ctx, campaign_id)
    monkeypatch.setattr(prepare._Writer, "write", written)
    with ctx.write() as session:
        update_settings(session, limits={**WATCH, "canary_least": 200})
    prepare.prepare(ctx, campaign_id)

    assert count_first(ctx, campaign_id).total() == 60
    with ctx.read() as session:
        rest = select(func.min(SendBatch.ordinal), func.count()).where(SendBatch.ordinal >= CANARY_ORDINALS)
        assert session.execute(rest).one()[0] >= CANARY_ORDINALS
        assert session.scalar(select(func.count()).select_from(Message)) == 600


def test_a_list_that_was_mailed_lately_from_a_known_domain_has_none(ctx: Context) -> None:
    campaign_id = make_campaign(ctx, {"example.com": 600})
    mail_everybody(ctx, days_ago=40)

    prepare.prepare(ctx, campaign_id)

    with ctx.read() as session:
        sending = session.scalars(select(Sending).order_by(Sending.id.desc()).limit(1)).one()
        assert (sending.canary, sending.release_limit) == (None, None)


def test_a_stale_list_and_a_new_import_have_one(ctx: Context) -> None:
    campaign_id = make_campaign(ctx, {"example.com": 600})
    mail_everybody(ctx, days_ago=200)
    with ctx.write() as session:
        run = ImportRun(kind="contacts", file_name="new.csv", path="", digest="d", status="done", created_at=utc_now())
        session.add(run)
        session.flush()
        fresh = session.scalars(select(Contact.id).order_by(Contact.id.desc()).limit(60)).all()
        session.execute(update(Contact).where(Contact.id.in_(fresh)).values(import_id=run.id))
        session.execute(update(Message).where(Message.contact_id.in_(fresh)).values(accepted_at=None))

    prepare.prepare(ctx, campaign_id)

    with ctx.read() as session:
        sending = session.scalars(select(Sending).order_by(Sending.id.desc()).limit(1)).one()
    assert sending.canary is not None
    assert sending.canary["reasons"] == {"not_mailed_lately": 1.0, "new_import": 0.1}


def mail_everybody(ctx: Context, *, days_ago: int) -> None:
    """Write an older sending of the same domain that everybody got."""
    at = utc_now() - timedelta(days=days_ago)
    with ctx.write() as session:
        old = make_sending(session, ctx, [], make_topic(session))
        session.execute(update(Sending).where(Sending.id == old.id).values(state="finished", started_at=at))
        people = session.execute(select(Contact.id, Contact.address_id)).all()
        rows = [
            {"sending_id": old.id, "contact_id": one, "address_id": address, "recipient_key": one, "occurrence": 0,
             "state": "accepted", "reason": "", "attempts": 0, "reply": "", "accepted_at": at}
            for one, address in people
        ]  # fmt: skip
        session.execute(insert(Message), rows)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_prepares_lay_one_canary(make_ctx: Callable[..., Context]) -> None:
    first, second = make_ctx(), make_ctx()
    campaign_id = make_campaign(first, {"example.com": 600})

    assert [prepare.prepare(first, campaign_id), prepare.prepare(second, campaign_id)] == [True, False]

    assert count_first(first, campaign_id).total() == 60
    with first.read() as session:
        assert session.scalar(select(func.count()).select_from(Address)) == 600
