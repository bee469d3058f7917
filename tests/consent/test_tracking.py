"""May opens and clicks be kept with the person? The pure word and the SQL condition say the same."""

import itertools

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.consent.tracking import TrackingMode, decide_tracking, may_track
from mailer.context import Context
from mailer.schema.consent import Consent
from mailer.schema.contacts import Contact
from mailer.statuses import Permission
from tests.support.make import make_contact

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
        for mode in TrackingMode:
            rows = session.execute(
                select(Contact.country, Consent.permission, may_track(Contact.id, Contact.country, mode)).outerjoin(
                    Consent, (Consent.contact_id == Contact.id) & (Consent.purpose == "tracking")
                )
            ).all()
            assert len(rows) == len(COUNTRIES) * len(WORDS)
            for country, word, found in rows:
                assert bool(found) is decide_tracking(Permission(word) if word else None, country, mode), (
                    country,
                    word,
                )
