"""Nobody adds a column that may hold personal data without saying what becomes of it."""

import pytest
from sqlalchemy import JSON, CheckConstraint, Column, LargeBinary, String
from sqlalchemy import Table as SqlTable

from mailer.privacy.erasure import STEPS
from mailer.privacy.register import OF_PERSONS, REGISTER, Fate, Key, Table, get_table
from mailer.privacy.retention import RULES
from mailer.privacy.views.words import LIMIT_WORDS, STEP_WORDS, TABLE_WORDS
from mailer.schema.tables import metadata

POINTERS = {"contact_id", "address_id", "message_id", "ledger_id", "consent_event_id", "subject_id"}
TABLES = sorted(metadata.tables.values(), key=lambda table: table.name)


def _is_closed(table: SqlTable, column: Column[object]) -> bool:
    """Whether the table itself permits a closed list of words only."""
    names = {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}
    return isinstance(column.type, String) and bool({f"ck_{table.name}_{column.name}", column.name} & names)


def _may_hold_persons(table: SqlTable) -> set[str]:
    return {
        column.name
        for column in table.columns
        if column.name in POINTERS
        or (isinstance(column.type, String | JSON | LargeBinary) and not _is_closed(table, column))
    }


def _entered(table: Table) -> set[str]:
    return {*table.personal, *table.free, *table.plain, *(column for _, column in table.found)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_that_may_hold_personal_data_is_in_the_register(table: SqlTable) -> None:
    try:
        entry = get_table(table.name)
    except KeyError:
        pytest.fail(f"enter the table {table.name} into mailer/privacy/register.py")

    missing = _may_hold_persons(table) - _entered(entry)

    assert not missing, f"say in mailer/privacy/register.py what becomes of {table.name}: {sorted(missing)}"


@pytest.mark.parametrize("table", REGISTER, ids=lambda table: table.name)
def test_the_register_names_what_exists(table: Table) -> None:
    columns = set(metadata.tables[table.name].columns.keys())

    assert _entered(table) | set(table.blank) | set(table.hidden) <= columns


@pytest.mark.parametrize("table", OF_PERSONS, ids=lambda table: table.name)
def test_what_is_personal_ends_with_an_erasure(table: Table) -> None:
    if table.fate is Fate.BLANK:
        assert set(table.personal) <= set(table.blank)
    elif table.fate is Fate.KEEP:
        assert not table.personal
    assert table.title
    assert table.fate is not Fate.KEEP or table.why


def test_what_stays_or_is_plain_says_why() -> None:
    kept = [table for table in REGISTER if table.plain and not table.why and not table.free]

    assert [table.name for table in kept] == []


def test_a_column_that_points_to_a_contact_finds_the_rows() -> None:
    pointing = {table.name for table in TABLES if "contact_id" in table.columns}
    found = {table.name for table in REGISTER if any(key in (Key.CONTACT, Key.MESSAGE) for key, _ in table.found)}

    assert pointing <= found


def test_every_table_of_persons_has_a_name_on_our_pages() -> None:
    assert {table.name for table in OF_PERSONS} <= set(TABLE_WORDS)
    assert {step.name for step in STEPS} == set(STEP_WORDS)
    assert {rule.limit for rule in RULES} == set(LIMIT_WORDS)
