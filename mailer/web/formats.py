"""Numbers, dates and money as people read them, in their own zone; filters of every template."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from flask import Flask, g
from flask_babel import format_decimal, format_timedelta, get_locale
from flask_babel import gettext as _
from markupsafe import Markup, escape

from mailer.clock import utc_now

DASH = "–"  # noqa: RUF001 - the sign that tables use for nothing
RECENT_DAYS = 30


def add_formats(app: Flask) -> None:
    """Register the filters."""
    app.jinja_env.filters.update(
        number=number,
        share=share,
        money=money,
        moment=moment,
        exact=exact,
        day=day,
        initials=initials,
        duration=duration,
    )


def zone_name() -> str:
    """Return the reader's zone: their own, else the workspace's."""
    return str(getattr(g, "zone", "UTC"))


def number(value: float | None) -> str:
    """Return `12,345`; a dash for None."""
    return DASH if value is None else format_decimal(value)


def share(part: float | None, whole: float | None, *, digits: int = 1) -> str:
    """Return `part` of `whole` as per cent; a dash where there is no whole."""
    if not whole or part is None:
        return DASH
    return f"{format_decimal(round(100 * part / whole, digits))} %"


def money(minor: int | None, currency: str) -> str:
    """Return minor units as `1,234.50 NOK`."""
    if minor is None:
        return DASH
    return f"{format_decimal(Decimal(minor) / 100, format='#,##0.00')} {currency}".strip()


def exact(value: datetime | None) -> str:
    """Return `21 Nov 2026, 14:05` in the reader's zone."""
    if value is None:
        return DASH
    local = value.astimezone(ZoneInfo(zone_name()))
    return str(format_datetime(local, "d MMM y, HH:mm", locale=get_locale()))


def day(value: date | None) -> str:
    """Return `21 Nov 2026`."""
    return DASH if value is None else str(format_date(value, "d MMM y", locale=get_locale()))


def moment(value: datetime | None) -> str | Markup:
    """Return the time as distance from now, the exact time on hover and for machines."""
    if value is None:
        return DASH
    gone = utc_now() - value
    seconds = gone.total_seconds()
    if abs(seconds) < 45:  # noqa: PLR2004 - less than a minute is now
        text = _("just now")
    elif abs(seconds) < RECENT_DAYS * 86_400:
        text = format_timedelta(-gone, add_direction=True, granularity="minute", threshold=0.9)
    else:
        text = day(value.astimezone(ZoneInfo(zone_name())).date())
    stamp = value.isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, exact(value), text)


def duration(seconds: float | None) -> str:
    """Return `2 h 5 min`, `40 s`; a dash for None."""
    if seconds is None:
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return str(_("%(hours)d h %(minutes)d min", hours=hours, minutes=minutes))
    return str(_("%(minutes)d min", minutes=minutes) if minutes else _("%(seconds)d s", seconds=rest))


def initials(name: str) -> str:
    """Return up to two letters that stand for a person."""
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word[0].isalnum()]
    return str(escape("".join(word[0] for word in words[:2]).upper() or "?"))
