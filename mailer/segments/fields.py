"""What a rule may ask about: fields by name, their kind, and the operators of each kind (FEATURES S5 to S12). Pure.

A new field is a line here, a word in docs/reference/segment-rules.md and, where its kind is new, a room in compile/.
Names of ours that came later than own fields have a dot, or may be told apart: `own.KEY` always means the own field.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from mailer.segments.periods import DateOp
from mailer.statuses import Basis, FieldType, Permission


class Kind(StrEnum):
    """Kinds of field; own fields have one of the first six."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    CHOICE = "choice"
    TAGS = "tags"
    BEHAVIOR = "behavior"
    ACTIVITY = "activity"
    TOPIC = "topic"
    SUPPRESSED = "suppressed"
    CONSENT = "consent"
    FOLLOW_UP = "follow_up"
    SEGMENT = "segment"


class Value(StrEnum):
    """What stands behind an operator."""

    NOTHING = "nothing"
    TEXT = "text"
    TEXTS = "texts"
    NUMBER = "number"
    NUMBERS = "numbers"
    DAY = "day"
    DAYS = "days"
    PERIOD = "period"
    ANY_PERIOD = "any_period"
    BEHAVIOR = "behavior"
    ACTIVITY = "activity"
    TOPICS = "topics"
    SUPPRESSED = "suppressed"
    CONSENT = "consent"
    FOLLOW_UP = "follow_up"
    SEGMENTS = "segments"


MAY_BE_EMPTY = frozenset({Value.BEHAVIOR, Value.SUPPRESSED, Value.CONSENT, Value.FOLLOW_UP})
"""What means something without a value: "opened any mail, ever"."""


TEXT_OPS = {
    "equals": Value.TEXT, "not_equals": Value.TEXT, "is_exactly": Value.TEXT, "is_not_exactly": Value.TEXT,
    "contains": Value.TEXT, "not_contains": Value.TEXT, "starts_with": Value.TEXT, "not_starts_with": Value.TEXT,
    "ends_with": Value.TEXT, "not_ends_with": Value.TEXT, "is_empty": Value.NOTHING, "is_not_empty": Value.NOTHING,
    "is_one_of": Value.TEXTS, "is_none_of": Value.TEXTS,
}  # fmt: skip
NUMBER_OPS = {
    "=": Value.NUMBER, "<>": Value.NUMBER, "<": Value.NUMBER, "<=": Value.NUMBER, ">": Value.NUMBER, ">=": Value.NUMBER,
    "between": Value.NUMBERS, "is_empty": Value.NOTHING, "is_not_empty": Value.NOTHING,
}  # fmt: skip
DATE_OPS = {
    DateOp.BEFORE.value: Value.DAY, DateOp.ON.value: Value.DAY, DateOp.AFTER.value: Value.DAY,
    DateOp.BETWEEN.value: Value.DAYS, DateOp.TODAY.value: Value.NOTHING, DateOp.BEFORE_TODAY.value: Value.NOTHING,
    DateOp.AFTER_TODAY.value: Value.NOTHING, DateOp.THIS.value: Value.PERIOD, DateOp.PREVIOUS.value: Value.PERIOD,
    DateOp.NEXT.value: Value.PERIOD, DateOp.THIS_AND_PREVIOUS.value: Value.PERIOD,
    DateOp.THIS_AND_NEXT.value: Value.PERIOD, "in": Value.ANY_PERIOD,
    "is_empty": Value.NOTHING, "is_not_empty": Value.NOTHING,
}  # fmt: skip
OPERATORS: Mapping[Kind, Mapping[str, Value]] = {
    Kind.TEXT: TEXT_OPS,
    Kind.NUMBER: NUMBER_OPS,
    Kind.DATE: DATE_OPS,
    Kind.YES_NO: {"yes": Value.NOTHING, "no": Value.NOTHING},
    Kind.CHOICE: {
        "is_one_of": Value.TEXTS, "is_none_of": Value.TEXTS, "equals": Value.TEXT, "not_equals": Value.TEXT,
        "is_empty": Value.NOTHING, "is_not_empty": Value.NOTHING,
    },
    Kind.TAGS: {
        "is_one_of": Value.TEXTS, "is_none_of": Value.TEXTS, "has_all_of": Value.TEXTS, "has_not_all_of": Value.TEXTS,
        "is_empty": Value.NOTHING, "is_not_empty": Value.NOTHING,
    },
    Kind.BEHAVIOR: {"did": Value.BEHAVIOR, "did_not": Value.BEHAVIOR},
    Kind.ACTIVITY: {"has": Value.ACTIVITY, "has_not": Value.ACTIVITY},
    Kind.TOPIC: {
        "subscribed": Value.TOPICS, "not_subscribed": Value.TOPICS, "unsubscribed": Value.TOPICS,
        "pending": Value.TOPICS,
    },
    Kind.SUPPRESSED: {"yes": Value.SUPPRESSED, "no": Value.SUPPRESSED},
    Kind.CONSENT: {
        "given": Value.CONSENT, "withdrawn": Value.CONSENT, "expired": Value.CONSENT, "never": Value.CONSENT,
    },
    Kind.FOLLOW_UP: {"has": Value.FOLLOW_UP, "has_not": Value.FOLLOW_UP},
    Kind.SEGMENT: {"in": Value.SEGMENTS, "not_in": Value.SEGMENTS},
}  # fmt: skip

FIELDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("email", "email.domain", "external_id", "first_name", "last_name", "title", "phone", "language", "timezone",
         "country", "city", "category", "company", "company.domain", "company.industry", "company.category",
         "company.country", "consent_source"),
        Kind.TEXT,
    ),
    **dict.fromkeys(("owner", "company.owner", "permission", "basis", "email.status", "email.provider"), Kind.CHOICE),
    **dict.fromkeys(
        ("created_at", "updated_at", "company.created_at", "last_sent_at", "last_opened_at", "last_clicked_at"),
        Kind.DATE,
    ),
    **dict.fromkeys(("do_not_mail", "company.do_not_mail"), Kind.YES_NO),
    **dict.fromkeys(("sent", "opened", "clicked", "bounced", "complained", "unsubscribed"), Kind.BEHAVIOR),
    "tags": Kind.TAGS,
    "activity": Kind.ACTIVITY,
    "follow_up": Kind.FOLLOW_UP,
    "consent": Kind.CONSENT,
    "topic": Kind.TOPIC,
    "suppressed": Kind.SUPPRESSED,
    "segment": Kind.SEGMENT,
}  # fmt: skip

CLOSED_WORDS: Mapping[str, Sequence[str]] = {
    "permission": tuple(Permission),
    "basis": tuple(Basis),
    "email.status": ("ok", "no_address", "invalid_address", "hard_bounce", "asleep"),
}
"""Fields whose values are words of a closed list."""

_OWN = "own."


def kind_of(field: str, own_fields: Mapping[str, FieldType]) -> Kind | None:
    """Return the kind of a field by name; None where there is no such field."""
    if field in FIELDS:
        return FIELDS[field]
    own = own_fields.get(field.removeprefix(_OWN))
    return Kind(own.value) if own else None


def own_key_of(field: str) -> str | None:
    """Return the key of the own field that `field` names, None for a field of ours."""
    return None if field in FIELDS else field.removeprefix(_OWN)
