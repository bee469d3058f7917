"""The words of the rule builder, as data: what can be asked, by which operators, with which values.

The builder knows shapes of values and parts of them, nothing else: a field added in fields.py appears without script.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_staff
from mailer.consent.queries import list_topics
from mailer.contacts.queries import list_fields
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import ContactField
from mailer.segments.fields import CLOSED_WORDS, FIELDS, OPERATORS, Kind
from mailer.segments.periods import DateOp
from mailer.segments.suggestions import COUNTED_FIELDS, list_kinds
from mailer.segments.views import labels
from mailer.segments.visibility import Viewer, list_visible
from mailer.statuses import FieldType, FollowUpKind, FollowUpOutcome, FollowUpStatus, SuppressionReason

Choice = Mapping[str, Any]
_SHAPES = {DateOp.BEFORE: "day", DateOp.ON: "day", DateOp.AFTER: "day", DateOp.BETWEEN: "days"}
_NOTHING = (DateOp.TODAY, DateOp.BEFORE_TODAY, DateOp.AFTER_TODAY)
_FIRST = {Kind.TEXT: "contains", Kind.NUMBER: ">=", Kind.DATE: DateOp.THIS_AND_PREVIOUS.value}
_TYPED = (FieldType.TEXT, FieldType.CHOICE, FieldType.TAGS)


def rule_words(session: Session, viewer: Viewer | None = None) -> dict[str, Any]:
    """Return what the builder needs, as JSON: fields with operators, choices and parts; units, periods, texts."""
    choices = _choices(session, viewer)
    fields = [_ours(name, kind, choices.get(name)) for name, kind in FIELDS.items()]
    fields += [_own(row) for row in list_fields(session)]
    fields += [_of_kind(kind) for kind in list_kinds(session)]
    order = {name: number for number, name in enumerate(labels.group_labels().values())}
    return {
        "fields": sorted(fields, key=lambda field: (order[field["group"]], field["label"].casefold())),
        "units": [{"value": unit.value, "one": one, "label": several} for unit, one, several in labels.unit_words()],
        "periods": [
            {"value": op, "label": label, "shape": _period_shape(DateOp(op))}
            for op, label in labels.period_words().items()
        ],
        "numbers": _listed(labels.number_words().items()),
        "tests": _listed([*labels.number_words().items(), *_text_tests()]),
        "campaigns": _campaign_names(session),
        "text": labels.builder_texts(),
    }


def _listed(pairs: Iterable[tuple[str, str]]) -> list[Choice]:
    return [{"value": value, "label": label} for value, label in pairs]


def _text_tests() -> list[tuple[str, str]]:
    names = labels.operator_words(Kind.TEXT)
    return [(op, names[op]) for op in ("equals", "not_equals", "contains", "not_contains", "starts_with", "ends_with")]


def _period_shape(op: DateOp) -> str:
    return "nothing" if op in _NOTHING else _SHAPES.get(op, "relative")


def _campaign_names(session: Session) -> dict[int, str]:
    """Names of campaigns that a rule may hold by id, the newest; others are shown by their id."""
    rows = session.execute(select(Campaign.id, Campaign.name).order_by(Campaign.id.desc()).limit(500))
    return {number: name for number, name in rows}


# ------------------------------------------------------------------ fields


def _ours(name: str, kind: Kind, choices: Sequence[Choice] | None) -> dict[str, Any]:
    label, hint = labels.field_words(name)
    group = labels.group_labels()[labels.group_of(name, kind)]
    has_values = name in COUNTED_FIELDS or kind in (Kind.SEGMENT, Kind.TOPIC) or name == "email"
    first = "is_one_of" if name in COUNTED_FIELDS - {"first_name", "last_name", "title"} else None
    return _field(name, label, kind, group, hint=hint, choices=choices, values=has_values, first=first)


def _own(row: ContactField) -> dict[str, Any]:
    kind = Kind(row.type)
    choices = _listed((str(choice), str(choice)) for choice in row.choices) if row.type == FieldType.CHOICE else None
    more: dict[str, Any] = {"choices": choices, "values": row.type in _TYPED, "also": [f"own.{row.key}"]}
    name = f"own.{row.key}" if row.key in FIELDS else row.key
    first = "is_one_of" if row.type == FieldType.TEXT else None
    return _field(name, row.label, kind, labels.group_labels()["own"], keywords=row.key, first=first, **more)


def _of_kind(kind: str) -> dict[str, Any]:
    """Return an entry of the picker for one kind of activity, "Purchase": what people look for is not "activity"."""
    label = kind.replace("_", " ").capitalize()
    group = labels.group_labels()["activity"]
    hint = _("how often, how much, when; or none of it")
    return _field("activity", label, Kind.ACTIVITY, group, hint=hint, preset={"kind": kind}, id=f"activity:{kind}")


def _field(name: str, label: str, kind: Kind, group: str, *, first: str | None = None, **more: Any) -> dict[str, Any]:
    names = labels.operator_words(kind)
    return {
        "id": name,
        "name": name,
        "label": label,
        "group": group,
        "type": kind.value,
        "first": first or _FIRST.get(kind),
        "ops": [
            {"name": op, "label": names.get(op, op.replace("_", " ")), "value": shape.value}
            for op, shape in OPERATORS[kind].items()
        ],
        "parts": _parts(name, kind),
        **{key: value for key, value in more.items() if value},
    }


def _choices(session: Session, viewer: Viewer | None) -> dict[str, list[Choice]]:
    people = _listed((person.email, person.name or person.email) for person in list_staff(session))
    closed = {name: _listed((word, _spelt(word)) for word in words) for name, words in CLOSED_WORDS.items()}
    return {
        **closed,
        "owner": people,
        "company.owner": people,
        "topic": _listed((topic.name, topic.name) for topic in list_topics(session)),
        "segment": [{"value": one.id, "label": one.name} for one in list_visible(session, viewer)],
    }


def _spelt(word: str) -> str:
    return word.replace("_", " ")


def closed_choices(session: Session, field: str) -> list[tuple[str, str]] | None:
    """Return every choice of a field whose values are a closed list, as value and label; None for other fields."""
    if field in CLOSED_WORDS:
        return [(word, _spelt(word)) for word in CLOSED_WORDS[field]]
    if field == "suppressed":
        return [(word.value, _spelt(word)) for word in SuppressionReason]
    if field in ("owner", "company.owner"):
        return [(person.email, person.name or person.email) for person in list_staff(session)]
    key = field.removeprefix("own.")
    own = [row for row in list_fields(session) if row.key == key and row.type == FieldType.CHOICE]
    return [(str(choice), str(choice)) for choice in own[0].choices] if own and field not in FIELDS else None


# ------------------------------------------------------------------ parts of a value


def _parts(name: str, kind: Kind) -> list[dict[str, Any]]:
    """Return the parts that the value of a field has, in the order of use; rare ones wait behind a button."""
    if kind is Kind.BEHAVIOR:
        return _behavior_parts(name)
    makers: dict[Kind, Callable[[], list[dict[str, Any]]]] = {
        Kind.ACTIVITY: _activity_parts,
        Kind.FOLLOW_UP: _follow_up_parts,
        Kind.TOPIC: _topic_parts,
        Kind.SUPPRESSED: _suppression_parts,
        Kind.CONSENT: lambda: [_part("period", _("when"), "period", _("ever"))],
    }
    return makers[kind]() if kind in makers else []


def _part(name: str, label: str, editor: str, none: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "label": label, "editor": editor, "none": none, **more}


def _behavior_parts(name: str) -> list[dict[str, Any]]:
    found = [_part("campaign", _("campaign"), "campaigns", _("any mail"))]
    if name == "clicked":
        found.append(_part("link", _("link"), "link", _("any link")))
    if name == "bounced":
        kinds = _listed([("hard", _("hard: the address is dead")), ("soft", _("soft: for now"))])
        found.append(_part("kind", _("kind"), "choice", _("hard or soft"), options=kinds))
    found.append(_part("period", _("when"), "period", _("ever")))
    found.append(_part("count", _("how often"), "test", _("at least once"), is_rare=True))
    if name in ("opened", "clicked"):
        found.append(_part("machine", _("count machines such as scanners, too"), "flag", is_rare=True))
    return found


def _topic_parts() -> list[dict[str, Any]]:
    return [
        _part("topic", _("topics"), "choices", _("choose"), source="topic", options=[], is_main=True),
        _part("period", _("when"), "period", _("ever"), is_rare=True),
    ]


def _activity_parts() -> list[dict[str, Any]]:
    return [
        _part("kind", _("kind"), "kind", _("choose or type"), is_main=True),
        _part("period", _("when"), "period", _("ever")),
        _part("count", _("how often"), "test", _("at least once"), is_rare=True),
        _part("sum", _("sum"), "test", _("any sum"), is_rare=True),
        _part("amount", _("amount of each"), "test", _("any amount"), is_rare=True),
        _part("currency", _("currency"), "short", _("any"), is_rare=True),
        _part("data", _("own values"), "data", is_rare=True),
    ]


def _follow_up_parts() -> list[dict[str, Any]]:
    def words(enum: Iterable[str]) -> list[Choice]:
        return _listed((word, _spelt(word)) for word in enum)

    return [
        _part("outcome", _("outcome"), "choices", _("any"), options=words(FollowUpOutcome)),
        _part("status", _("state"), "choices", _("any"), options=words(FollowUpStatus)),
        _part("kind", _("kind"), "choices", _("any"), options=words(FollowUpKind), is_rare=True),
        _part("campaign", _("campaign"), "campaigns", _("any"), is_rare=True),
        _part("period", _("when"), "period", _("ever")),
        _part("count", _("how often"), "test", _("at least once"), is_rare=True),
    ]


def _suppression_parts() -> list[dict[str, Any]]:
    reasons = _listed((word, _spelt(word)) for word in SuppressionReason)
    scopes = _listed([("all", _("everything")), ("topic", _("one topic"))])
    return [
        _part("reason", _("reason"), "choices", _("any"), source="suppressed", options=reasons, is_main=True),
        _part("scope", _("for"), "choice", _("everything or a topic"), options=scopes, is_rare=True),
        _part("period", _("since"), "period", _("ever"), is_rare=True),
    ]
