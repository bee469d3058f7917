"""What a mail about follow-up tasks says. Pure."""

from functools import cache
from typing import Any

from mailer.assets import read_template
from mailer.content.service import ContentSpec
from mailer.followups.telling import MeetingLine, Summary

_FOLDER = "email/tasks"
_PLACE = "https://tasks.invalid/"
_MEETING = "Meeting, made by hand"


def write_letter(summary: Summary, public_url: str) -> ContentSpec:
    """Return the content of one mail; its one link leads to the list of tasks at `public_url`."""
    return ContentSpec(
        mjml=_read_mjml().replace(_PLACE, f"{public_url.rstrip('/')}/follow-ups"),
        subject="{{ subject }}",
        preheader="",
        name="tasks",
        data={"subject": _subject(summary), "lines": _lines(summary)},
        is_marketing=False,
    )


def _subject(summary: Summary) -> str:
    """Return what there is to do in one line: what is due in the morning, what is new else."""
    new = sum(count for _, count in summary.new) + summary.by_hand + len(summary.new_meetings)
    due = summary.overdue + summary.today
    if due:
        return f"{_tasks(due)} due" + (f", {summary.overdue} overdue" if summary.overdue else "")
    return f"{_tasks(new)}, new"


def _lines(summary: Summary) -> list[dict[str, Any]]:
    """Return lines with their count, nothing where there is nothing."""
    lines: list[tuple[str, int | str]] = [("Overdue", summary.overdue), ("Due today", summary.today)]
    lines += [(f"{line.starts:%H:%M} {line.title or _MEETING}", _length(line)) for line in summary.meetings]
    lines += [(f"New: {title}", count) for title, count in summary.new]
    lines += [("New, made by hand", summary.by_hand)]
    lines += [
        (f"New: {line.title or _MEETING}, {line.starts.day} {line.starts:%b %H:%M}", _length(line))
        for line in summary.new_meetings
    ]
    return [{"what": what, "count": count} for what, count in lines if count]


def _length(line: MeetingLine) -> str:
    return f"{line.minutes} min"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


@cache
def _read_mjml() -> str:
    return read_template(f"{_FOLDER}/mail.mjml")
