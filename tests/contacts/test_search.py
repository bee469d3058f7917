"""People are found by parts of address, names and company; the case of no letter matters."""

from mailer.contacts.queries import list_contacts
from mailer.context import Context
from tests.support.make import make_contact


def search(ctx: Context, words: str) -> list[str | None]:
    with ctx.read() as session:
        return [line.email for line in list_contacts(session, search=words)]


def test_a_whole_address_finds_itself_alone_and_a_part_finds_all(ctx: Context) -> None:
    with ctx.write() as session:
        for email in ("anna@example.com", "joanna@example.com", "ola@example.com"):
            make_contact(session, email, key=ctx.keys.suppression)

    assert search(ctx, " Anna@Example.com ") == ["anna@example.com"]
    assert search(ctx, "anna@example") == ["joanna@example.com", "anna@example.com"]
    assert search(ctx, "@example.com ola") == ["ola@example.com"]


def test_names_are_found_by_their_parts_in_any_order(ctx: Context) -> None:
    with ctx.write() as session:
        make_contact(session, "a@example.com", key=ctx.keys.suppression, first_name="Åse", last_name="Öberg")
        make_contact(session, "b@example.com", key=ctx.keys.suppression, first_name="Åse", last_name="Dahl")

    assert search(ctx, "berg ås") == ["a@example.com"]
