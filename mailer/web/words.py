"""Words for states: what the pages call them, with an icon and a tone. Never colour alone."""

from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


@dataclass(frozen=True)
class StateWord:
    """How a state is shown; tone is ok, warn, bad, info or empty for calm."""

    label: LazyString
    icon: str
    tone: str = ""


STATE_WORDS: dict[str, StateWord] = {
    # campaigns and sendings
    "draft": StateWord(_("Draft"), "pencil"),
    "scheduled": StateWord(_("Scheduled"), "clock", "info"),
    "preparing": StateWord(_("Preparing"), "gear", "info"),
    "sending": StateWord(_("Sending"), "send", "info"),
    "paused": StateWord(_("Paused"), "pause-fill", "warn"),
    "finished": StateWord(_("Finished"), "check2-all", "ok"),
    "cancelled": StateWord(_("Cancelled"), "x-lg"),
    "missed": StateWord(_("Missed its start"), "alarm", "bad"),
    # messages
    "queued": StateWord(_("Queued"), "hourglass"),
    "transmitting": StateWord(_("Sending"), "send", "info"),
    "accepted": StateWord(_("Accepted"), "check2", "ok"),
    "delivered": StateWord(_("Delivered"), "check2-all", "ok"),
    "failed": StateWord(_("Failed"), "x-octagon", "bad"),
    "skipped": StateWord(_("Skipped"), "skip-forward"),
    "unknown": StateWord(_("Unknown"), "question-lg", "warn"),
    "expired": StateWord(_("Expired"), "hourglass-bottom"),
    "quarantined": StateWord(_("Quarantined"), "shield-exclamation", "bad"),
    "deferred": StateWord(_("Deferred"), "arrow-repeat", "warn"),
    "bounced_hard": StateWord(_("Bounced hard"), "envelope-x", "bad"),
    "bounced_soft": StateWord(_("Bounced soft"), "envelope-exclamation", "warn"),
    "complained": StateWord(_("Complained"), "hand-thumbs-down", "bad"),
    # events
    "hard_bounce": StateWord(_("Hard bounce"), "envelope-x", "bad"),
    "soft_bounce": StateWord(_("Soft bounce"), "envelope-exclamation", "warn"),
    "soft_bounces": StateWord(_("Soft bounces"), "envelope-exclamation", "warn"),
    "delayed": StateWord(_("Delayed"), "arrow-repeat", "warn"),
    "complaint": StateWord(_("Complaint"), "hand-thumbs-down", "bad"),
    "open": StateWord(_("Open"), "envelope-open", "info"),
    "click": StateWord(_("Click"), "cursor", "ok"),
    "unsubscribe": StateWord(_("Unsubscribed"), "person-dash", "warn"),
    # subscriptions, permission, suppressions
    "subscribed": StateWord(_("Subscribed"), "check2", "ok"),
    "unsubscribed": StateWord(_("Unsubscribed"), "x-lg"),
    "pending": StateWord(_("Not confirmed"), "hourglass", "warn"),
    "consent": StateWord(_("Consent"), "check2-circle", "ok"),
    "customer": StateWord(_("Customer"), "bag-check", "ok"),
    "business": StateWord(_("Business"), "building-check", "ok"),
    "none": StateWord(_("None"), "dash-lg"),
    "withdrawn": StateWord(_("Withdrawn"), "slash-circle", "bad"),
    "manual": StateWord(_("By hand"), "hand-index"),
    "erasure": StateWord(_("Erased"), "eraser", "bad"),
    "provider": StateWord(_("Provider"), "cloud-slash", "warn"),
    # the breaker of reputation
    "ok": StateWord(_("Fine"), "check2-circle", "ok"),
    "review": StateWord(_("Watch"), "eye", "warn"),
    "throttled": StateWord(_("Slowed down"), "speedometer", "warn"),
    "disabled": StateWord(_("Disabled"), "slash-circle", "bad"),
    # relays
    "works": StateWord(_("Works"), "check2-circle", "ok"),
    "spare": StateWord(_("Spare"), "life-preserver", "info"),
    "failing": StateWord(_("Failed lately"), "exclamation-triangle", "warn"),
    "resting": StateWord(_("Rests"), "moon", "bad"),
    "off": StateWord(_("Off"), "power"),
    "unpermitted": StateWord(_("Not permitted"), "shield-exclamation", "bad"),
    "unused": StateWord(_("Not in use"), "dash-lg"),
    # sending domains and their keys
    "domain_ok": StateWord(_("Fine"), "check2-circle", "ok"),
    "domain_warn": StateWord(_("Could be better"), "exclamation-triangle", "warn"),
    "domain_fail": StateWord(_("To mend"), "x-octagon", "bad"),
    "domain_unknown": StateWord(_("Could not be checked"), "question-lg", "warn"),
    "domain_unchecked": StateWord(_("Not checked yet"), "circle"),
    "key_active": StateWord(_("Signs mails"), "check2-circle", "ok"),
    "key_ready": StateWord(_("Published, not in use"), "pause-fill", "info"),
    "key_waiting": StateWord(_("Waits for its record"), "hourglass", "warn"),
    # follow-ups
    "done": StateWord(_("Done"), "check2-circle", "ok"),
    "to_do": StateWord(_("To do"), "check2-square"),
    "call": StateWord(_("Call"), "telephone"),
    "meeting": StateWord(_("Meeting"), "calendar-event"),
    # sign-up forms and sign-ups
    "form_draft": StateWord(_("Draft"), "pencil"),
    "form_open": StateWord(_("Open"), "door-open", "ok"),
    "form_closed": StateWord(_("Closed"), "door-closed"),
    "form_resting": StateWord(_("Rests after a flood"), "moon", "bad"),
    "sign_up_pending": StateWord(_("Waits for the person"), "hourglass", "info"),
    "sign_up_confirmed": StateWord(_("Confirmed"), "check2-circle", "ok"),
    "sign_up_expired": StateWord(_("Not confirmed in time"), "hourglass-bottom"),
    "sign_up_refused": StateWord(_("Refused"), "slash-circle", "warn"),
    # imports and reports that came back
    "running": StateWord(_("Running"), "arrow-repeat", "info"),
    "received": StateWord(_("Received"), "inbox"),
    "matched": StateWord(_("Matched"), "link-45deg", "ok"),
    "unmatched": StateWord(_("Not matched"), "question-lg", "warn"),
    "ignored": StateWord(_("No bounce"), "dash-lg"),
    "hard": StateWord(_("Hard"), "envelope-x", "bad"),
    "soft": StateWord(_("Soft"), "envelope-exclamation", "warn"),
    "not_bounce": StateWord(_("No bounce"), "dash-lg"),
    "undetermined": StateWord(_("For a person"), "question-lg", "warn"),
    "call_stored": StateWord(_("Taken"), "check2-circle", "ok"),
    "call_repeated": StateWord(_("A repeat"), "arrow-repeat"),
    "call_confirmed": StateWord(_("Confirmed"), "check2-circle", "ok"),
    "call_refused": StateWord(_("Refused"), "x-octagon", "bad"),
    # who fetched
    "human": StateWord(_("Person"), "person", "ok"),
    "proxy": StateWord(_("Proxy"), "cloud", "warn"),
    "machine": StateWord(_("Machine"), "robot"),
    # requests and erasures of persons
    "request_open": StateWord(_("Open"), "hourglass", "warn"),
    "request_answered": StateWord(_("Answered"), "check2-circle", "ok"),
    "request_refused": StateWord(_("Refused"), "x-lg"),
    "erasure_running": StateWord(_("Under way"), "arrow-repeat", "info"),
    "erasure_finished": StateWord(_("Erased"), "eraser", "ok"),
    # the history of segments, bulk tasks
    "entered": StateWord(_("Entered"), "box-arrow-in-right", "ok"),
    "left": StateWord(_("Left"), "box-arrow-right"),
    "bulk_gathering": StateWord(_("Gathers the members"), "people", "info"),
    "bulk_running": StateWord(_("Under way"), "arrow-repeat", "info"),
    "bulk_finished": StateWord(_("Done"), "check2-all", "ok"),
    "bulk_cancelled": StateWord(_("Stopped"), "stop-circle", "warn"),
    "bulk_failed": StateWord(_("Failed"), "x-octagon", "bad"),
    "bulk_undoing": StateWord(_("Is being undone"), "arrow-counterclockwise", "info"),
    "bulk_undone": StateWord(_("Undone"), "arrow-counterclockwise"),
    "bulk_waiting": StateWord(_("Waiting"), "hourglass"),
    "bulk_changed": StateWord(_("Changed"), "check2", "ok"),
    "bulk_unchanged": StateWord(_("Was so already"), "dash-lg"),
    "bulk_skipped": StateWord(_("Skipped"), "skip-forward"),
    "bulk_kept": StateWord(_("Changed again since"), "pencil", "info"),
    # segments
    "static": StateWord(_("Static"), "pin-angle"),
    "dynamic": StateWord(_("Dynamic"), "lightning-charge", "info"),
    "combined": StateWord(_("Combined"), "intersect", "warn"),
}

REASONS: dict[str, LazyString] = {
    "head": _("asked by HEAD, as no person's program does"),
    "not_sent": _("before the mail was handed over"),
    "too_fast": _("within five seconds of hand-over"),
    "scanner": _("the program names a scanner, or nothing"),
    "filter_network": _("from a service that filters mail"),
    "many_links": _("three or more links within ten seconds"),
    "head_first": _("a HEAD for the same came just before"),
    "in_order": _("links taken one after the other down the mail"),
    "prefetch": _("fetched ahead, with nobody looking"),
    "apple_privacy": _("Apple's mail privacy, which loads every picture"),
    "gmail_prefetch": _("Gmail's prefetch"),
    "via_proxy": _("through a proxy that fetches on display"),
    "confirmed": _("pressed the button"),
    "excluded": _("in an excluded segment"),
    "no_address": _("no address"),
    "invalid_address": _("address not valid"),
    "do_not_mail": _("marked do not mail, or archived since"),
    "duplicate": _("same address as another contact"),
    "suppressed": _("suppressed"),
    "no_permission": _("no permission"),
    "not_subscribed": _("not subscribed to the topic"),
    "paused": _("asked for a pause"),
    "capped": _("mailed often enough lately"),
    "render_error": _("template fails for this person"),
    "user": _("by a person"),
    "breaker": _("too many bounces or complaints"),
    "policy": _("refused by policy of the receiver"),
    "relay_down": _("the relay does not answer"),
    "audience_changed": _("the audience is not the approved one"),
    "quota": _("quota used up"),
    "stop_all": _("everything is stopped"),
}

OUTCOMES: dict[str, LazyString] = {
    "reached": _("Reached"),
    "not_interested": _("Not interested"),
    "meeting": _("Meeting agreed"),
    "sale": _("Sale"),
    "": _("No outcome"),
}

ROLE_WORDS: dict[str, tuple[LazyString, LazyString]] = {
    "marketer": (_("Marketer"), _("campaigns, segments, designs, contacts")),
    "approver": (_("Approver"), _("what a marketer may, and approves")),
    "sales": (_("Sales"), _("contacts and follow-ups")),
    "ops": (_("Operations"), _("deliverability, suppressions, stop everything")),
    "admin": (_("Admin"), _("everything, staff and settings too")),
}


def state_word(state: str) -> StateWord:
    """Return how `state` is shown; the bare word where it is none of ours."""
    found = STATE_WORDS.get(state)
    return found or StateWord(state.replace("_", " ").capitalize(), "circle")


ACTIONS: dict[str, LazyString] = {
    "add_to_segment": _("Add to a segment"),
    "remove_from_segment": _("Take out of a segment"),
    "follow_up": _("Follow-up task"),
    "set_field": _("Set a field"),
    "add_tag": _("Give a tag"),
    "remove_tag": _("Take a tag away"),
    "subscribe": _("Subscribe to a topic"),
    "webhook": _("Call a webhook"),
}


def action_word(kind: str) -> object:
    """Return how an action of a link is shown."""
    return ACTIONS.get(kind, kind.replace("_", " "))


def reason_word(reason: str) -> object:
    """Return how a reason is shown."""
    return REASONS.get(reason, reason.replace("_", " "))
