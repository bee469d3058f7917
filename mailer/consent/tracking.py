"""May opens and clicks be kept with the person (ePrivacy 5(3); DEFAULTS: tracking)? Decided once, pure and as SQL.

The person's own word counts first, in both directions. Where they said nothing, the workspace's setting decides: by
country (the default), never, or always. "No" means no pixel, or no link of their own, in that recipient's bytes; but a
link that does something for the person stays theirs, or it could not be done.
"""

from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, func, or_, true

from mailer.schema.consent import Consent
from mailer.statuses import Permission, Purpose

COUNTRIES = frozenset(
    {
        "fr", "fra", "france", "frankrike", "frankrig", "frankreich",
        "de", "deu", "germany", "deutschland", "tyskland", "allemagne",
        "it", "ita", "italy", "italia", "italien", "italie",
    }
)  # fmt: skip
"""Countries, as contacts may have them, where opens and clicks of a person need consent of their own."""


class TrackingMode(IntEnum):
    """The workspace's limit `tracking_unasked`: who is tracked without having been asked."""

    NOBODY = 0
    BY_COUNTRY = 1
    EVERYBODY = 2


def decide_tracking(word: Permission | None, country: str, mode: TrackingMode, *, is_click: bool = False) -> bool:
    """Return whether opens, or clicks, may be kept with a person; `word` is their own, None where they said nothing.

    A click is something that a person does; so where no country is known, it is kept and an open is not.
    """
    if word is Permission.CONSENT:
        return True
    if word is Permission.WITHDRAWN or mode is TrackingMode.NOBODY:
        return False
    place = country.strip().lower()
    return mode is TrackingMode.EVERYBODY or (place not in COUNTRIES and (is_click or place != ""))


def is_tracking_row(contact_id: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """The row of `consent` is the contact's word on tracking: for an outer join."""
    return and_(Consent.contact_id == contact_id, Consent.purpose == Purpose.TRACKING.value)


def may_track(country: SQLColumnExpression[str], mode: TrackingMode, *, is_click: bool = False) -> ColumnElement[bool]:
    """Return the same as a condition over a contact's country and the joined row (`is_tracking_row`)."""
    place = func.lower(func.trim(func.coalesce(country, "")))
    is_unasked_country = place.not_in(sorted(COUNTRIES) if is_click else ["", *sorted(COUNTRIES)])
    unasked: dict[TrackingMode, ColumnElement[bool]] = {
        TrackingMode.NOBODY: false(),
        TrackingMode.BY_COUNTRY: is_unasked_country,
        TrackingMode.EVERYBODY: true(),
    }
    word = func.coalesce(Consent.permission, "")
    return or_(word == Permission.CONSENT.value, and_(word != Permission.WITHDRAWN.value, unasked[mode]))
