"""Segments, continued: watch one and tell its history, its properties, who uses it, what is done to its members."""

from datetime import timedelta

import click
from sqlalchemy.orm import Session

from mailer.accounts.queries import find_staff, list_staff
from mailer.cli.output import json_option, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.segments import segments as segments
from mailer.cli.session import opened
from mailer.clock import utc_now
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.segments import Segment
from mailer.segments import freezing, removal, service
from mailer.segments.bulk.service import run_bulk_task, start_bulk_task
from mailer.segments.history import queries
from mailer.segments.history import watch as watching
from mailer.segments.history.look import look
from mailer.segments.queries import get_segment
from mailer.segments.uses import list_uses
from mailer.segments.visibility import Visibility, visibility_of
from mailer.statuses import BulkKind, SegmentChange

_event_id = click.IntRange(0, 2**63 - 1)


@segments.command()
@click.argument("name", metavar="NAME")
@json_option
@telling_errors
def watch(*, name: str, as_json: bool) -> None:
    """Watch a segment: from now on its history tells who entered and left."""
    with opened(rings=False) as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
        watching.watch(ctx, segment.id)
        seen = look(ctx, segment.id)
    members = seen.members if seen else None
    print_mapping({"segment": segment.name, "watched": True, "members": members}, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME")
@json_option
@telling_errors
def unwatch(*, name: str, as_json: bool) -> None:
    """End the watch of a segment; its history stays."""
    with opened() as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
        watching.unwatch(ctx, segment.id)
    print_mapping({"segment": segment.name, "watched": False}, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME")
@click.option("--kind", type=click.Choice([kind.value for kind in SegmentChange]), default=None)
@click.option(
    "--after", type=click.IntRange(0, 2**63 - 1), default=0, metavar="ID", help="Only what happened after this line."
)
@click.option("--sizes", is_flag=True, help="The size day by day, over a year, instead of who came and went.")
@click.option("--look", "is_fresh", is_flag=True, help="Look first.")
@json_option
@telling_errors
def history(*, name: str, kind: str | None, after: int, sizes: bool, is_fresh: bool, as_json: bool) -> None:
    """Tell who entered and left a watched segment, oldest first, with time and cause.

    \b
    Example:
      mailer segments history "Quiet for six months" --look --kind entered --json
    """
    with opened() as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
            if queries.find_watch(session, segment.id) is None and is_fresh:
                raise ConflictError(f"nobody watches {segment.name!r}", mend=f"mailer segments watch {name!r}")
        if is_fresh:
            look(ctx, segment.id)
        with ctx.read() as session:
            if sizes:
                days = queries.list_sizes(session, segment.id, utc_now() - timedelta(days=365), utc_now())
                print_lines(({"at": at, "members": members} for at, members in days), as_json=as_json)
                return
            lines = queries.iter_events(session, segment.id, after)
            print_lines(
                (
                    {
                        "id": line.id,
                        "at": line.at,
                        "kind": line.kind,
                        "contact_id": line.contact_id,
                        "cause": line.cause,
                    }
                    for line in lines
                    if kind in (None, line.kind)
                ),
                as_json=as_json,
            )


@segments.command("set")
@click.argument("name", metavar="NAME")
@click.option("--name", "new_name", default=None, metavar="TEXT", help="Another name.")
@click.option("--description", default=None, metavar="TEXT")
@click.option("--owner", default=None, metavar="EMAIL")
@click.option("--visibility", type=click.Choice([one.value for one in Visibility]), default=None)
@json_option
@telling_errors
def set_properties(
    *,
    name: str,
    new_name: str | None,
    description: str | None,
    owner: str | None,
    visibility: str | None,
    as_json: bool,
) -> None:
    """Change name, description, owner, and who sees a segment; what is not given stays."""
    with opened() as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
            staff = find_staff(session, owner) if owner else None
            if owner and staff is None:
                raise NotFoundError(f"no user has the address {owner}", mend="list them: mailer users list")
        segment = service.set_properties(
            ctx,
            segment.id,
            name=new_name,
            description=description,
            owner_id=staff.id if staff else None,
            visibility=Visibility(visibility) if visibility else None,
        )
        with ctx.read() as session:
            if service.list_twins(session, segment.name, except_id=segment.id):
                click.echo(f"warning: another segment is called {segment.name!r}; from now on use their ids", err=True)
            shown = _shown(session, segment)
    print_mapping(shown, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME")
@json_option
@telling_errors
def show(*, name: str, as_json: bool) -> None:
    """Show the properties of a segment, and who uses it."""
    with opened() as ctx, ctx.read() as session:
        segment = get_segment(session, name)
        shown = _shown(session, segment)
        uses = list_uses(session, segment.id)
    if as_json:
        print_json(shown | {"used_in": [{"kind": use.kind, "id": use.id, "name": use.name} for use in uses]})
        return
    print_mapping(shown | {"used_in": ", ".join(map(str, uses)) or "nothing"}, as_json=False)


def _shown(session: Session, segment: Segment) -> dict[str, object]:
    people = {staff.id: staff.email for staff in list_staff(session, with_archived=True)}
    return {
        "id": segment.id,
        "name": segment.name,
        "kind": segment.kind,
        "description": segment.description,
        "owner": people.get(segment.owner_id or 0),
        "visibility": visibility_of(segment).value,
        "group": segment.group_name,
        "watched": segment.is_watched,
        "archived_at": segment.archived_at,
    }


@segments.command()
@click.argument("name", metavar="NAME")
@json_option
@telling_errors
def freeze(*, name: str, as_json: bool) -> None:
    """Turn a dynamic or combined segment into a static one with the members of now."""
    with opened() as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
        segment = freezing.convert_to_static(ctx, segment.id)
    print_mapping({"id": segment.id, "name": segment.name, "kind": segment.kind}, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME")
@click.argument("new_name", metavar="NEW_NAME")
@json_option
@telling_errors
def copy(*, name: str, new_name: str, as_json: bool) -> None:
    """Create a static segment NEW_NAME with the members that NAME has now."""
    with opened() as ctx:
        with ctx.read() as session:
            source = get_segment(session, name)
        made = service.copy_members(ctx, source, new_name)
    print_mapping({"id": made.id, "name": made.name, "kind": made.kind}, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME|ID")
@click.option("--undo", is_flag=True, help="Bring it back.")
@json_option
@telling_errors
def archive(*, name: str, undo: bool, as_json: bool) -> None:
    """Take a segment that nothing works with out of the lists; an archived one is named by its id."""
    with opened() as ctx:
        with ctx.read() as session:
            segment = _find_archived(session, name) if undo else get_segment(session, name)
        segment = removal.archive_segment(ctx, segment.id, is_archived=not undo)
    print_mapping({"id": segment.id, "name": segment.name, "archived_at": segment.archived_at}, as_json=as_json)


def _find_archived(session: Session, name: str) -> Segment:
    """Return the segment with this id, archived or not; else the one in use of this name."""
    is_id = name.isdecimal() and len(name) < 19
    return get_segment(session, int(name) if is_id else name)


@segments.command("do")
@click.argument("name", metavar="NAME")
@click.argument("kind", type=click.Choice([kind.value for kind in BulkKind]))
@click.argument("params", nargs=-1, metavar="[KEY=VALUE …]")
@json_option
@telling_errors
def do_to_all(*, name: str, kind: str, params: tuple[str, ...], as_json: bool) -> None:
    """Do something to every member of a segment (docs/reference/bulk-tasks.md).

    \b
    Examples:
      mailer segments do "Seminar participants" add_tag tag=seminar
      mailer segments do "B-customers" set_field field=owner value=kari@example.com
    """
    wrong = [text for text in params if "=" not in text]
    if wrong:
        raise InputError(f"what is {wrong[0]!r}?", where="segments do", mend="give KEY=VALUE")
    with opened(rings=False) as ctx:
        with ctx.read() as session:
            segment = get_segment(session, name)
            values = dict(text.split("=", 1) for text in params)
            if BulkKind(kind) in (BulkKind.ADD_TO_SEGMENT, BulkKind.REMOVE_FROM_SEGMENT) and "segment" in values:
                values["segment_id"] = str(get_segment(session, values["segment"]).id)
        task = start_bulk_task(ctx, segment.id, BulkKind(kind), values)
        task = run_bulk_task(ctx, task.id)
    print_mapping(
        {
            "id": task.id, "status": task.status, "total": task.total, "changed": task.changed_count,
            "unchanged": task.unchanged_count, "skipped": task.skipped_count, "error": task.error,
        },
        as_json=as_json,
    )  # fmt: skip
