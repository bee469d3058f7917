"""Follow-up tasks."""

from datetime import datetime

import click

from mailer.accounts.queries import find_staff
from mailer.cli.output import json_option, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.errors import NotFoundError
from mailer.followups import queries
from mailer.followups.rules import find_calendar
from mailer.segments.bulk.service import run_bulk_task, start_bulk_task
from mailer.segments.queries import get_segment
from mailer.statuses import BulkKind, FollowUpKind, FollowUpStatus
from mailer.workspace.queries import get_workspace


@click.group()
def followups() -> None:
    """Tasks for people."""


@followups.command("list")
@click.option("--status", type=click.Choice([status.value for status in FollowUpStatus]), default="open")
@json_option
@telling_errors
def list_followups(*, status: str, as_json: bool) -> None:
    """List tasks by due date."""
    wanted = queries.Filter(status=FollowUpStatus(status))
    with opened() as ctx, ctx.read() as session:
        after = None
        while lines := queries.list_follow_ups(session, wanted, after=after, limit=500):
            print_lines(
                (
                    {
                        "id": line.task.id,
                        "contact_id": line.contact.id,
                        "contact": f"{line.contact.first_name} {line.contact.last_name}".strip(),
                        "company": line.company,
                        "title": line.task.title,
                        "kind": line.task.kind,
                        "due_on": line.task.due_on,
                        "starts_at": line.task.starts_at,
                        "minutes": line.task.minutes,
                        "owner": line.owner,
                        "source": line.task.source,
                    }
                    for line in lines
                ),
                as_json=as_json,
            )
            after = queries.key_of(lines[-1])


@followups.command()
@click.option("--segment", "name", required=True, metavar="NAME", help="One task for each member.")
@click.option("--title", required=True)
@click.option("--due", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Default: in two working days.")
@click.option("--kind", type=click.Choice([kind.value for kind in FollowUpKind]), default="to_do", show_default=True)
@click.option("--minutes", type=int, default=None, help="Of a meeting, which finds the first free hour of its owner.")
@click.option("--owner", default="", metavar="EMAIL", help="Default: the contact's owner, else the company's.")
@click.option("--per-company", is_flag=True, help="One task for each company: for its first member.")
@click.option("--once", default="", metavar="WORD", help="Repeating the command with this word creates nothing twice.")
@json_option
@telling_errors
def create(
    *,
    name: str,
    title: str,
    due: datetime | None,
    kind: str,
    minutes: int | None,
    owner: str,
    per_company: bool,
    once: str,
    as_json: bool,
) -> None:
    """Create a task for each member of a segment.

    \b
    Example:
      mailer followups create --segment "B-customers who went quiet" --title "Call and ask why"
    """
    with opened(rings=False) as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
            staff = find_staff(session, owner) if owner else None
            today = ctx.clock.today(get_workspace(session).timezone)
            calendar = find_calendar(session)
        if owner and staff is None:
            raise NotFoundError(f"no user has the address {owner}", mend="list them: mailer users list")
        params = {
            "title": title,
            "due_on": (due.date() if due else calendar.add_working_days(today, 2)).isoformat(),
            "kind": kind,
            "minutes": minutes,
            "owner": str(staff.id) if staff else "chain",
            "per": "company" if per_company else "contact",
            "once": once,
        }
        task = start_bulk_task(ctx, segment.id, BulkKind.FOLLOW_UPS, params)
        task = run_bulk_task(ctx, task.id)
    print_mapping({"segment": name, "created": task.changed_count}, as_json=as_json)
