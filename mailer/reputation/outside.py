"""Outside figures: what a mailbox provider says of our domains, typed or read from a CSV file (FEATURES B8).

Google Postmaster Tools is the only source of complaints of Gmail's readers, since Gmail sends none back by mail.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.errors import InputError, Problem
from mailer.schema.reputation import OutsideFigure

POSTMASTER = "postmaster"
REPUTATIONS = ("", "high", "medium", "low", "bad")
_COLUMNS = {
    "day": ("day", "date"),
    "domain": ("domain",),
    "spam_rate": (
        "spam_rate",
        "spam rate",
        "user reported spam rate",
        "user-reported spam rate",
        "userreportedspamratio",
    ),
    "domain_reputation": ("domain_reputation", "domain reputation", "reputation", "domainreputation"),
}
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Figures:
    """A day of a domain; `spam_rate` from 0 to 1, None where it is not known."""

    domain: str
    day: date
    spam_rate: float | None
    domain_reputation: str = ""


def read_figures(domain: str, day: str, spam_rate: str, reputation: str, where: str = "") -> Figures:
    """Return typed values as figures. `spam_rate` is a share or per cent: `0.0012`, `0.12 %`.

    Raises:
        InputError: lists every value that cannot be.
    """
    problems: list[Problem] = []
    place = f"{where}, " if where else ""
    name = domain.strip().lower().rstrip(".")
    if "." not in name or " " in name or "@" in name:
        problems.append(Problem(f"{place}domain", f"{domain!r} is no domain", "write it as example.com"))
    on = _read_day(day)
    if on is None:
        problems.append(Problem(f"{place}day", f"{day!r} is no day", "write it as 2026-11-22 or 20261122"))
    rate = _read_share(spam_rate)
    if rate is not None and not 0 <= rate <= 1:
        problems.append(Problem(f"{place}spam_rate", f"{spam_rate!r} is no share", "write it as 0.12 % or 0.0012"))
        rate = None
    word = reputation.strip().lower()
    if word not in REPUTATIONS:
        problems.append(
            Problem(f"{place}domain_reputation", f"{reputation!r} is not known", "high, medium, low or bad")
        )
    if rate is None and not word and not problems:
        problems.append(Problem(f"{place}spam_rate", "neither a spam rate nor a reputation is given"))
    if problems or on is None:
        raise InputError(problems)
    return Figures(name, on, rate, word)


def read_csv(raw: bytes, domain: str = "") -> list[Figures]:
    """Return the figures of a CSV file with a head line, in UTF-8 or UTF-16; `domain` where it has no such column.

    Raises:
        InputError: lists every line that cannot be read, or a head without a day.
    """
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError("not a text file in UTF-8 or UTF-16", where="file") from error
    return _parse(text, domain)


def _parse(text: str, domain: str) -> list[Figures]:
    rows = csv.DictReader(io.StringIO(text), dialect=_dialect(text))
    named = {_wanted(name): name for name in rows.fieldnames or () if _wanted(name)}
    if "day" not in named or not {"spam_rate", "domain_reputation"} & named.keys():
        head = ", ".join(rows.fieldnames or ()) or "nothing"
        raise InputError(
            f"the head line has {head}", where="file", mend="it needs day and spam_rate, and may have domain_reputation"
        )
    problems: list[Problem] = []
    found = list(_iter_rows(rows, named, domain, problems))
    if problems:
        raise InputError(problems)
    return found


def _iter_rows(
    rows: "csv.DictReader[str]", named: Mapping[str, str], domain: str, problems: list[Problem]
) -> Iterator[Figures]:
    for number, row in enumerate(rows, start=2):
        if number > _MOST_ROWS:
            problems.append(Problem("file", f"more than {_MOST_ROWS} lines"))
            return
        values = {key: row.get(column) or "" for key, column in named.items()}
        try:
            yield read_figures(
                values.get("domain") or domain,
                values["day"],
                values.get("spam_rate", ""),
                values.get("domain_reputation", ""),
                where=f"line {number}",
            )
        except InputError as error:
            problems += error.problems


def _dialect(text: str) -> type[csv.Dialect]:
    head = text.partition("\n")[0]
    return csv.excel_tab if "\t" in head else (_Semicolon if ";" in head else csv.excel)


class _Semicolon(csv.excel):
    delimiter = ";"


def _wanted(name: str | None) -> str:
    plain = (name or "").strip().lower()
    return next((key for key, names in _COLUMNS.items() if plain in names), "")


def _read_day(text: str) -> date | None:
    plain = text.strip()[:10]
    for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y"):
        try:
            return datetime.strptime(plain, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


def _read_share(text: str) -> float | None:
    plain = text.strip().replace(",", ".")
    if not plain:
        return None
    try:
        return float(Decimal(plain.rstrip("% ")) / (100 if plain.endswith("%") else 1))
    except InvalidOperation:
        return -1.0


def record_figures(ctx: Context, figures: Sequence[Figures], *, by: int | None = None) -> int:
    """Write outside figures down; a day of a domain that is there already is replaced. Return how many. Audited."""
    with ctx.write() as session:
        for one in figures:
            _write(session, one, by)
        record_audit(session, "reputation.outside", by=by, detail={"count": len(figures)})
    return len(figures)


def _write(session: Session, one: Figures, by: int | None) -> None:
    values = {
        "spam_rate": one.spam_rate,
        "domain_reputation": one.domain_reputation,
        "by_staff_id": by,
        "at": utc_now(),
    }
    statement = insert_into(session, OutsideFigure).values(source=POSTMASTER, domain=one.domain, day=one.day, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["source", "domain", "day"], set_=values))
