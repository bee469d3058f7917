"""May opens and clicks be kept with the person? The pure word and the SQL condition say the same."""

import itertools

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.consent.tracking import TrackingMode, decide_tracking, is_tracking_row, may_track
from mailer.context import Context
from mailer.delivery.build import build_envelope, load_content, load_outgoing
from mailer.delivery.claim import claim_batch
from mailer.schema.consent import Consent
from mailer.schema.contacts import Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.statuses import Permission
from tests.support.make import make_consent, make_contact, make_reader, make_sending, make_topic

COUNTRIES = ("", " ", "Norway", "NO", "France", "fr", "FRANCE", " Germany ", "Italia", "Tyskland")
WORDS = (None, Permission.CONSENT, Permission.WITHDRAWN)


@pytest.mark.parametrize(
    ("word", "country", "mode", "is_tracked"),
    [
        (None, "Norway", TrackingMode.BY_COUNTRY, True),
        (None, "France", TrackingMode.BY_COUNTRY, False),
        (None, "", TrackingMode.BY_COUNTRY, False),
        (None, "France", TrackingMode.EVERYBODY, True),
        (None, "Norway", TrackingMode.NOBODY, False),
        (Permission.CONSENT, "France", TrackingMode.NOBODY, True),
        (Permission.WITHDRAWN, "Norway", TrackingMode.EVERYBODY, False),
    ],
)
def test_the_persons_own_word_counts_first(
    word: Permission | None, country: str, mode: TrackingMode, is_tracked: bool
) -> None:
    assert decide_tracking(word, country, mode) is is_tracked


def test_the_condition_says_what_the_pure_function_says(ctx: Context) -> None:
    with ctx.write() as session:
        for country, word in itertools.product(COUNTRIES, WORDS):
            contact = make_contact(session, country=country)
            purposes = {"e_marketing": Permission.CONSENT} | ({"tracking": word} if word else {})
            for purpose, held in purposes.items():
                session.add(
                    Consent(
                        contact_id=contact.id, purpose=purpose, permission=held.value, source="", updated_at=utc_now()
                    )
                )

    with ctx.read() as session:
        for mode, is_click in itertools.product(TrackingMode, (True, False)):
            rows = session.execute(
                select(Contact.country, Consent.permission, may_track(Contact.country, mode, is_click=is_click))
                .outerjoin(Consent, is_tracking_row(Contact.id))
                .where(Contact.id.is_not(None))
            ).all()
            assert len(rows) == len(COUNTRIES) * len(WORDS)
            for country, stored, found in rows:
                said = Permission(stored) if stored else None
                assert bool(found) is decide_tracking(said, country, mode, is_click=is_click), (country, stored, mode)


def test_without_a_country_clicks_are_kept_and_opens_are_not() -> None:
    by_country = TrackingMode.BY_COUNTRY

    assert [decide_tracking(None, "", by_country, is_click=is_click) for is_click in (True, False)] == [True, False]
    assert decide_tracking(None, "Germany", by_country, is_click=True) is False


@pytest.mark.parametrize(
    ("country", "word", "has_pixel", "personal"),
    [
        ("Norway", None, True, ["plain", "action"]),
        ("", None, False, ["plain", "action"]),
        ("France", None, False, ["action"]),
        ("France", Permission.CONSENT, True, ["plain", "action"]),
        ("Norway", Permission.WITHDRAWN, False, ["action"]),
    ],
)
def test_what_may_not_be_kept_is_not_in_the_mail(
    ctx: Context, country: str, word: Permission | None, has_pixel: bool, personal: list[str]
) -> None:
    with ctx.write() as session:
        topic = make_topic(session)
        reader = make_reader(session, topic, country=country)
        if word is not None:
            make_consent(session, reader, word, purpose="tracking")
        sending = make_sending(session, ctx, [reader], topic, mjml=MJML)
        link = session.scalars(select(TrackedLink).where(TrackedLink.url == "https://example.com/action")).one()
        session.add(LinkAction(tracked_link_id=link.id, ordinal=0, kind="follow_up", params={}, ends_at=utc_now()))
    with ctx.write() as session:
        claim = claim_batch(session, sending.id, utc_now())
        assert claim is not None
        (outgoing,) = load_outgoing(session, claim)
        content = load_content(session, ctx, sending.id)

    body = build_envelope(ctx, content, outgoing).body.replace(b"=\r\n", b"")

    assert (b"/o/" in body) is has_pixel
    assert (b"https://example.com/plain" in body) is ("plain" not in personal)
    assert b"https://example.com/action" not in body


MJML = """<mjml><mj-body><mj-section><mj-column>
<mj-button href="https://example.com/plain">Read</mj-button>
<mj-button href="https://example.com/action">Sign up</mj-button>
<mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""
