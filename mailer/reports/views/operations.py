"""Operations: queue age, what runs and why it waits, relays, workers, and the button that stops everything."""

from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from mailer.clock import utc_now
from mailer.delivery.transport_service import list_lines
from mailer.forms.queries import list_tripped
from mailer.reports.leaving import get_leaving
from mailer.reports.operations import get_operations
from mailer.web.access import MARKETING, OPERATIONS, access
from mailer.web.requests import app_context

pages = Blueprint("operations", __name__, url_prefix="/operations")


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def show() -> ResponseReturnValue:
    """Show where everything stands."""
    with app_context().read() as session:
        leaving = get_leaving(session)
    return render_template("admin/reports/operations.html", leaving=leaving, **_values())


@pages.get("/live")
@access(*MARKETING, *OPERATIONS)
def live() -> ResponseReturnValue:
    """Return the part that moves, as a fragment that asks again."""
    return render_template("admin/reports/operations_live.html", **_values())


def _values() -> dict[str, Any]:
    ctx = app_context()
    with ctx.read() as session:
        return {
            "operations": get_operations(session, ctx),
            "relays": list_lines(session, ctx),
            "tripped": list_tripped(session, utc_now()),
        }
