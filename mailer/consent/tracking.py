"""May opens and clicks be kept with the person (ePrivacy 5(3); DEFAULTS: tracking)? Decided once, pure and as SQL.

The person's own word counts first, in both directions. Where they said nothing, the workspace's setting decides: by
country (the default), never, or always. "No" means no pixel and no link of their own in that recipient's bytes.
"""

from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, func, not_, or_, true

from mailer.database import any_row
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


def decide_tracking(word: Permission | None, country: str, mode: TrackingMode) -> bool:
    """Return whether opens and clicks may be kept with a person; `word` is their own, None where they said nothing."""
    if word is Permission.CONSENT:
        return True
    if word is Permission.WITHDRAWN or mode is TrackingMode.NOBODY:
        return False
    place = country.strip().lower()
    return mode is TrackingMode.EVERYBODY or (place != "" and place not in COUNTRIES)


def may_track(
    contact_id: SQLColumnExpression[Any], country: SQLColumnExpression[str], mode: TrackingMode
) -> ColumnElement[bool]:
    """Return the same as a condition: `contact_id` and `country` are columns of the statement it stands in."""
    own = and_(Consent.contact_id == contact_id, Consent.purpose == Purpose.TRACKING.value)
    allowed = any_row(Consent, own, Consent.permission == Permission.CONSENT.value)
    refused = any_row(Consent, own, Consent.permission == Permission.WITHDRAWN.value)
    place = func.lower(func.trim(func.coalesce(country, "")))
    unasked: dict[TrackingMode, ColumnElement[bool]] = {
        TrackingMode.NOBODY: false(),
        TrackingMode.BY_COUNTRY: and_(place != "", place.not_in(sorted(COUNTRIES))),
        TrackingMode.EVERYBODY: true(),
    }
    return or_(allowed, and_(not_(refused), unasked[mode]))
