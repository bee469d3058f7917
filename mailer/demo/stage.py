"""What both stories need on the stage: staff, sender, topics, files taken in, the clock, waiting for the workers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mailer.accounts.service import create_staff
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.contacts import service as contacts
from mailer.context import Context
from mailer.demo.people import DECISION_MAKER, Plan, write_files
from mailer.errors import SetupError
from mailer.imports.service import ImportOptions, import_activities, import_contacts
from mailer.statuses import Basis, FieldType, Role
from mailer.workspace import service as workspace
from mailer.workspace.service import SenderValues

ZONE = "Europe/Oslo"
QUARANTINE_SECONDS = 2
CANARY_MINUTES = 0.05
INVITATIONS, NEWS = "Invitations", "News"
SENDER = "Fjord Seminars"
WAIT_SECONDS = 150.0


@dataclass
class Stage:
    """The running installation and what was put into it."""

    ctx: Context
    console: Console
    plan: Plan = field(default_factory=Plan)
    login: tuple[str, str] = ("", "")

    def say(self, text: str) -> None:
        """Tell the person who watches what happens now."""
        self.console.print(f"[bold cyan]▸[/] {text}", highlight=False)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show progress; the yielded function takes how much is done."""
        columns = (TextColumn("  " + title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.update(task, completed=done)

    def wait(self, what: str, is_there: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Wait for the workers. SetupError names what never came."""
        deadline = time.monotonic() + seconds
        while not is_there():
            if time.monotonic() > deadline:
                raise SetupError(f"waited {seconds:.0f} s in vain for {what}", mend="read the logs in the data folder")
            time.sleep(0.2)


def set_up(stage: Stage, folder: Path, count: int) -> None:
    """Make staff, sender, topics and own fields, then take in the files through the importer."""
    ctx = stage.ctx
    with ctx.write() as session:
        workspace.update_settings(
            session,
            name="Fjord Seminars",
            timezone=ZONE,
            limits={"quarantine_seconds": QUARANTINE_SECONDS, "canary_watch_minutes": CANARY_MINUTES},
        )
        workspace.create_sender(
            session,
            SenderValues(
                name=SENDER, from_name="Fjord Seminars", from_email="seminars@fjord.example.com",
                postal_address="Havnegata 1, 0150 Oslo, Norway", organisation_number="Org. no. 999 999 999",
                privacy_url="https://example.com/privacy",
            ),
        )  # fmt: skip
    admin, password = create_staff(ctx, "admin@example.com", Role.ADMIN, name="Admin", is_one_time=False)
    stage.login = (admin.email, password)
    for name in ("Kari", "Ola", "Ingrid"):
        create_staff(ctx, f"{name.lower()}@example.com", Role.SALES, name=name)
    consent.create_topic(ctx, INVITATIONS, description="Seminars and open days")
    consent.create_topic(ctx, NEWS, description="What is new, once a month")
    contacts.create_field(ctx, "role", "Role", FieldType.CHOICE, [DECISION_MAKER, "user", "influencer"])
    stage.plan = write_files(folder, count, utc_now())
    _take_in(stage)


def _take_in(stage: Stage) -> None:
    ctx, plan = stage.ctx, stage.plan
    given = ImportOptions(Basis.CONSENT, "sign-up at the trade fair, form of 2025", (INVITATIONS, NEWS))
    bound = ImportOptions(Basis.CONTRACT, "customer system", ())
    expected = len(plan.with_consent)
    with stage.bar("contacts with consent", expected) as told:
        result = import_contacts(ctx, plan.contact_file, given, progress=lambda done, _: told(done))
    stage.say(
        f"contacts.csv: {result.counts.new} new, {result.counts.updated + result.counts.unchanged} seen before, "
        f"{result.counts.refused} refused, each with its reason"
    )
    if (result.counts.new, result.counts.refused) != (expected, plan.bad_rows):
        raise SetupError(f"{expected} new and {plan.bad_rows} refused were expected, {result.counts} came")
    with stage.bar("customers without consent", len(plan.without_consent)) as told:
        import_contacts(ctx, plan.customer_file, bound, progress=lambda done, _: told(done))
    with stage.bar("purchases and seminars", 1) as told:
        result = import_activities(ctx, plan.activity_file, progress=lambda done, _: told(min(done, 1)))
    if result.counts.refused != plan.bad_activities:
        raise SetupError(f"{plan.bad_activities} refused activities were expected, {result.counts.refused} came")


def tomorrow_at_two(ctx: Context) -> datetime:
    """Return 14:00 of the next day in the workspace's zone, in UTC."""
    local = ctx.clock.now().astimezone(ZoneInfo(ZONE)) + timedelta(days=1)
    return local.replace(hour=14, minute=0, second=0, microsecond=0).astimezone(UTC)


def move_clock_to(ctx: Context, at: datetime) -> None:
    """Move the business time of every process to `at`; what is observed keeps the real time."""
    seconds = round((at - utc_now()).total_seconds())
    with ctx.write() as session:
        workspace.move_clock(session, seconds)
    ctx.clock.offset = timedelta(seconds=seconds)
