"""What a link or form may do, read from a file (docs/reference/link-actions.md): shapes, not what they name. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from mailer.errors import InputError
from mailer.followups.slots import LEAST_MINUTES, MOST_MINUTES
from mailer.statuses import ActionKind, FollowUpKind, LinkResponse

FOLLOW_UP_KEYS = frozenset({"title", "due_working_days", "owner", "kind", "minutes", "note"})
ASKS_FIRST = frozenset({ActionKind.ADD_TO_SEGMENT, ActionKind.SUBSCRIBE})
"""Kinds that wait for a button, where the link does not say otherwise (FEATURES L2)."""
NAMED_BY = {
    ActionKind.ADD_TO_SEGMENT: "segment",
    ActionKind.REMOVE_FROM_SEGMENT: "segment",
    ActionKind.SUBSCRIBE: "topic",
    ActionKind.WEBHOOK: "webhook",
}
"""Kinds that name something else, by name or id."""
_MAX_TAG = 100
_MAX_TEXT = 2_000
_MAX_DAYS = 365

Action = tuple[ActionKind, dict[str, Any]]


def read_action(action: object, where: str) -> Action:
    """Return an action of a file as kind and params; InputError says what is wrong.

    Params: `{"segment": name}` or `{"segment_id": id}`, so for topic and webhook; `{"tag"}`; `{"field", "value"}`; a
    follow-up's are those of the file.
    """
    if not isinstance(action, Mapping) or len(action) != 1:
        raise InputError("an action has one key, its kind", where=where, mend="use one of " + ", ".join(ActionKind))
    kind, value = next(iter(action.items()))
    if kind not in list(ActionKind):
        raise InputError(f"there is no action {kind!r}", where=where, mend="use one of " + ", ".join(ActionKind))
    kind = ActionKind(kind)
    if kind is ActionKind.FOLLOW_UP:
        return kind, _follow_up(value, where)
    if kind is ActionKind.SET_FIELD:
        return kind, _set_field(value, where)
    if kind in (ActionKind.ADD_TAG, ActionKind.REMOVE_TAG):
        return kind, {"tag": _text(value, "a tag", where, _MAX_TAG)}
    named = NAMED_BY[kind]
    if isinstance(value, int) and not isinstance(value, bool):
        return kind, {f"{named}_id": value}
    return kind, {named: _text(value, f"a {named}", where, _MAX_TAG * 2)}


def _follow_up(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or set(value) - FOLLOW_UP_KEYS or not str(value.get("title") or "").strip():
        may = ", ".join(sorted(FOLLOW_UP_KEYS - {"title"}))
        raise InputError(f"a follow-up has a title, and may have {may}", where=where)
    days = value.get("due_working_days", 1)
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _MAX_DAYS:
        raise InputError(f"due_working_days is a number from 0 to {_MAX_DAYS}", where=where)
    check_meeting(value, where)
    return dict(value)


def check_meeting(value: Mapping[str, Any], where: str) -> None:
    """Raise InputError where the kind of a follow-up is none, or its length is not that of a meeting."""
    kind, minutes = value.get("kind", FollowUpKind.TO_DO), value.get("minutes")
    if kind not in list(FollowUpKind):
        raise InputError(f"there is no task {kind!r}", where=where, mend="use one of " + ", ".join(FollowUpKind))
    if minutes is None:
        return
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise InputError(f"minutes is a number from {LEAST_MINUTES} to {MOST_MINUTES}", where=where)
    if kind != FollowUpKind.MEETING:
        raise InputError("only a meeting has minutes", where=where, mend='kind = "meeting"')


def _set_field(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or set(value) != {"field", "value"} or not str(value["field"] or "").strip():
        raise InputError("set_field has a field and a value", where=where, mend='{ field = "category", value = "hot" }')
    if isinstance(value["value"], (Mapping, list)):
        raise InputError("the value of a field is a word, a number or a day", where=where)
    return {"field": str(value["field"]).strip(), "value": _plain(value["value"])}


def _plain(value: object) -> str:
    """Return a value of a file as somebody would type it; it is read anew for the field's type when it is set."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value).strip()


def _text(value: object, what: str, where: str, limit: int) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > limit:
        raise InputError(f"this names {what}, in at most {limit} characters", where=where)
    return text


def read_page_text(value: object, response: LinkResponse, where: str) -> str:
    """Return the text of a link's page; one that shows nothing but a text needs it, a redirect has no page."""
    text = str(value or "").replace("\0", "").replace("\r\n", "\n").strip()
    if len(text) > _MAX_TEXT:
        raise InputError(f"the text of the page has {len(text)} characters; at most {_MAX_TEXT}", where=where)
    if response is LinkResponse.PAGE and not text:
        raise InputError("a page of text says nothing", where=where, mend="write what it says")
    if response is LinkResponse.REDIRECT and text:
        raise InputError("a redirect shows no text", where=where, mend='use response = "page" or "confirm"')
    return text


def read_form(value: object, response: LinkResponse, where: str) -> int | None:
    """Return the id of the form that a link opens; None where it opens none."""
    if response is not LinkResponse.FORM:
        if value not in (None, ""):
            raise InputError("only a link that answers with a form names one", where=where, mend='response = "form"')
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("a link that answers with a form names it", where=where, mend="by its name or id")
    return value


def read_end(value: object, where: str) -> date | None:
    """Return the last day of a link's actions: a day of a file, or text such as 2026-12-31; None for none."""
    if value in (None, ""):
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise InputError("not a day", where=where, mend="2026-12-31") from error
