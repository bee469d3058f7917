"""Changes of the workspace. They take the caller's session: accounts/control.py adds the audit line beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from mailer.addresses import AddressError, check_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, Problem
from mailer.schema.workspace import Sender, Workspace
from mailer.workspace import queries
from mailer.workspace.brand import is_color
from mailer.workspace.limits import check_limits


@dataclass(frozen=True, kw_only=True)
class SenderValues:
    """What a sender profile is made of; `footer` and the ids are optional."""

    name: str
    from_name: str
    from_email: str
    postal_address: str
    reply_to: str = ""
    organisation_number: str = ""
    privacy_url: str = ""
    footer: str = ""


def ensure_workspace(ctx: Context) -> Workspace:
    """Return the settings row, made from the installation's settings where there is none. Safe to repeat."""
    with ctx.write() as session:
        return open_workspace(session, timezone=ctx.settings.timezone)


def open_workspace(session: Session, *, timezone: str = "UTC") -> Workspace:
    """Return the settings row for changing it; made where there is none."""
    row = session.get(Workspace, 1, with_for_update=True)
    if row is None:
        now = utc_now()
        row = Workspace(id=1, timezone=timezone, created_at=now, updated_at=now)
        session.add(row)
        session.flush()
    return row


def update_settings(
    session: Session,
    *,
    name: str | None = None,
    timezone: str | None = None,
    limits: Mapping[str, Any] | None = None,
    brand_color: str | None = None,
) -> Workspace:
    """Change the settings that are given; InputError lists every value that cannot be."""
    problems: list[Problem] = []
    kept: dict[str, float] | None = None
    if name is not None and not name.strip():
        problems.append(Problem("name", "the workspace needs a name"))
    if timezone is not None and timezone not in available_timezones():
        problems.append(Problem("timezone", "no such time zone", "use a name such as Europe/Oslo"))
    if brand_color and not is_color(brand_color):
        problems.append(Problem("brand_color", f"{brand_color!r} is no color", "write it as #3a4fd0"))
    try:
        kept = None if limits is None else check_limits(limits)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    row = open_workspace(session)
    row.name = row.name if name is None else name.strip()
    row.timezone = timezone or row.timezone
    row.brand_color = row.brand_color if brand_color is None else brand_color.lower()
    row.limits = row.limits if kept is None else kept
    row.updated_at = utc_now()
    return row


def move_clock(session: Session, seconds: int) -> None:
    """Set the offset of business time; every process reads it (DESIGN: time)."""
    row = open_workspace(session)
    row.clock_offset_seconds = seconds
    row.updated_at = utc_now()


def stop_all(session: Session, note: str) -> bool:
    """Hold all marketing at the next gate; False where it was held already. Survives restarts."""
    row = open_workspace(session)
    if row.stopped_at is not None:
        return False
    row.stopped_at = utc_now()
    row.stop_note = note
    return True


def release_all(session: Session, note: str) -> bool:
    """Let marketing go on; a note says why. False where nothing was held."""
    if not note.strip():
        raise InputError("releasing needs a note", where="note", mend="say why it is safe to go on")
    row = open_workspace(session)
    if row.stopped_at is None:
        return False
    row.stopped_at = None
    row.stop_note = note.strip()
    return True


def create_sender(session: Session, values: SenderValues) -> Sender:
    """Create a sender profile.

    Raises:
        InputError: lists every value that cannot be.
        ConflictError: the name is taken.
    """
    checked = check_sender(values)
    if queries.find_sender(session, checked["name"]):
        raise ConflictError(f"a sender profile is already called {checked['name']!r}", mend="choose another name")
    sender = Sender(**checked, created_at=utc_now())
    session.add(sender)
    session.flush()
    return sender


def update_sender(session: Session, sender: Sender, values: SenderValues) -> Sender:
    """Change a sender profile; raises as `create_sender` does."""
    checked = check_sender(values)
    other = queries.find_sender(session, checked["name"])
    if other is not None and other.id != sender.id:
        raise ConflictError(f"a sender profile is already called {checked['name']!r}", mend="choose another name")
    for name, value in checked.items():
        setattr(sender, name, value)
    return sender


def check_sender(values: SenderValues) -> dict[str, str]:
    """Return the values as columns hold them; InputError lists every problem."""
    problems: list[Problem] = []
    checked = {name: str(value).strip() for name, value in vars(values).items()}
    for name, what in (("name", "the profile needs a name"), ("from_name", "say who the mails are from")):
        if not checked[name]:
            problems.append(Problem(name, what))
    if not checked["postal_address"]:
        problems.append(Problem("postal_address", "a postal address is missing", "the law asks for one in each mail"))
    for name in ("from_email", "reply_to"):
        if checked[name] or name == "from_email":
            try:
                checked[name] = check_address(checked[name]).email
            except AddressError as error:
                problems.append(Problem(name, str(error)))
    if checked["privacy_url"] and not checked["privacy_url"].startswith(("https://", "http://")):
        problems.append(Problem("privacy_url", "not a web address", "start with https://"))
    if problems:
        raise InputError(problems)
    return checked
