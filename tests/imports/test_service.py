"""Imports on both engines: deduplicated, never raising who left, resumable, repeatable, the same figures when dry."""

import csv
import io
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from mailer.addresses import hash_address
from mailer.clock import utc_now
from mailer.consent.service import Cause, complain, unsubscribe, withdraw_all
from mailer.contacts.service import create_field
from mailer.errors import InputError, NotFoundError
from mailer.imports import run as runs
from mailer.imports.service import ImportOptions, import_activities, import_contacts, preview_contacts
from mailer.schema.consent import Consent, ConsentEvent, Subscription, Suppression
from mailer.schema.contacts import Activity, Address, Company, Contact, ContactTag, Tag
from mailer.schema.imports import ImportRun
from mailer.statuses import Basis, FieldType
from tests.support.make import make_contact, make_staff, make_topic, make_workspace

HEADER = "Email,First name,City,Company,Tags\n"
CAUSE = Cause(source="test", channel="page")


@pytest.fixture
def news(ctx):
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo")
        return make_topic(session, name="News").id


def write(ctx, text: str, name: str = "people.csv") -> Path:
    path = ctx.settings.data_dir / name
    path.write_text(text, encoding="utf-8")
    return path


def options(*, basis=Basis.CONSENT, source="Fair in Oslo", topics=("News",), **more):
    return ImportOptions(basis, source, topics, **more)


def figures(result):
    counts = result.counts
    return (counts.rows, counts.new, counts.updated, counts.unchanged, counts.refused)


def run(ctx, text, **more):
    """Import and check that a dry run before it gave the same figures and wrote nothing."""
    path = write(ctx, text)
    before = count(ctx, Contact), count(ctx, ImportRun)
    tried = import_contacts(ctx, path, options(**more), is_dry_run=True)
    assert (count(ctx, Contact), count(ctx, ImportRun)) == before
    done = import_contacts(ctx, path, options(**more))
    assert figures(tried) == figures(done)
    assert tried.counts.left == done.counts.left
    return done


def refused_rows(path):
    return list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8"))))


def count(ctx, table):
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def contact_of(session, email):
    return session.scalars(
        select(Contact).join(Address, Address.id == Contact.address_id).where(Address.email == email)
    ).one()


def test_contacts_come_with_company_tags_and_permission(ctx, news):
    result = run(ctx, HEADER + "Anna@Example.com,Anna,Oslo,Fjord AS,golf;chess\nb@example.com,,,Fjord AS,golf\n")

    assert figures(result) == (2, 2, 0, 0, 0)
    assert result.refused_file == ""
    with ctx.read() as session:
        anna = contact_of(session, "anna@example.com")
        assert (anna.first_name, anna.city, anna.import_id, anna.external_id) == (
            "Anna",
            "Oslo",
            result.import_id,
            None,
        )
        assert session.get_one(Company, anna.company_id).name == "Fjord AS"
        consent = session.get_one(Consent, (anna.id, "e_marketing"))
        assert (consent.permission, consent.basis, consent.source) == ("consent", "consent", "Fair in Oslo")
        assert session.get_one(Subscription, (anna.id, news)).status == "subscribed"
        ledger = session.scalars(select(ConsentEvent).where(ConsentEvent.ledger_id == anna.ledger_id)).all()
        assert {(line.verdict, line.channel) for line in ledger} == {("given", "import"), ("subscribed", "import")}
        address = session.get_one(Address, anna.address_id)
        assert address.email_hash == hash_address("anna@example.com", ctx.keys.suppression)
        assert (address.provider, address.domain) == ("other", "example.com")
    assert (count(ctx, Company), count(ctx, Tag), count(ctx, ContactTag)) == (1, 2, 3)


def test_repeated_import_changes_nothing(ctx, news):
    text = HEADER + "a@example.com,Anna,Oslo,Fjord,golf\nb@example.com,B,,,\n"
    run(ctx, text)
    events = count(ctx, ConsentEvent)

    result = run(ctx, text)

    assert figures(result) == (2, 0, 0, 2, 0)
    assert count(ctx, ConsentEvent) == events


def test_same_address_twice_in_a_file_is_one_contact(ctx, news):
    result = run(ctx, HEADER + "a@example.com,Anna,,,golf\nA@EXAMPLE.com,,Oslo,,chess\na@example.com,Anna,Oslo,,\n")

    assert figures(result) == (3, 1, 1, 1, 0)
    with ctx.read() as session:
        anna = contact_of(session, "a@example.com")
        assert (anna.first_name, anna.city) == ("Anna", "Oslo")
    assert count(ctx, ContactTag) == 2


def test_empty_cells_never_erase_and_values_update(ctx, news):
    run(ctx, HEADER + "a@example.com,Anna,Oslo,Fjord,golf\n")

    result = run(ctx, HEADER + "a@example.com,,Bergen,,\n")

    assert figures(result) == (1, 0, 1, 0, 0)
    with ctx.read() as session:
        anna = contact_of(session, "a@example.com")
        assert (anna.first_name, anna.city) == ("Anna", "Bergen")
        assert session.get_one(Company, anna.company_id).name == "Fjord"
    assert count(ctx, ContactTag) == 1


def test_refused_rows_come_back_with_their_reason_and_no_formula(ctx, news):
    result = run(ctx, HEADER + 'nonsense,"=cmd|x",Oslo,,\na@example.com,Anna,,,\n"x@y",,,,\n')

    assert figures(result) == (3, 1, 0, 0, 2)
    rows = refused_rows(result.refused_file)
    assert rows[0]["Email"] == "nonsense"
    assert rows[0]["First name"] == "'=cmd|x"
    assert all(row["reason"] for row in rows)
    assert len(rows) == 2


def test_external_id_is_the_key_where_mapped(ctx, news):
    text = "id,email,first name\n1,shared@example.com,Anna\n2,shared@example.com,Bo\n3,,Carl\n"
    assert figures(run(ctx, text)) == (3, 3, 0, 0, 0)
    assert count(ctx, Address) == 1

    result = run(ctx, "id,email,first name\n2,bo@example.com,Bo\n3,,Carla\n")

    assert figures(result) == (2, 0, 2, 0, 0)
    with ctx.read() as session:
        rows = session.execute(
            select(Contact.external_id, Contact.first_name, Address.email)
            .outerjoin(Address, Address.id == Contact.address_id)
            .order_by(Contact.id)
        )
        assert [tuple(row) for row in rows] == [
            ("1", "Anna", "shared@example.com"), ("2", "Bo", "bo@example.com"), ("3", "Carla", None),
        ]  # fmt: skip


def test_address_of_several_contacts_refuses_the_row(ctx, news):
    run(ctx, "id,email\n1,shared@example.com\n2,shared@example.com\n")

    result = run(ctx, "email,city\nshared@example.com,Oslo\n")

    assert figures(result) == (1, 0, 0, 0, 1)
    assert "several contacts" in Path(result.refused_file).read_text()


def left_people(ctx, news):
    """People who left in every way there is, by first letter of their address."""
    with ctx.write() as session:
        people = {}
        for name in ("withdrawn", "unsubscribed", "complained", "suppressed", "fine"):
            people[name] = make_contact(session, f"{name}@example.com", key=ctx.keys.suppression)
        withdraw_all(session, [people["withdrawn"]], CAUSE)
        unsubscribe(session, people["unsubscribed"], news, CAUSE)
        complain(session, people["complained"], CAUSE)
        address = session.get_one(Address, people["suppressed"].address_id)
        session.add(Suppression(address_hash=address.email_hash, reason="manual", created_at=utc_now()))
        unknown = hash_address("unknown@example.com", ctx.keys.suppression)
        session.add(Suppression(address_hash=unknown, reason="hard_bounce", created_at=utc_now()))
        return {name: person.id for name, person in people.items()}


def states(ctx, contact_id, topic_id):
    with ctx.read() as session:
        consent = session.get(Consent, (contact_id, "e_marketing"))
        subscription = session.get(Subscription, (contact_id, topic_id))
        return (consent.permission if consent else None, subscription.status if subscription else None)


def test_import_never_raises_who_left(ctx, news):
    people = left_people(ctx, news)
    names = [*people, "unknown"]

    result = run(ctx, "email\n" + "".join(f"{name}@example.com\n" for name in names))

    assert result.counts.left == 4
    assert states(ctx, people["withdrawn"], news) == ("withdrawn", None)
    assert states(ctx, people["unsubscribed"], news) == ("consent", "unsubscribed")
    assert states(ctx, people["complained"], news) == ("withdrawn", None)
    assert states(ctx, people["suppressed"], news) == (None, None)
    assert states(ctx, people["fine"], news) == ("consent", "subscribed")
    with ctx.read() as session:
        unknown = contact_of(session, "unknown@example.com").id
    assert states(ctx, unknown, news) == (None, None)


def test_new_contact_at_the_address_of_one_who_left_gets_no_permission(ctx, news):
    left_people(ctx, news)

    run(ctx, "id,email\n77,withdrawn@example.com\n78,unsubscribed@example.com\n")

    with ctx.read() as session:
        ids = dict(
            session.execute(select(Contact.external_id, Contact.id).where(Contact.external_id.is_not(None))).all()
        )
    assert states(ctx, ids["77"], news) == (None, None)
    assert states(ctx, ids["78"], news) == ("consent", None)


def test_erased_address_is_refused(ctx, news):
    with ctx.write() as session:
        digest = hash_address("gone@example.com", ctx.keys.suppression)
        session.add(Address(email=None, email_hash=digest, created_at=utc_now()))

    result = run(ctx, "email\ngone@example.com\n")

    assert figures(result) == (1, 0, 0, 0, 1)
    assert "erased" in Path(result.refused_file).read_text()


@pytest.mark.parametrize(
    ("basis", "permission"),
    [
        ("consent", "consent"),
        ("customer", "customer"),
        ("business", "business"),
        ("contract", "none"),
        ("public", "none"),
    ],
)
def test_permission_follows_the_basis(ctx, news, basis, permission):
    run(ctx, "email\na@example.com\n", basis=basis, topics=())

    with ctx.read() as session:
        row = session.scalars(select(Consent)).one()
        assert (row.permission, row.basis) == (permission, basis)


def test_stronger_permission_raises_and_weaker_never_lowers(ctx, news):
    for basis, permission in (
        ("contract", "none"),
        ("customer", "customer"),
        ("consent", "consent"),
        ("contract", "consent"),
    ):
        run(ctx, "email\na@example.com\n", basis=basis)

        with ctx.read() as session:
            assert session.scalars(select(Consent)).one().permission == permission


@pytest.mark.parametrize(("more", "where"), [({"basis": "whim"}, "--basis"), ({"source": " "}, "--source")])
def test_basis_and_source_are_mandatory(ctx, news, more, where):
    with pytest.raises(InputError) as caught:
        import_contacts(ctx, write(ctx, "email\na@example.com\n"), options(**more))

    assert [problem.where for problem in caught.value.problems] == [where]


def test_unknown_topic_column_and_pdf_write_nothing(ctx, news):
    with pytest.raises(NotFoundError, match="Nonsense"):
        import_contacts(ctx, write(ctx, "email\na@example.com\n"), options(topics=("Nonsense",)))
    with pytest.raises(InputError, match="no column holds the address"):
        import_contacts(ctx, write(ctx, "name\nAnna\n"), options())
    with pytest.raises(InputError, match="is a PDF"):
        import_contacts(ctx, write(ctx, "%PDF-1.4"), options())
    assert (count(ctx, Contact), count(ctx, ImportRun)) == (0, 0)


def test_own_fields_owner_and_mapping(ctx, news):
    create_field(ctx, "seats", "Seats", FieldType.NUMBER)
    with ctx.write() as session:
        owner = make_staff(session, email="ola@example.com").id
    text = "Who;Seats;Salesperson;Note\na@example.com;12;ola@example.com;x\nb@example.com;many;;\n"

    result = run(ctx, text, mapping={"Who": "email"})

    assert figures(result) == (2, 1, 0, 0, 1)
    assert result.ignored == ("Note",)
    with ctx.read() as session:
        contact = contact_of(session, "a@example.com")
        assert (contact.data, contact.owner_id) == ({"seats": 12}, owner)


def people_text(rows: int, *, seed: int = 1) -> str:
    """A file as they are: repeats, bad addresses, mixed case, umlauts, empty cells."""
    rng = random.Random(seed)
    lines = [HEADER.strip()]
    for number in range(rows):
        email = f"P{rng.randrange(rows)}@Example{rng.randrange(3)}.com" if rng.random() > 0.02 else f"bad{number}"
        city = rng.choice(["Malmö", "Århus", ""])
        tag = rng.choice(["golf", "", "a;b"])
        lines.append(f"{email},{rng.choice(['Åse', '', 'Bo'])},{city},{rng.choice(['', 'Fjord'])},{tag}")
    return "\n".join(lines) + "\n"


def test_large_file_goes_through_a_process_with_the_same_figures(ctx, news, monkeypatch):
    seen = []
    text = people_text(6000)

    tried = import_contacts(ctx, write(ctx, text), options(), is_dry_run=True)
    done = import_contacts(ctx, write(ctx, text), options(), progress=lambda rows, of: seen.append((rows, of)))

    assert figures(tried) == figures(done)
    assert done.counts.rows == 6000
    assert done.counts.new == count(ctx, Contact) == count(ctx, Address) == count(ctx, Consent)
    assert seen[-1] == (6000, 6000)
    assert len(refused_rows(done.refused_file)) == done.counts.refused


ORPHANS = (
    "SELECT count(*) FROM contact WHERE address_id NOT IN (SELECT id FROM address)",
    "SELECT count(*) FROM contact WHERE company_id NOT IN (SELECT id FROM company)",
    "SELECT count(*) FROM consent WHERE contact_id NOT IN (SELECT id FROM contact)",
    "SELECT count(*) FROM subscription WHERE contact_id NOT IN (SELECT id FROM contact)",
    "SELECT count(*) FROM subscription WHERE topic_id NOT IN (SELECT id FROM topic)",
    "SELECT count(*) FROM consent_event WHERE topic_id NOT IN (SELECT id FROM topic)",
    "SELECT count(*) FROM consent_event WHERE ledger_id NOT IN (SELECT ledger_id FROM contact)",
)


@pytest.mark.parametrize("rows", [200, 6000])
def test_no_row_points_nowhere(ctx, news, rows):
    import_contacts(ctx, write(ctx, people_text(rows)), options())

    with ctx.read() as session:
        assert [session.scalar(text(query)) for query in ORPHANS] == [0] * len(ORPHANS)


def test_cells_with_every_character_arrive_as_they_are(ctx, news):
    odd = ["back\\slash", "\\N", "\\.", "two\nlines", "tab\tbetween", 'a "quoted" one', "ends with \\", "Åse 🎈"]
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["email", "first name", "company", "tags"])
    for number in range(6000):
        word = odd[number % len(odd)]
        writer.writerow([f"p{number}@example.com", word, word, word])

    result = import_contacts(ctx, write(ctx, lines.getvalue()), options())

    assert result.counts.new == 6000
    expected = {word.replace("\n", " ").replace("\t", " ") for word in odd}
    with ctx.read() as session:
        assert set(session.scalars(select(Contact.first_name))) == expected
        assert set(session.scalars(select(Company.name))) == expected
        assert set(session.scalars(select(Tag.name))) == expected
        query = select(Address.email, Contact.first_name).join(Contact, Contact.address_id == Address.id)
        assert dict(session.execute(query.where(Address.email == "p8@example.com")).all()) == {
            "p8@example.com": "back\\slash"
        }


def test_large_file_meets_who_is_there_and_who_left(ctx, news):
    people = left_people(ctx, news)
    with ctx.write() as session:
        digest = hash_address("gone@example.com", ctx.keys.suppression)
        session.add(Address(email=None, email_hash=digest, created_at=utc_now()))
    run(ctx, people_text(400, seed=2))
    known = count(ctx, Contact)
    names = [*people, "unknown", "gone"]
    text = people_text(6000) + "".join(f"{name}@example.com,Zoe,Bodø,New AS,late\n" for name in names)

    result = run(ctx, text)

    assert result.counts.left == 4
    assert result.counts.new == count(ctx, Contact) - known
    assert states(ctx, people["withdrawn"], news) == ("withdrawn", None)
    assert states(ctx, people["unsubscribed"], news) == ("consent", "unsubscribed")
    assert states(ctx, people["suppressed"], news) == (None, None)
    assert states(ctx, people["fine"], news) == ("consent", "subscribed")
    with ctx.read() as session:
        unknown = contact_of(session, "unknown@example.com")
        assert (unknown.first_name, unknown.city) == ("Zoe", "Bodø")
        assert session.get_one(Company, unknown.company_id).name == "New AS"
        assert states(ctx, unknown.id, news) == (None, None)
        fresh = session.scalars(
            select(Contact).where(Contact.import_id == result.import_id, Contact.city == "Malmö")
        ).first()
        assert states(ctx, fresh.id, news) == ("consent", "subscribed")
        ledger = session.scalars(select(ConsentEvent).where(ConsentEvent.ledger_id == fresh.ledger_id)).all()
        assert sorted((line.verdict, line.topic_id, line.permission) for line in ledger) == [
            ("given", None, "consent"), ("subscribed", news, None),
        ]  # fmt: skip
        tagged = session.scalar(select(func.count()).select_from(ContactTag).join(Tag).where(Tag.name == "late"))
        assert tagged == len(names) - 1
        assert session.scalar(select(func.count()).select_from(Company).where(Company.name == "Fjord")) == 1
    assert not list((ctx.settings.data_dir / "imports").glob("stage-*"))


class PulledPlugError(Exception):
    """The machine stopped."""


def _pull(done: int, _of: int) -> None:
    if done >= 150:
        raise PulledPlugError


def test_run_that_stopped_goes_on_where_it_was(ctx, news, monkeypatch):
    monkeypatch.setattr(runs, "SQLITE_CHUNK", 50)
    monkeypatch.setattr(runs, "POSTGRESQL_CHUNK", 50)
    path = write(ctx, people_text(400))
    whole = import_contacts(ctx, path, options(), is_dry_run=True)

    with pytest.raises(PulledPlugError):
        import_contacts(ctx, path, options(), progress=_pull)
    with ctx.read() as session:
        row = session.scalars(select(ImportRun)).one()
        assert (row.rows_done, row.status) == (150, "failed")
        refused = Path(row.refused_path)
    with refused.open("a") as file:
        file.write("a row of a chunk that never committed\n")

    done = import_contacts(ctx, path, options())

    assert done.import_id == row.id
    assert figures(done) == figures(whole)
    assert len(refused_rows(refused)) == done.counts.refused
    assert count(ctx, ImportRun) == 1
    assert import_contacts(ctx, path, options()).import_id != row.id


def test_two_imports_at_once_make_each_address_once(ctx, make_ctx, news):
    names = [f"p{number}@example.com" for number in range(2500)]
    paths = [
        write(ctx, "email\n" + "\n".join(names) + "\n", "up.csv"),
        write(ctx, "email\n" + "\n".join(reversed(names)) + "\n", "down.csv"),
    ]
    contexts = [ctx, make_ctx()]
    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(lambda pair: import_contacts(pair[0], pair[1], options()), zip(contexts, paths, strict=True))
        )

    assert count(ctx, Address) == count(ctx, Contact) == count(ctx, Consent) == 2500
    assert sum(result.counts.new for result in results) == 2500
    assert sum(result.counts.unchanged for result in results) == 2500


def test_preview_shows_mapping_and_first_rows(ctx, news):
    preview = preview_contacts(ctx, write(ctx, HEADER + "a@example.com,Anna,,,\n"))

    assert preview.columns.fields == ("email", "first_name", "city", "company", "tags")
    assert preview.rows == [["a@example.com", "Anna", "", "", ""]]
    assert preview.estimated_rows == 1


# ------------------------------------------------------------------ activities

ACTIVITIES = "Email,Type,Date,Amount,Currency,Order\n"


def test_activities_belong_to_contacts_and_repeat_without_harm(ctx, news):
    run(ctx, "email\na@example.com\nb@example.com\n")
    text = ACTIVITIES + (
        'A@example.com,Purchase,2026-11-01,"1 234,50",nok,17\n'
        "b@example.com,seminar,2026-05-05 09:00,,,\n"
        "b@example.com,seminar,2026-05-05 09:00,,,\n"
        "nobody@example.com,purchase,2026-11-01,1,NOK,\n"
        "a@example.com,purchase,someday,1,NOK,\n"
    )
    path = write(ctx, text, "activities.csv")

    tried = import_activities(ctx, path, is_dry_run=True)
    assert count(ctx, Activity) == 0
    done = import_activities(ctx, path)
    again = import_activities(ctx, path)

    assert figures(tried) == figures(done) == (5, 2, 0, 1, 2)
    assert figures(again) == (5, 0, 0, 3, 2)
    with ctx.read() as session:
        purchase, seminar = session.scalars(select(Activity).order_by(Activity.kind)).all()
        assert (purchase.amount, purchase.currency, purchase.data) == (123450, "NOK", {"order": 17})
        assert purchase.at.isoformat() == "2026-10-31T23:00:00+00:00"
        assert seminar.at.isoformat() == "2026-05-05T07:00:00+00:00"


def test_activity_with_external_id_is_updated(ctx, news):
    run(ctx, "email\na@example.com\n")
    head = "email,kind,at,amount,external_id\n"
    import_activities(ctx, write(ctx, head + "a@example.com,purchase,2026-11-01,10,X1\n"))

    result = import_activities(ctx, write(ctx, head + "a@example.com,purchase,2026-11-01,20,X1\n"))

    assert figures(result) == (1, 0, 1, 0, 0)
    with ctx.read() as session:
        assert session.scalars(select(Activity.amount)).all() == [2000]


def test_activities_need_their_columns(ctx, news):
    with pytest.raises(InputError, match="no column holds kind and at"):
        import_activities(ctx, write(ctx, "email\na@example.com\n"))


def test_run_that_stopped_does_not_go_on_with_another_end_of_the_permission(ctx, news, monkeypatch):
    monkeypatch.setattr(runs, "SQLITE_CHUNK", 50)
    monkeypatch.setattr(runs, "POSTGRESQL_CHUNK", 50)
    path = write(ctx, people_text(400))
    ends = [utc_now() + timedelta(days=days) for days in (30, 60)]
    with pytest.raises(PulledPlugError):
        import_contacts(ctx, path, options(expires_at=ends[0]), progress=_pull)

    other = import_contacts(ctx, path, options(expires_at=ends[1]))
    same = import_contacts(ctx, path, options(expires_at=ends[0]))

    with ctx.read() as session:
        halted, later = session.scalars(select(ImportRun).order_by(ImportRun.id)).all()
    assert (same.import_id, other.import_id) == (halted.id, later.id)
