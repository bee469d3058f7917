"""Which column holds which field. Pure: columns map themselves by name, `--map COLUMN=FIELD` says the rest."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailer.errors import InputError, Problem

CONTACT_FIELDS = (
    "email", "external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country", "city",
    "category", "owner", "tags", "company",
)  # fmt: skip
ACTIVITY_FIELDS = ("email", "kind", "at", "amount", "currency", "external_id", "note")
IGNORE = ("", "-", "ignore")
_SYNONYMS = {
    "email": "e-mail emailaddress e-mailaddress mail epost e-post e-postadresse e-postadress adresse-email courriel",
    "external_id": "externalid customerid customernumber kundenummer kundnummer contactid id",
    "first_name": "firstname givenname fornavn förnamn vorname forename prénom",
    "last_name": "lastname surname familyname etternavn efternamn efternavn nachname nom",
    "title": "jobtitle position stilling titel",
    "phone": "telephone phonenumber mobile telefon telefonnummer mobil",
    "language": "lang locale språk sprog sprache",
    "timezone": "tz tidssone",
    "country": "land pays",
    "city": "town by stad stadt sted ville ort",
    "category": "kategori kategorie class segment",
    "owner": "salesperson accountmanager ansvarlig selger säljare",
    "tags": "tag interests interest labels",
    "company": "organisation organization companyname firma företag bedrift selskap account",
    "kind": "type activity event art",
    "at": "date time datetime timestamp dato datum when occurredat",
    "amount": "sum total value beløp belopp betrag",
    "currency": "valuta währung",
    "note": "comment text notat",
}
_BY_NAME = {word: field for field, words in _SYNONYMS.items() for word in [*words.split(), field]}


@dataclass(frozen=True)
class Columns:
    """The field of each column, None where it is left out; `ignored` are their names."""

    fields: tuple[str | None, ...]
    ignored: tuple[str, ...]


def map_columns(
    header: Sequence[str], *, fields: Iterable[str], own_fields: Mapping[str, str], chosen: Mapping[str, str]
) -> Columns:
    """Return what each column of `header` holds.

    Args:
        header: names of the columns in order.
        fields: built-in fields that the file may hold.
        own_fields: label by key of the own fields.
        chosen: field by column as a person said; "" leaves the column out.

    Raises:
        InputError: an unknown column or field, or a field twice; lists everything.
    """
    known = {*fields, *own_fields}
    by_name = {_plain(label): key for key, label in own_fields.items()} | {_plain(key): key for key in own_fields}
    by_name |= {_plain(word): field for word, field in _BY_NAME.items() if field in known}
    wanted = {_plain(column): field.strip() for column, field in chosen.items()}
    problems = [
        Problem(f"--map {column}", f"there is no column {column!r}", "columns: " + ", ".join(header))
        for column in chosen
        if _plain(column) not in {_plain(name) for name in header}
    ]
    problems += [
        Problem(f"--map {column}", f"there is no field {field!r}", "fields: " + ", ".join(sorted(known)))
        for column, field in chosen.items()
        if field.strip() not in known and field.strip() not in IGNORE
    ]
    found = [_field_of(_plain(name), wanted, by_name) for name in header]
    problems += _doubled(header, found)
    if problems:
        raise InputError(problems)
    return Columns(tuple(found), tuple(name for name, field in zip(header, found, strict=True) if field is None))


def _field_of(name: str, wanted: Mapping[str, str], by_name: Mapping[str, str]) -> str | None:
    if name in wanted:
        return wanted[name] if wanted[name] not in IGNORE else None
    taken = set(wanted.values())
    field = by_name.get(name)
    return None if field in taken else field


def _doubled(header: Sequence[str], found: Sequence[str | None]) -> list[Problem]:
    columns: dict[str, list[str]] = {}
    for name, field in zip(header, found, strict=True):
        if field is not None:
            columns.setdefault(field, []).append(name)
    return [
        Problem(field, f"several columns hold it: {', '.join(names)}", "leave one out: --map COLUMN=")
        for field, names in columns.items()
        if len(names) > 1
    ]


def _plain(name: str) -> str:
    return re.sub(r"[\s_./()-]+", "", name.casefold())
