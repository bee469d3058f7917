"""Import of contacts: validated, deduplicated, with consent recorded; beside it the plain way, row by row.

`python -m bench.import [--database URL|postgresql] [--size N]`. The last line is as in docs/reference (Benchmarks);
`checks_per_row` is the time of a row in units of what email-validator alone takes for an address in the same run, which
makes figures of unlike machines comparable.
"""

import argparse
import csv
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.rig import make_context, open_database, peak_rss_mb, print_line, time_check
from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.consent.service import create_topic
from mailer.context import Context
from mailer.ids import new_ledger_id
from mailer.imports.service import ImportOptions, import_contacts
from mailer.schema.consent import Consent, ConsentEvent, Subscription
from mailer.schema.contacts import Address, Contact
from mailer.statuses import Basis

REFERENCE_ROWS = 2_000
_FIRST = ("Anna", "Åse", "Björn", "Kari", "Lars", "Maja", "Ole", "Sofie")
_LAST = ("Hansen", "Johansson", "Nielsen", "Öberg", "Berg", "Dahl", "Lund", "Strand")
_CITIES = ("Oslo", "Bergen", "Århus", "Malmö", "Göteborg", "Tromsø")


def write_file(path: Path, rows: int, *, offset: int = 0) -> None:
    """Write a CSV of `rows` people with some repeats and some bad addresses, as real files have them."""
    rng = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Email", "First name", "Last name", "Title", "City", "Country", "Company"])
        for number in range(offset, offset + rows):
            email = f"Person.{number}@Example{number % 50}.com"
            if number % 200 == 7:
                email = f"person{number}.example.com"
            if number % 100 == 13:
                email = f"person.{number - 10}@example{(number - 10) % 50}.com"
            company = f"Company {rng.randrange(500)}"
            writer.writerow(
                [email, rng.choice(_FIRST), rng.choice(_LAST), "Head of Sales", rng.choice(_CITIES), "Norway", company]
            )


def run_reference(ctx: Context, path: Path, topic_id: int) -> float:
    """Import row by row with full validation and ORM rows, one commit for 100, and return rows a second."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    started = time.perf_counter()
    for start in range(0, len(rows), 100):
        with ctx.write() as session:
            for row in rows[start : start + 100]:
                _reference_row(ctx, session, row, topic_id)
    return len(rows) / (time.perf_counter() - started)


def _reference_row(ctx: Context, session: Session, row: dict[str, str], topic_id: int) -> None:
    try:
        email = validate_email(row["Email"], check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return
    if session.scalars(select(Address).where(Address.email == email)).one_or_none():
        return
    now = utc_now()
    domain = email.rpartition("@")[2]
    address = Address(email=email, email_hash=hash_address(email, ctx.keys.suppression), domain=domain, created_at=now)
    session.add(address)
    session.flush()
    contact = Contact(
        ledger_id=new_ledger_id(), address_id=address.id, first_name=row["First name"], last_name=row["Last name"],
        title=row["Title"], city=row["City"], country=row["Country"], created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(contact)
    session.flush()
    given = {"purpose": "e_marketing", "basis": "consent", "source": "bench"}
    session.add(Consent(contact_id=contact.id, permission="consent", updated_at=now, **given))
    session.add(Subscription(contact_id=contact.id, topic_id=topic_id, status="subscribed", updated_at=now))
    session.add(ConsentEvent(ledger_id=contact.ledger_id, verdict="given", permission="consent", at=now, **given))
    session.add(ConsentEvent(ledger_id=contact.ledger_id, verdict="subscribed", topic_id=topic_id, at=now, **given))
    session.flush()


def list_valid(path: Path) -> list[str]:
    """Return the addresses of a file that look like some."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["Email"] for row in csv.DictReader(file) if "@" in row["Email"]]


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=100_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = open_database(arguments.database, folder, stack)
        ctx = make_context(url, folder)
        topic = create_topic(ctx, f"Bench {time.time_ns()}")
        write_file(folder / "reference.csv", REFERENCE_ROWS, offset=10**8)
        reference = run_reference(ctx, folder / "reference.csv", topic.id)
        emails = list_valid(folder / "reference.csv")
        check_us = time_check(emails)
        write_file(folder / "people.csv", arguments.size)
        options = ImportOptions(Basis.CONSENT, "bench", (topic.name,))
        result = import_contacts(ctx, folder / "people.csv", options)
        again = import_contacts(ctx, folder / "people.csv", options)
        check_us = min(check_us, time_check(emails))
        ctx.database.dispose()
    rate = result.counts.rows / result.seconds
    figures = {
        "rows_per_second": round(rate),
        "repeat_rows_per_second": round(again.counts.rows / again.seconds),
        "checks_per_row": round(1e6 / rate / check_us, 2),
        "seconds": round(result.seconds, 3),
        "rows": result.counts.rows,
        "new": result.counts.new,
        "unchanged": result.counts.unchanged,
        "refused": result.counts.refused,
        "peak_rss_mb": peak_rss_mb(),
        "database": "sqlite" if url.startswith("sqlite") else "postgresql",
    }
    plain = {
        "rows_per_second": round(reference), "rows": REFERENCE_ROWS, "email_validator_us": round(check_us, 1),
    }  # fmt: skip
    print_line("import", figures, plain, rate / reference)


if __name__ == "__main__":
    main()
