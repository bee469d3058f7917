"""The second story: B-customers who went quiet, and a task for each (FEATURES)."""

from mailer.accounts.queries import find_staff
from mailer.demo.stage import Stage
from mailer.followups.calendar import Calendar
from mailer.segments import service as segments
from mailer.segments.bulk.service import run_bulk_task, start_bulk_task
from mailer.statuses import BulkKind, SegmentOperation
from mailer.workspace.queries import get_workspace

B_CUSTOMERS = "B-customers"
QUIET = "Quiet for six months"
QUIET_B = "B-customers who went quiet"
TITLE = "Ask why we have not heard from them"


def call_quiet_customers(stage: Stage) -> int:
    """Combine the two ready segments and create a task for each member; return how many."""
    ctx = stage.ctx
    combined = segments.create_combined(ctx, QUIET_B, SegmentOperation.INTERSECTION, [B_CUSTOMERS, QUIET])
    with ctx.read() as session:
        today = ctx.clock.today(get_workspace(session).timezone)
        seller = find_staff(session, "kari@example.com")
    params = {
        "title": TITLE,
        "kind": "call",
        "due_on": Calendar().add_working_days(today, 3).isoformat(),
        "owner": str(seller.id) if seller else "chain",
        "once": "demo",
    }
    task = start_bulk_task(ctx, combined.id, BulkKind.FOLLOW_UPS, params, by=seller.id if seller else None)
    made = run_bulk_task(ctx, task.id).changed_count
    stage.say(f"“{QUIET_B}”: {made} tasks for {seller.name if seller else 'the owner'}")
    return made
