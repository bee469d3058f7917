"""Limits that people may change while the product runs, with their defaults and the reason of each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailer.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that may be set between `low` and `high`; `why` is shown beside it."""

    name: str
    default: float
    low: float
    high: float
    unit: str
    why: str


LIMITS = (
    Limit(
        "rate_per_second", 5, 0, 100_000, "mails/s", "a common relay quota is 14 a second, a sandbox 1; 0 is no limit"
    ),
    Limit("relay_connections", 2, 1, 500, "connections", "relays that know nothing of us allow few"),
    Limit("provider_rate_google", 0, 0, 100_000, "mails/s", "through one relay; 0 is as fast as the relay"),
    Limit("provider_rate_microsoft", 0, 0, 100_000, "mails/s", "through one relay; 0 is as fast as the relay"),
    Limit("provider_rate_yahoo", 0, 0, 100_000, "mails/s", "through one relay; 0 is as fast as the relay"),
    Limit("provider_rate_apple", 0, 0, 100_000, "mails/s", "through one relay; 0 is as fast as the relay"),
    Limit("provider_rate_other", 0, 0, 100_000, "mails/s", "all other providers together; 0 is as fast as the relay"),
    Limit("quiet_from", 21, 0, 24, "h", "nobody likes an automatic mail at night; whole hours of the workspace's zone"),
    Limit("quiet_until", 7, 0, 24, "h", "the same hour as quiet_from: no quiet hours"),
    Limit("quarantine_seconds", 60, 0, 3600, "s", "a scanner's burst is over before a link's action runs"),
    Limit("quarantine_slow_seconds", 600, 0, 86_400, "s", "webhooks and subscriptions cannot be taken back"),
    Limit("hard_bounce_amber", 0.02, 0, 1, "share", "the first sign of a bad list"),
    Limit("hard_bounce_pause", 0.05, 0, 1, "share", "policy limit; from 200 transmitted and 10 bounces"),
    Limit("hard_bounce_disable", 0.10, 0, 1, "share", "only a person releases it"),
    Limit("complaint_amber", 0.001, 0, 1, "share", "policy limit of 0.1 %"),
    Limit("complaint_pause", 0.003, 0, 1, "share", "Gmail's limit; from 3 complaints"),
    Limit("unsubscribe_amber", 0.005, 0, 1, "share", "the earliest sign that a mail was unwanted"),
    Limit("unsubscribe_review", 0.01, 0, 1, "share", "a person looks; from 200 delivered and 10 who left"),
    Limit("canary_above", 2000, 0, 10_000_000, "recipients", "a smaller campaign is over before a bounce comes back"),
    Limit("canary_share", 0.05, 0, 1, "share", "of the audience goes out first; at least and at most as below"),
    Limit("canary_least", 500, 1, 2000, "mails", "fewer say nothing about a rate of 5 %"),
    Limit("canary_most", 2000, 1, 2000, "mails", "more bad mails than this would cost the domain"),
    Limit("canary_watch_minutes", 30, 0, 10_080, "min", "most bounces come within minutes; 0 is no canary"),
    Limit("canary_stale_share", 0.2, 0, 1, "share", "of the audience not mailed for long makes a canary"),
    Limit("canary_stale_days", 180, 1, 3650, "days", "addresses die; a list untouched so long is a risk"),
    Limit("soft_bounces_in_row", 5, 1, 50, "messages", "a mailbox that fails five times is given up"),
    Limit("soft_bounce_days", 14, 0, 365, "days", "so that a daily mail does not use the five up in a week"),
    Limit("mailbox_full_days", 30, 0, 365, "days", "many full mailboxes come back"),
    Limit("send_until_hours", 24, 1, 720, "h", "a two-day-old offer does harm"),
    Limit("missed_after_hours", 2, 0.1, 72, "h", "a morning mail at night is worse than none"),
    Limit("audience_change_share", 0.2, 0, 1, "share", "an audience that moved more waits for a person"),
    Limit("audience_change_count", 100, 0, 1_000_000, "people", "small audiences may move freely"),
    Limit("signup_ip", 30, 0, 100_000, "in 10 min", "a stand at a fair has one address for all; 0 is no limit"),
    Limit("signup_network", 90, 0, 100_000, "in 10 min", "sign-ups from one /24 or /48; 0 is no limit"),
    Limit("signup_domain", 60, 0, 100_000, "in 10 min", "to one mail domain, ten times that to a mailbox provider"),
    Limit(
        "signup_form", 600, 0, 1_000_000, "in 10 min", "a form flooded by robots rests 15 min; all forms: five times"
    ),
    Limit(
        "implied_consent_days",
        0,
        0,
        3650,
        "days",
        "permission of customers and businesses ends so long after an import",
    ),
    Limit(
        "one_click_withdraws", 2, 0, 10, "topics", "so many topics ended by one click in 90 days end all; 0 is never"
    ),
    Limit("tracking_unasked", 1, 0, 2, "0, 1, 2", "opens of people not asked: 0 nobody's; 1 by country; 2 everybody's"),
    Limit("keep_ip_days", 30, 0, 3650, "days", "long enough to see an attack; then /24 or /48 of an IP is left"),
    Limit("keep_hits_days", 180, 1, 3650, "days", "verdicts on opens and clicks can be computed anew for half a year"),
    Limit(
        "keep_reports_days", 90, 1, 3650, "days", "a raw bounce explains a complaint of last quarter; its verdict stays"
    ),
    Limit("keep_mails_months", 24, 3, 120, "months", "who got which mail; then the figures of the report alone"),
    Limit("keep_files_days", 7, 1, 365, "days", "files of an import are looked at within a week, or never"),
    Limit("keep_evidence_years", 3, 0, 30, "years", "after a withdrawal; so long somebody may ask for the proof"),
    Limit("keep_audit_years", 5, 1, 30, "years", "so long somebody may ask who did what"),
    Limit("watch_minutes", 5, 1, 1440, "min", "who enters a watched segment is known while it still matters"),
)
PROVIDER_RATES = {name: f"provider_rate_{name}" for name in ("google", "microsoft", "yahoo", "apple", "other")}
"""The limit of each mailbox provider of mailer/addresses.py."""
_BY_NAME = {limit.name: limit for limit in LIMITS}


def limit_value(overrides: Mapping[str, Any], name: str) -> float:
    """Return the value of a limit: the workspace's, else the default. KeyError for a name that is none."""
    return float(overrides.get(name, _BY_NAME[name].default))


def check_limits(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that differ from their defaults.

    Raises:
        InputError: lists every name that is no limit and every value outside its range.
    """
    problems: list[Problem] = []
    kept: dict[str, float] = {}
    for name, value in values.items():
        limit = _BY_NAME.get(name)
        number = _number(value)
        if limit is None:
            problems.append(Problem(name, "no limit has this name"))
        elif number is None or not limit.low <= number <= limit.high:
            problems.append(Problem(name, f"not a number from {limit.low:g} to {limit.high:g}"))
        elif number != limit.default:
            kept[name] = number
    if problems:
        raise InputError(problems)
    return kept


def _number(value: Any) -> float | None:
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        return None
