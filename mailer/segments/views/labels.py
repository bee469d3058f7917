"""What fields, operators, units and parts of values are called in the rule builder."""

from collections.abc import Mapping

from flask_babel import gettext as _

from mailer.segments.fields import Kind
from mailer.segments.periods import DateOp, Unit

GROUP_ORDER = ("person", "own", "company", "behavior", "activity", "consent", "lists")


def group_labels() -> dict[str, str]:
    """Return the headings of the field picker."""
    return {
        "person": _("Person"),
        "own": _("Own fields"),
        "company": _("Company"),
        "behavior": _("Behaviour with mails"),
        "activity": _("Purchases & activities"),
        "consent": _("Consent"),
        "lists": _("Lists"),
    }


def group_of(name: str, kind: Kind) -> str:
    """Return the heading under which a field of ours stands."""
    if name.startswith("company"):
        return "company"
    if kind is Kind.SEGMENT:
        return "lists"
    if kind in (Kind.ACTIVITY, Kind.FOLLOW_UP):
        return "activity"
    if kind is Kind.BEHAVIOR or name in ("last_sent_at", "last_opened_at", "last_clicked_at"):
        return "behavior"
    if kind in (Kind.TOPIC, Kind.SUPPRESSED, Kind.CONSENT) or name in _CONSENT_FIELDS:
        return "consent"
    return "person"


_CONSENT_FIELDS = ("permission", "basis", "consent_source", "do_not_mail", "email.status")


def field_words(name: str) -> tuple[str, str]:
    """Return label and hint of a field of ours; an unknown one is called by its name."""
    words = {
        "email": (_("Address"), _("their mail address")),
        "email.domain": (_("Address: domain"), _("what stands after the @")),
        "email.provider": (_("Address: provider"), _("who runs the mailbox: google, microsoft …")),
        "email.status": (_("Address: state"), _("fine, missing, invalid, bounced")),
        "external_id": (_("External id"), _("the number in another system")),
        "first_name": (_("First name"), ""),
        "last_name": (_("Last name"), ""),
        "title": (_("Job title"), _("head of marketing, buyer …")),
        "phone": (_("Phone"), ""),
        "language": (_("Language"), ""),
        "timezone": (_("Time zone"), ""),
        "country": (_("Country"), _("where they live or work")),
        "city": (_("City"), ""),
        "category": (_("Category"), _("decision maker, user, buyer …")),
        "owner": (_("Owner"), _("who of us looks after them")),
        "tags": (_("Tags"), _("interests and marks")),
        "created_at": (_("Added on"), _("when we got to know them")),
        "updated_at": (_("Changed on"), ""),
        "company": (_("Company"), _("its name")),
        "company.domain": (_("Company: domain"), ""),
        "company.industry": (_("Company: industry"), ""),
        "company.category": (_("Company: category"), ""),
        "company.country": (_("Company: country"), ""),
        "company.owner": (_("Company: owner"), _("who of us looks after it")),
        "company.do_not_mail": (_("Company: do not mail"), ""),
        "company.created_at": (_("Company: added on"), ""),
        "sent": (_("Was sent a mail"), _("any, or of a campaign; when, how often")),
        "opened": (_("Opened a mail"), _("any, or of a campaign; people only, no machines")),
        "clicked": (_("Clicked a link"), _("any, of a campaign, or a certain link")),
        "bounced": (_("Mail bounced"), _("hard or soft, how often")),
        "complained": (_("Complained"), _("marked a mail as spam")),
        "unsubscribed": (_("Unsubscribed by a mail"), _("through the link in a mail")),
        "last_sent_at": (_("Last mail sent on"), ""),
        "last_opened_at": (_("Last opened on"), ""),
        "last_clicked_at": (_("Last clicked on"), ""),
        "activity": (_("Other activity"), _("any kind: how often, how much, own values")),
        "follow_up": (_("Follow-up task"), _("its state, kind and outcome")),
        "topic": (_("Topic"), _("subscribed, unsubscribed, waiting to confirm")),
        "permission": (_("Permission"), _("whether marketing may reach them")),
        "basis": (_("Legal basis"), ""),
        "consent": (_("Consent"), _("given, withdrawn, expired or never; when")),
        "consent_source": (_("Source of consent"), _("where it was given")),
        "suppressed": (_("Suppressed"), _("may not be written to, and why")),
        "do_not_mail": (_("Do not mail"), _("the mark on the contact")),
        "segment": (_("Segment"), _("is in another segment, or is not")),
    }
    return words.get(name, (name.replace(".", ": ").replace("_", " ").capitalize(), ""))


def operator_words(kind: Kind) -> Mapping[str, str]:
    """Return what the operators of a kind are called."""
    return {**_common_operators(), **_special_operators().get(kind, {})}


def _common_operators() -> dict[str, str]:
    return {
        "equals": _("is"),
        "not_equals": _("is not"),
        "is_exactly": _("is exactly (same case)"),
        "is_not_exactly": _("is not exactly (same case)"),
        "contains": _("contains"),
        "not_contains": _("does not contain"),
        "starts_with": _("starts with"),
        "not_starts_with": _("does not start with"),
        "ends_with": _("ends with"),
        "not_ends_with": _("does not end with"),
        "is_empty": _("is empty"),
        "is_not_empty": _("is not empty"),
        "is_one_of": _("is one of"),
        "is_none_of": _("is none of"),
        "has_all_of": _("has all of"),
        "has_not_all_of": _("has not all of"),
        "yes": _("is yes"),
        "no": _("is no"),
        **number_words(),
        **period_words(),
        "in": _("in the period"),
        "did": _("did"),
        "did_not": _("did not"),
        "has": _("there is"),
        "has_not": _("there is none"),
    }


def _special_operators() -> dict[Kind, dict[str, str]]:
    return {
        Kind.TAGS: {"is_one_of": _("has any of"), "is_none_of": _("has none of")},
        Kind.SEGMENT: {"in": _("is in any of"), "not_in": _("is in none of")},
        Kind.SUPPRESSED: {"yes": _("is suppressed"), "no": _("is not suppressed")},
        Kind.TOPIC: {
            "subscribed": _("is subscribed to any of"),
            "not_subscribed": _("is subscribed to none of"),
            "unsubscribed": _("has unsubscribed from"),
            "pending": _("has not confirmed yet"),
        },
        Kind.CONSENT: {
            "given": _("is given"),
            "withdrawn": _("was withdrawn"),
            "expired": _("has expired"),
            "never": _("was never given"),
        },
    }


def number_words() -> dict[str, str]:
    """Return what comparisons of numbers are called."""
    return {
        "=": _("is"),
        "<>": _("is not"),
        "<": _("is less than"),
        "<=": _("is at most"),
        ">": _("is more than"),
        ">=": _("is at least"),
        "between": _("is between"),
    }


def period_words() -> dict[str, str]:
    """Return what tests of dates are called, in the order of use."""
    return {
        DateOp.THIS_AND_PREVIOUS.value: _("in this and the previous"),
        DateOp.PREVIOUS.value: _("in the previous"),
        DateOp.THIS.value: _("in this"),
        DateOp.NEXT.value: _("in the next"),
        DateOp.THIS_AND_NEXT.value: _("in this and the next"),
        DateOp.BEFORE.value: _("before"),
        DateOp.ON.value: _("on"),
        DateOp.AFTER.value: _("after"),
        DateOp.BETWEEN.value: _("between"),
        DateOp.TODAY.value: _("today"),
        DateOp.BEFORE_TODAY.value: _("before today"),
        DateOp.AFTER_TODAY.value: _("after today"),
    }


def unit_words() -> list[tuple[Unit, str, str]]:
    """Return units with their names, one and several."""
    return [
        (Unit.DAY, _("day"), _("days")),
        (Unit.WEEK, _("week"), _("weeks")),
        (Unit.MONTH, _("month"), _("months")),
        (Unit.QUARTER, _("quarter"), _("quarters")),
        (Unit.HALF_YEAR, _("half-year"), _("half-years")),
        (Unit.YEAR, _("year"), _("years")),
    ]


def builder_texts() -> dict[str, str]:
    """Return the texts of the builder itself; `%(name)s` is filled in there."""
    return {
        "all": _("All of these"),
        "any": _("Any of these"),
        "none": _("None of these"),
        "joint_all": _("and"),
        "joint_any": _("or"),
        "joint_none": _("nor"),
        "group": _("How the lines of this group belong together"),
        "group_at": _("Group, level %(depth)s"),
        "line_at": _("Line %(number)s of %(total)s"),
        "field": _("Field"),
        "choose_field": _("Choose a field, or type to find it"),
        "operator": _("operator"),
        "value": _("value"),
        "values": _("values"),
        "value_of": _("value of %(name)s"),
        "type_text": _("type a text"),
        "choose": _("choose"),
        "choose_or_type": _("choose or type"),
        "choose_period": _("choose a period"),
        "any_reason": _("any reason"),
        "enter_takes": _("Nothing like it is known yet. Enter takes it as it is."),
        "nothing_found": _("Nothing found."),
        "remove_value": _("Remove %(value)s"),
        "and": _("and"),
        "from": _("from"),
        "to": _("to"),
        "day": _("day"),
        "how_many": _("how many"),
        "unit": _("unit"),
        "period": _("when"),
        "more": _("More …"),
        "own_value_name": _("name of the value"),
        "add_own_value": _("Add a condition"),
        "add_line": _("Add a line"),
        "add_group": _("Add a group"),
        "line_menu": _("What to do with this line"),
        "group_menu": _("What to do with this group"),
        "remove_line": _("Remove this line"),
        "remove_group": _("Remove this group"),
        "move_up": _("Move up"),
        "move_down": _("Move down"),
        "move_in": _("Move into the group beside it"),
        "move_out": _("Move out of its group"),
        "wrap": _("Put into a group"),
        "dissolve": _("Dissolve this group"),
        "duplicate": _("Duplicate"),
        "turn_off": _("Switch off"),
        "turn_on": _("Switch on"),
        "is_off": _("switched off"),
        "not_used_yet": _("not used yet"),
        "empty_rule": _("No lines: everybody is in. Add a line to narrow it down."),
        "empty_group": _("An empty group says nothing. Add a line to it."),
        "undo": _("Undo"),
        "line_added": _("Line added."),
        "group_added": _("Group added, with one line."),
        "line_removed": _("The line is removed."),
        "group_removed": _("The group is removed."),
        "moved": _("Moved to place %(number)s of %(total)s."),
        "moved_in": _("Moved into the group: %(group)s."),
        "moved_out": _("Moved out, now in: %(group)s."),
        "no_way": _("It cannot be moved further this way."),
        "wrapped": _("Put into a group of its own."),
        "dissolved": _("The group is dissolved, its lines stay."),
        "duplicated": _("Duplicated."),
        "turned_off": _("Switched off."),
        "turned_on": _("Switched on."),
        "field_chosen": _("%(field)s is chosen."),
        "undone": _("Undone."),
        "redone": _("Done again."),
        "nothing_to_undo": _("Nothing to undo."),
        "nothing_to_redo": _("Nothing to do again."),
        "not_a_rule": _("A rule is an object with one list: all, any or none."),
    }
