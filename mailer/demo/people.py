"""The people of the demonstration, written as the files a marketer would be handed: with realistic mess in them.

Everything is drawn from one seed, and the plan that comes back says what must come out, counted while writing and not
by the product.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

SEED = 20261121
FIRST = (
    "Anna", "Bjørn", "Åse", "Jürgen", "Zoë", "Łukasz", "Maja", "Olivier", "Siri", "Tuomas", "Ingrid", "Émile", "Kari",
    "Nils", "Sofía", "Ragnhild", "Peter", "Hanne", "Søren", "Linnéa",
)  # fmt: skip
LAST = (
    "Berg", "Østby", "Müller", "Dubois", "Nowak", "Lindqvist", "Hansen", "Ångström", "Virtanen", "Sæther", "Meyer",
    "García", "Holm", "Dahl", "Fjeld", "Bakke", "Weiß", "Lefèvre", "Strøm", "Nyberg",
)  # fmt: skip
PLACES = (
    ("Oslo", "Norway"), ("Bergen", "Norway"), ("Stockholm", "Sweden"), ("København", "Denmark"),
    ("Zürich", "Switzerland"),
    ("Wien", "Austria"), ("Helsinki", "Finland"), ("Malmö", "Sweden"), ("Tromsø", "Norway"), ("", "Norway"),
)  # fmt: skip
ASKING_PLACES = (("Hamburg", "Germany"), ("Lyon", "France"), ("Torino", "Italy"))
"""Where an open may be kept with a person only if they said so: one in eight of us lives there, and nobody said so."""
ASKING_EVERY = 8
TITLES = ("Head of Sales", "Managing Director", "Buyer", "Controller", "CEO", "Project Manager", "")
DOMAINS = ("example.com", "example.org", "example.net", "fjord.example.com", "nord.example.org")
TAGS = ("export", "retail", "energy", "seminars", "newsletter")
BAD_ADDRESSES = ("anna.example.com", "@example.com", "two words@example.com", "bjørn@", "x@example..com", "", "n/a")
CONTACT_HEADER = ("E-mail", "First name", "Last name", "Title", "Company", "City", "Country", "Tags", "Role")
ACTIVITY_HEADER = ("email", "kind", "at", "amount", "currency", "external_id")
DECISION_MAKER = "decision maker"


@dataclass
class Person:
    """One contact as it will stand in the database, whatever mess its rows are in."""

    email: str
    row: list[str]
    is_decision_maker: bool
    went_to_seminar: bool
    is_b_customer: bool
    is_quiet: bool
    is_tracked: bool


@dataclass
class Plan:
    """What was written and what must come of it."""

    with_consent: list[Person] = field(default_factory=list)
    without_consent: list[Person] = field(default_factory=list)
    contact_file: Path = Path()
    customer_file: Path = Path()
    activity_file: Path = Path()
    bad_rows: int = 0
    bad_activities: int = 0

    @property
    def people(self) -> list[Person]:
        """Everybody."""
        return self.with_consent + self.without_consent

    @property
    def untracked(self) -> frozenset[str]:
        """Addresses of those whose mails carry no pixel, and no link of their own but for one that does something."""
        return frozenset(person.email for person in self.people if not person.is_tracked)

    @property
    def invited(self) -> list[Person]:
        """Decision makers without a seminar in a year."""
        return [person for person in self.people if person.is_decision_maker and not person.went_to_seminar]

    @property
    def b_customers(self) -> list[Person]:
        """Revenue of 200,001 to 500,000 in the previous twelve months."""
        return [person for person in self.people if person.is_b_customer]

    @property
    def quiet_b_customers(self) -> list[Person]:
        """B-customers who bought nothing for six months."""
        return [person for person in self.b_customers if person.is_quiet]


def write_files(folder: Path, contacts: int, now: datetime) -> Plan:
    """Write contacts.csv, crm.csv and activities.csv into `folder` and return what they hold."""
    dice = random.Random(SEED)
    plan = Plan()
    for number in range(contacts):
        person = _draw_person(dice, number)
        (plan.with_consent if dice.random() < 0.86 else plan.without_consent).append(person)
    plan.contact_file, plan.customer_file = folder / "contacts.csv", folder / "crm.csv"
    plan.activity_file = folder / "activities.csv"
    rows = _with_mess(dice, plan, plan.with_consent)
    _write(plan.contact_file, ";", "utf-8-sig", CONTACT_HEADER, rows)
    _write(plan.customer_file, "\t", "utf-16", CONTACT_HEADER, [person.row for person in plan.without_consent])
    activities = _draw_activities(dice, plan, now)
    plan.bad_activities = 12
    activities += [["nobody@example.com", "purchase", "2026-02-30", "x", "NOK", f"bad-{n}"] for n in range(12)]
    dice.shuffle(activities)
    _write(plan.activity_file, ",", "utf-8", ACTIVITY_HEADER, activities)
    return plan


def _draw_person(dice: random.Random, number: int) -> Person:
    first, last, domain = dice.choice(FIRST), dice.choice(LAST), dice.choice(DOMAINS)
    plain = f"{first}.{last}".lower().translate(_PLAIN)
    email = f"{plain}.{number}@{domain}"
    city, country = dice.choice(PLACES)
    is_tracked = number % ASKING_EVERY != 0
    if not is_tracked:
        city, country = ASKING_PLACES[number // ASKING_EVERY % len(ASKING_PLACES)]
    decides = dice.random() < 0.35
    role = DECISION_MAKER if decides else dice.choice(("user", "influencer", ""))
    tags = ",".join(sorted(dice.sample(TAGS, dice.randrange(3))))
    company = (
        f"{dice.choice(LAST)} {dice.choice(('AS', 'AB', 'GmbH', 'ApS'))} {number % 400}" if dice.random() < 0.9 else ""
    )
    row = [email, first, last, dice.choice(TITLES), company, city, country, tags, role]
    is_b = dice.random() < 0.12
    return Person(email, row, decides, dice.random() < 0.3, is_b, is_b and dice.random() < 0.5, is_tracked)


_PLAIN = str.maketrans(
    {
        "ø": "o",
        "å": "a",
        "ü": "u",
        "ë": "e",
        "ł": "l",
        "é": "e",
        "í": "i",
        "ß": "s",
        "è": "e",
        "æ": "ae",
        "ä": "a",
        "ö": "o",
        "ñ": "n",
    }
)


def _with_mess(dice: random.Random, plan: Plan, people: Sequence[Person]) -> list[list[str]]:
    """Add what real files hold: repeated people, shouting, spaces around, addresses that are none."""
    rows = [list(person.row) for person in people]
    for row in dice.sample(rows, len(rows) // 20):
        row[0] = f"  {row[0].upper()} "
    repeated = [list(row) for row in dice.sample(rows, len(rows) // 50)]
    for row in repeated:
        row[0] = row[0].strip().title()
    bad = [[dice.choice(BAD_ADDRESSES), "Nobody", "Known", "", "", "", "", "", ""] for _ in range(len(rows) // 70)]
    bad.append(["noreply@example.com", "", "", "", "", "", "", "", ""])
    plan.bad_rows = len(bad)
    rows += repeated + bad
    dice.shuffle(rows)
    return rows


def _draw_activities(dice: random.Random, plan: Plan, now: datetime) -> list[list[str]]:
    numbers = count(1)
    rows: list[list[str]] = []

    def add(person: Person, kind: str, days: int, amount: str = "") -> None:
        at = (now.astimezone(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows.append([person.email, kind, at, amount, "NOK" if amount else "", f"{kind}-{next(numbers)}"])

    for person in plan.people:
        if person.is_b_customer:
            total = dice.randrange(200_001, 500_001)
            days = (250, 320) if person.is_quiet else (45, 300)
            add(person, "purchase", days[0], f"{total // 2}.00")
            add(person, "purchase", days[1], f"{total - total // 2}.00")
        elif dice.random() < 0.4:
            add(person, "purchase", dice.choice((50, 260)), f"{dice.randrange(500, 200_001)}.50")
        if person.is_decision_maker and person.went_to_seminar:
            add(person, "seminar", dice.randrange(20, 300))
        elif dice.random() < 0.3:
            add(person, "seminar", dice.randrange(430, 700))
        if dice.random() < 0.05:
            add(person, "purchase", 600, "90000.00")
    return rows


def _write(path: Path, delimiter: str, encoding: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
