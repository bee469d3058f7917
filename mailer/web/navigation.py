"""The side bar: which pages there are, for whom, under which heading."""

from dataclasses import dataclass

from flask import current_app, request
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from mailer.web.access import CurrentUser, stated_access


@dataclass(frozen=True)
class Entry:
    """A line of the side bar; `also` are blueprints and endpoints whose pages belong to it."""

    endpoint: str
    label: LazyString
    icon: str
    also: tuple[str, ...] = ()


SECTIONS: tuple[tuple[LazyString | str, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("dashboard.show", _("Dashboard"), "grid-1x2"),
            Entry(
                "campaigns.index",
                _("Campaigns"),
                "send",
                ("campaigns.", "report.", "unknowns.", "override.", "clickers."),
            ),
            Entry("followups.index", _("Follow-ups"), "check2-square", ("followups.",)),
        ),
    ),
    (
        _("Audience"),
        (
            Entry("contacts.index", _("Contacts"), "people", ("contacts.", "imports.", "proof.", "objections.")),
            Entry("segments.index", _("Segments"), "funnel", ("segments.", "segment_", "bulk.")),
            Entry("forms.index", _("Sign-up forms"), "ui-checks", ("forms.", "form_editor.")),
        ),
    ),
    (_("Content"), (Entry("designs.index", _("Designs"), "palette", ("designs.",)),)),
    (
        _("Deliverability"),
        (
            Entry("operations.show", _("Operations"), "speedometer", ("operations.",)),
            Entry("rates.show", _("Bounces and rates"), "activity", ("rates.", "bounces.", "came_back.", "ways_in.")),
            Entry("actions.index", _("Actions not done"), "lightning", ("actions.",)),
            Entry("suppressions.index", _("Suppressions"), "slash-circle", ("suppressions.",)),
            Entry("inbox.index", _("Inbox of the catcher"), "inbox", ("inbox.",)),
        ),
    ),
    (
        _("Privacy"),
        (
            Entry("privacy.index", _("Requests of persons"), "person-lock", ("privacy.",)),
            Entry("retention.show", _("Retention"), "hourglass-bottom", ("retention.",)),
            Entry("incident.show", _("Who was touched"), "exclamation-octagon", ("incident.",)),
        ),
    ),
    (
        _("Settings"),
        (
            Entry("settings.show", _("Workspace"), "sliders", ("settings.",)),
            Entry("senders.index", _("Sender profiles"), "person-badge", ("senders.",)),
            Entry("domains.index", _("Sending domains"), "globe2", ("domains.",)),
            Entry("transports.index", _("Transports"), "signpost-split", ("transports.",)),
            Entry("webhooks.index_webhooks", _("Webhooks"), "broadcast", ("webhooks.",)),
            Entry("topics.index", _("Topics"), "tags", ("topics.",)),
            Entry("fields.index", _("Own fields"), "input-cursor-text", ("fields.",)),
            Entry("staff.index", _("Staff"), "people-fill", ("staff.",)),
            Entry("audit.index", _("Audit"), "journal-text", ("audit.",)),
        ),
    ),
)


def sections_for(user: CurrentUser) -> list[tuple[LazyString | str, list[tuple[Entry, bool]]]]:
    """Return headings with the entries that `user` may open, each with whether it is the present page."""
    shown = []
    for heading, entries in SECTIONS:
        allowed = [(entry, _is_here(entry)) for entry in entries if _may_open(user, entry.endpoint)]
        if allowed:
            shown.append((heading, allowed))
    return shown


def _may_open(user: CurrentUser, endpoint: str) -> bool:
    stated = stated_access(current_app.view_functions.get(endpoint))
    return stated is not None and user.has_role(*stated.roles)


def _is_here(entry: Entry) -> bool:
    here = request.endpoint or ""
    return here == entry.endpoint or here.startswith(entry.also) if entry.also else here == entry.endpoint
