"""The words of the rule builder: what fields and operators are called, and which choices a field has."""

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_staff
from mailer.consent.queries import list_topics
from mailer.schema.contacts import Activity, ContactField, Tag
from mailer.segments.fields import FIELDS, OPERATORS, Kind
from mailer.segments.periods import Unit
from mailer.segments.queries import list_segments
from mailer.statuses import Basis, FieldType, Permission, SuppressionReason

_MANY = 300


def rule_words(session: Session) -> dict[str, Any]:
    """Return what the builder needs, as JSON: fields with their operators and choices, units, texts."""
    choices = _choices(session)
    fields = [_field(name, kind, choices.get(name)) for name, kind in FIELDS.items()]
    own = session.scalars(select(ContactField).where(ContactField.archived_at.is_(None)).order_by(ContactField.label))
    fields += [_own(row) for row in own]
    return {
        "fields": sorted(fields, key=lambda field: (_GROUP_ORDER.index(field["order"]), field["label"])),
        "units": [{"value": unit.value, "label": label} for unit, label in _units()],
        "kinds": list(session.scalars(select(Activity.kind).distinct().limit(50))),
        "text": _texts(),
    }


_GROUP_ORDER = ("person", "own", "company", "behavior", "consent")


def _field(name: str, kind: Kind, choices: Sequence[tuple[str, str]] | None) -> dict[str, Any]:
    return _line(name, _field_label(name), kind, _group(name, kind), choices)


def _own(row: ContactField) -> dict[str, Any]:
    choices = [(choice, choice) for choice in row.choices] if row.type == FieldType.CHOICE else None
    return _line(row.key, row.label, Kind(row.type), "own", choices)


def _line(name: str, label: str, kind: Kind, group: str, choices: Sequence[tuple[str, str]] | None) -> dict[str, Any]:
    labels = _operators()
    return {
        "name": name,
        "label": label,
        "group": _groups()[group],
        "order": group,
        "type": kind.value,
        "ops": [
            {"name": op, "label": str(labels.get(op, op.replace("_", " "))), "value": shape.value}
            for op, shape in OPERATORS[kind].items()
        ],
        "choices": [{"value": value, "label": text} for value, text in choices] if choices else None,
    }


def _group(name: str, kind: Kind) -> str:
    if name.startswith("company"):
        return "company"
    if kind in (Kind.BEHAVIOR, Kind.ACTIVITY, Kind.SEGMENT):
        return "behavior"
    if kind in (Kind.TOPIC, Kind.SUPPRESSED) or name in ("permission", "basis", "consent_source", "do_not_mail"):
        return "consent"
    return "person"


def _choices(session: Session) -> dict[str, list[tuple[str, str]]]:
    people = [(person.email, person.name or person.email) for person in list_staff(session)]
    tags = session.scalars(select(Tag.name).order_by(Tag.name).limit(_MANY))
    return {
        "owner": people,
        "company.owner": people,
        "topic": [(topic.name, topic.name) for topic in list_topics(session)],
        "segment": [(segment.name, segment.name) for segment in list_segments(session)[:_MANY]],
        "permission": [(word.value, word.value) for word in Permission],
        "basis": [(word.value, word.value.replace("_", " ")) for word in Basis],
        "suppressed": [(word.value, word.value.replace("_", " ")) for word in SuppressionReason],
        "tags": [(tag, tag) for tag in tags],
    }


def _groups() -> dict[str, str]:
    return {
        "person": _("Person"),
        "own": _("Own fields"),
        "company": _("Company"),
        "behavior": _("What they did"),
        "consent": _("Permission"),
    }


def _field_label(name: str) -> str:
    labels = {
        "email": _("Address"),
        "sent": _("Mail sent"),
        "opened": _("Mail opened"),
        "clicked": _("Link clicked"),
        "bounced": _("Mail bounced"),
        "complained": _("Complaint"),
        "activity": _("Activity (purchase, seminar …)"),
        "segment": _("Other segment"),
        "topic": _("Topic"),
        "suppressed": _("Suppressed"),
        "created_at": _("Added on"),
        "updated_at": _("Changed on"),
    }
    return str(labels.get(name) or name.replace(".", ": ").replace("_", " ").capitalize())


def _operators() -> dict[str, str]:
    return {
        "equals": _("is"),
        "not_equals": _("is not"),
        "is_exactly": _("is exactly (case)"),
        "is_not_exactly": _("is not exactly (case)"),
        "not_contains": _("does not contain"),
        "not_starts_with": _("does not start with"),
        "not_ends_with": _("does not end with"),
        "=": _("is"),
        "<>": _("is not"),
        "<": _("is less than"),
        "<=": _("is at most"),
        ">": _("is more than"),
        ">=": _("is at least"),
        "this": _("in this …"),
        "previous": _("in the previous …"),
        "next": _("in the next …"),
        "this_and_previous": _("in this and the previous …"),
        "this_and_next": _("in this and the next …"),
        "in": _("in"),
        "not_in": _("not in"),
        "did": _("yes"),
        "did_not": _("no"),
        "has": _("there is"),
        "has_not": _("there is none"),
        "not_subscribed": _("is not subscribed to"),
        "subscribed": _("is subscribed to"),
    }


def _units() -> list[tuple[Unit, str]]:
    return [
        (Unit.DAY, _("days")),
        (Unit.WEEK, _("weeks")),
        (Unit.MONTH, _("months")),
        (Unit.QUARTER, _("quarters")),
        (Unit.HALF_YEAR, _("half-years")),
        (Unit.YEAR, _("years")),
    ]


def _texts() -> dict[str, str]:
    return {
        "all": _("All of these"),
        "any": _("Any of these"),
        "none": _("None of these"),
        "group": _("How the lines belong together"),
        "field": _("Field"),
        "operator": _("Operator"),
        "value": _("Value"),
        "from": _("From"),
        "to": _("To"),
        "count": _("How many"),
        "unit": _("Unit"),
        "add_line": _("Line"),
        "add_group": _("Group"),
        "remove_line": _("Remove this line"),
        "remove_group": _("Remove this group"),
        "ever": _("ever"),
        "this_and_previous": _("in this and the previous"),
        "previous": _("in the previous"),
        "period": _("When"),
        "at_least": _("At least how often"),
        "times": _("times"),
        "kind": _("Kind"),
        "sum": _("Sum"),
        "any_sum": _("any sum"),
    }
