"""Suppressions: who may lift what, what a file may say, and that nothing brings a person back but the person."""

import csv
import io

import pytest
from sqlalchemy import func, select

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.consent import comeback, queries, service, suppressions
from mailer.consent.bulk import Imported, ImportTerms, record_imported
from mailer.consent.lifting import LIFTED_BY, may_lift, why_not_lift
from mailer.context import Context
from mailer.errors import InputError, NotAllowedError, NotFoundError
from mailer.schema.consent import Consent, Suppression
from mailer.schema.contacts import Address
from mailer.statuses import Basis, LiftAct, Purpose, SuppressionReason
from tests.support.make import make_address, make_contact, make_staff, make_topic

R, A = SuppressionReason, LiftAct
TABLE = {
    R.HARD_BOUNCE: {A.STAFF, A.DOUBLE_OPT_IN},
    R.SOFT_BOUNCES: {A.STAFF, A.DOUBLE_OPT_IN},
    R.PROVIDER: {A.STAFF, A.DOUBLE_OPT_IN},
    R.MANUAL: {A.STAFF},
    R.UNSUBSCRIBE: {A.OWN_LINK, A.DOUBLE_OPT_IN},
    R.COMPLAINT: {A.DOUBLE_OPT_IN},
    R.ERASURE: {A.DOUBLE_OPT_IN},
}
GONE = "gone@example.com"


def _hash(ctx: Context, email: str = GONE) -> bytes:
    return hash_address(email, ctx.keys.suppression)


def _active(ctx: Context, email: str = GONE) -> list[tuple[str, str]]:
    with ctx.read() as session:
        return [(row.reason, row.scope) for row in queries.list_active_suppressions(session, _hash(ctx, email))]


@pytest.mark.parametrize("reason", list(R))
@pytest.mark.parametrize("act", list(A))
def test_who_may_lift_what_is_one_table(reason: SuppressionReason, act: LiftAct) -> None:
    assert set(LIFTED_BY) == set(R)
    assert may_lift(reason, act) is (act in TABLE[reason])
    assert (why_not_lift(reason, act) is None) is (act in TABLE[reason])


@pytest.mark.parametrize("reason", list(R))
def test_a_confirmed_sign_up_lifts_what_is_the_persons(ctx: Context, reason: SuppressionReason) -> None:
    with ctx.write() as session:
        make_address(session, GONE, key=ctx.keys.suppression, bounce_state="hard")
        service.suppress(session, _hash(ctx), reason, "test")
        lifted = comeback.lift_for_person(session, _hash(ctx), [])

    assert lifted == ([reason] if A.DOUBLE_OPT_IN in TABLE[reason] else [])
    assert bool(_active(ctx)) is (not lifted)
    with ctx.read() as session:
        is_bounce = reason in (R.HARD_BOUNCE, R.SOFT_BOUNCES)
        assert session.scalars(select(Address.bounce_state)).one() == ("ok" if is_bounce else "hard")


def test_coming_back_lifts_only_topics_that_were_asked_for(ctx: Context) -> None:
    with ctx.write() as session:
        news, offers = make_topic(session).id, make_topic(session).id
        for topic_id in (news, offers):
            service.suppress(session, _hash(ctx), R.UNSUBSCRIBE, "test", topic_id=topic_id)
        comeback.lift_for_person(session, _hash(ctx), [news])

    with ctx.read() as session:
        assert [row.topic_id for row in queries.list_active_suppressions(session, _hash(ctx))] == [offers]


@pytest.mark.parametrize("reason", list(R))
def test_an_import_of_contacts_lifts_nothing_and_gives_nothing(ctx: Context, reason: SuppressionReason) -> None:
    with ctx.write() as session:
        contact = make_contact(session, GONE, key=ctx.keys.suppression)
        service.suppress(session, _hash(ctx), reason, "test")
        person = Imported(
            contact.id, contact.ledger_id, contact.address_id or 0, _hash(ctx), is_new=False, is_new_address=False
        )
        assert record_imported(session, [person], ImportTerms(Basis.CONSENT, "file"), utc_now()) == 1
        assert session.scalar(select(func.count()).select_from(Consent)) == 0
    assert _active(ctx) == [(reason.value, "all")]


def test_a_word_against_tracking_is_no_leaving(ctx: Context) -> None:
    with ctx.write() as session:
        contact = make_contact(session, GONE, key=ctx.keys.suppression)
        service.decide_tracking(session, contact, service.Cause("page", "page"), is_allowed=False)
        person = Imported(
            contact.id, contact.ledger_id, contact.address_id or 0, _hash(ctx), is_new=False, is_new_address=False
        )
        assert record_imported(session, [person], ImportTerms(Basis.CONSENT, "file"), utc_now()) == 0
        assert queries.get_permission(session, contact.id) == "consent"


def test_an_import_that_raises_a_permission_leaves_the_word_on_tracking(ctx: Context) -> None:
    with ctx.write() as session:
        contact = make_contact(session, GONE, key=ctx.keys.suppression)
        service.decide_tracking(session, contact, service.Cause("page", "page"), is_allowed=False)
        session.flush()
        own = select(Consent.permission, Consent.source).where(Consent.purpose == Purpose.TRACKING.value)
        said = session.execute(own).one()
        person = Imported(
            contact.id, contact.ledger_id, contact.address_id or 0, _hash(ctx), is_new=False, is_new_address=False
        )
        for basis in (Basis.CUSTOMER, Basis.CONSENT):
            record_imported(session, [person], ImportTerms(basis, "file"), utc_now())

        assert queries.get_permission(session, contact.id) == "consent"
        assert session.execute(own).one() == said


def test_an_export_read_back_adds_nothing_and_brings_back_what_was_taken(ctx: Context) -> None:
    with ctx.write() as session:
        topic = make_topic(session, name="News")
        make_address(session, GONE, key=ctx.keys.suppression)
        service.suppress(session, _hash(ctx), R.COMPLAINT, "report")
        service.suppress(session, _hash(ctx, "erased@example.com"), R.ERASURE, "erasure")
        service.suppress(session, _hash(ctx), R.UNSUBSCRIBE, "test", topic_id=topic.id)
    text = io.StringIO()
    csv.writer(text).writerows([suppressions.EXPORT_COLUMNS, *suppressions.iter_export(ctx)])
    assert "erased@" not in text.getvalue()

    def read_back() -> int:
        rows = suppressions.read_list(csv.reader(io.StringIO(text.getvalue())))
        return suppressions.import_suppressions(ctx, rows, source="file").new

    assert read_back() == 0
    with ctx.write() as session:
        comeback.lift_for_person(session, _hash(ctx, "erased@example.com"), [])
        comeback.lift_for_person(session, _hash(ctx), [topic.id])
    assert read_back() == 3
    assert _active(ctx, "erased@example.com") == [("erasure", "all")]
    assert sorted(_active(ctx)) == [("complaint", "all"), ("unsubscribe", "topic")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"email": "nonsense"}, "nonsense"),
        ({"email": GONE, "topic": "Nothing"}, "topic"),
        ({"address_hash": "abc"}, "hash"),
    ],
)
def test_a_bad_line_is_refused_and_the_others_are_taken(ctx: Context, line: dict[str, str], why: str) -> None:
    found = suppressions.import_suppressions(ctx, [line, {"email": "fine@example.com"}], source="file")

    assert (found.rows, found.new, found.refused_count) == (2, 1, 1)
    (refused,) = found.refused
    assert why in " ".join(refused)


def test_a_reason_in_the_words_of_another_program_suppresses_by_hand(ctx: Context) -> None:
    found = suppressions.import_suppressions(ctx, [{"email": GONE, "reason": "asked by phone"}], source="file")

    assert (found.new, found.refused_count) == (1, 0)
    assert _active(ctx, GONE) == [("manual", "all")]


def test_a_list_without_a_header_is_addresses() -> None:
    assert list(suppressions.read_list([["a@example.com"], [""], ["b@example.com", "x"]])) == [
        {"email": "a@example.com"},
        {"email": "b@example.com"},
    ]


def test_what_staff_may_not_lift_says_who_can(ctx: Context) -> None:
    by = _staff(ctx)
    with ctx.write() as session:
        service.suppress(session, _hash(ctx), R.COMPLAINT, "report")
        service.suppress(session, _hash(ctx), R.HARD_BOUNCE, "550")
    assert suppressions.lift_suppressions(ctx, GONE, by=by) == 1

    with pytest.raises(NotAllowedError, match="reported a mail as spam"):
        suppressions.lift_suppressions(ctx, GONE, by=by)
    with pytest.raises(NotFoundError):
        suppressions.lift_suppressions(ctx, "other@example.com", by=by)


def test_one_is_lifted_also_where_only_the_hash_is_known(ctx: Context) -> None:
    by = _staff(ctx)
    with ctx.write() as session:
        service.suppress(session, _hash(ctx), R.HARD_BOUNCE, "550")
        service.suppress(session, _hash(ctx), R.COMPLAINT, "report")
        bounce, complaint = session.scalars(select(Suppression.id).order_by(Suppression.id)).all()

    suppressions.lift_one(ctx, bounce, by=by)

    assert _active(ctx) == [("complaint", "all")]
    with pytest.raises(NotAllowedError):
        suppressions.lift_one(ctx, complaint, by=by)
    with pytest.raises(NotFoundError):
        suppressions.lift_one(ctx, bounce, by=by)


def test_an_address_can_be_suppressed_for_one_topic(ctx: Context) -> None:
    with ctx.write() as session:
        topic_id = make_topic(session).id

    assert suppressions.add_suppression(ctx, GONE, source="phone", topic_id=topic_id)
    assert suppressions.add_suppression(ctx, GONE, source="phone")
    assert sorted(_active(ctx)) == [("manual", "all"), ("manual", "topic")]
    with pytest.raises(InputError):
        suppressions.add_suppression(ctx, GONE, source="phone", topic_id=topic_id + 1)


def test_a_search_finds_a_whole_address_by_its_hash(ctx: Context) -> None:
    with ctx.write() as session:
        service.suppress(session, _hash(ctx), R.ERASURE, "erasure")

    with ctx.read() as session:
        hashed = suppressions.find_hash(ctx, "Gone@Example.com")
        assert len(queries.list_suppressions(session, search=GONE, hashed=hashed)) == 1
        assert queries.list_suppressions(session, search="gone") == []
    assert suppressions.find_hash(ctx, "gone") is None


def _staff(ctx: Context) -> int:
    with ctx.write() as session:
        return make_staff(session).id
