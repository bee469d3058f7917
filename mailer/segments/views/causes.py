"""Why somebody entered or left a segment or its list, in words, with a link where there is something to look at."""

from collections.abc import Iterable

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.schema.forms import Form
from mailer.schema.segments import BulkTask, Segment


def cause_words(session: Session, causes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the words of causes and the address of what is behind each; an empty one where there is none."""
    found: dict[str, tuple[str, str]] = {}
    for cause in dict.fromkeys(causes):
        kind, _colon, rest = cause.removeprefix("undo ").partition(":")
        number = int(rest) if rest.isdecimal() else 0
        if kind == "bulk":
            public_id = session.scalar(select(BulkTask.public_id).where(BulkTask.id == number))
            text = _("Undoing of a bulk task") if cause.startswith("undo ") else _("Bulk task")
            found[cause] = (text, url_for("bulk.show", public_id=public_id) if public_id else "")
        elif kind == "copied":
            row = session.execute(select(Segment.name, Segment.public_id).where(Segment.id == number)).first()
            text = _("Copied from %(name)s", name=row.name) if row else _("Copied from another segment")
            found[cause] = (text, url_for("segments.show", public_id=row.public_id) if row else "")
        elif kind == "form":
            name = session.scalar(select(Form.name).where(Form.id == number))
            found[cause] = (_("Signed up: %(form)s", form=name) if name else _("Signed up with a form"), "")
        else:
            found[cause] = (_plain(cause, kind), "")
    return found


def _plain(cause: str, kind: str) -> str:
    words: dict[str, str] = {
        "data": _("The data changed, or a day passed"),
        "rule": _("The rule was edited"),
        "by hand": _("By hand"),
        "link": _("A click on a link"),
        "bounces": _("What came back"),
        "converted": _("Frozen from a rule"),
        "": _("Unknown"),
    }
    return words.get(kind, cause)
