"""The report of a campaign, live while it runs: progress, reactions, links, skipped, recipients."""

import uuid
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.campaigns.queries import get_by_public_id, get_progress
from mailer.delivery.queries import get_sending
from mailer.delivery.why import why_not_moving
from mailer.reports import campaign_figures
from mailer.reports.campaign_figures import REACTIONS, Curve, RecipientLine
from mailer.reports.guarded import get_guarded
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Sending
from mailer.statuses import MessageState, SendingState
from mailer.web.access import access
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context

pages = Blueprint("report", __name__, url_prefix="/campaigns/<uuid:public_id>")
MOVING = (SendingState.PREPARING, SendingState.SENDING, SendingState.PAUSED, SendingState.SCHEDULED)
_DRAFTS = (SendingState.DRAFT, SendingState.MISSED)


@pages.get("")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the report; a draft leads to its steps."""
    with app_context().read() as session:
        campaign = get_by_public_id(session, public_id)
        if campaign.sending_id is None and campaign.status in _DRAFTS:
            return redirect(url_for("campaigns.edit", public_id=public_id, step="setup"))
        values = _live(session, campaign)
        if campaign.sending_id:
            sending = get_sending(session, campaign.sending_id)
            values["plot"] = _plot(campaign_figures.list_reactions(session, sending))
    return render_template("admin/reports/campaign.html", **values)


@pages.get("/live")
@access()
def live(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the part of the report that moves, as a fragment that asks again while there is something to come."""
    with app_context().read() as session:
        values = _live(session, get_by_public_id(session, public_id))
    was = request.args.get("was", "")
    if was and was != values["progress"].status.value:
        return Response(headers={"HX-Refresh": "true"})  # buttons and parts of the page are others now
    return render_template("admin/reports/campaign_live.html", is_fragment=True, **values)


@pages.get("/plot")
@access()
def plot(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the plot of opens and clicks as a fragment."""
    with app_context().read() as session:
        campaign = get_by_public_id(session, public_id)
        sending = session.get(Sending, campaign.sending_id) if campaign.sending_id else None
        curve = campaign_figures.list_reactions(session, sending) if sending else None
    shown = _plot(curve) if curve else None
    return render_template("admin/reports/campaign_plot.html", plot=shown, campaign=campaign)


@pages.get("/messages")
@access()
def recipients(public_id: uuid.UUID) -> ResponseReturnValue:
    """List recipients by state or reaction, in pages."""
    chosen = request.args.get("show", "")
    with app_context().read() as session:
        campaign = get_by_public_id(session, public_id)
        lines: list[RecipientLine] = []
        if campaign.sending_id:
            lines = campaign_figures.list_recipients(
                session, campaign.sending_id, show=chosen, after_id=page_key() or 0, limit=PAGE_SIZE + 1
            )
    return render_template(
        "admin/reports/recipients.html",
        campaign=campaign,
        page=cut_page(lines, _key),
        chosen=chosen,
        states=list(MessageState),
        reactions=list(REACTIONS),
    )


def _live(session: Session, campaign: Campaign) -> dict[str, Any]:
    ctx = app_context()
    progress = get_progress(session, ctx, campaign)
    figures = None
    if campaign.sending_id is not None:
        counted = progress.states, progress.skipped
        figures = campaign_figures.get_campaign_figures(session, campaign.sending_id, counted)
    return {
        "campaign": campaign,
        "progress": progress,
        "figures": figures,
        "is_moving": progress.status in MOVING,
        "causes": why_not_moving(session, ctx, campaign.sending_id) if campaign.sending_id else [],
        "plot": None,
        "guarded": get_guarded(session, campaign.sending_id),
    }


def _plot(curve: Curve) -> dict[str, Any]:
    names = {
        "human_opens": _("Opens by people"),
        "human_clicks": _("Clicks by people"),
        "machine_opens": _("Opens by machines"),
        "machine_clicks": _("Clicks by machines"),
    }
    order = ("human_opens", "human_clicks", "machine_opens", "machine_clicks")
    return {
        "kind": "line",
        "unit": "",
        "axis": _("Since the start"),
        "labels": curve.labels,
        "series": [
            {"name": names[name], "values": curve.series[name], "dashed": name.startswith("machine")} for name in order
        ],
    }


def _key(line: RecipientLine) -> int:
    return line.message_id
