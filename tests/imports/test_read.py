"""Tables out of whatever people upload; what is no table is named for what it is (PROOF, C24)."""

import contextlib
import zipfile
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from mailer.errors import InputError
from mailer.imports.read import BadRow, iter_rows, open_table
from mailer.imports.refusals import guard_cell

ROWS = [["Anna", "åse@example.com", "Oslo; Bergen"], ["", "b@example.com", ""]]


def table_of(path, data: bytes):
    path.write_bytes(data)
    table = open_table(path)
    return table, list(iter_rows(table))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_delimiter_encoding_and_line_ends_are_found(tmp_path, encoding, delimiter, end):
    def line(cells):
        return delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in cells)

    text = end.join([line(["Name", "E-mail", "Cities"]), *map(line, ROWS)]) + end

    table, rows = table_of(tmp_path / "a.csv", text.encode(encoding))

    assert table.header == ("Name", "E-mail", "Cities")
    assert rows == ROWS


def test_quotes_blank_rows_and_short_rows(tmp_path):
    _, rows = table_of(tmp_path / "a.csv", b'a,b\n\n"x ""y"", z\nw",2\n,\n 3 \n')

    assert rows == [['x "y", z\nw', "2"], ["3"]]


def test_one_column_is_a_table(tmp_path):
    table, rows = table_of(tmp_path / "a.csv", b"email\na@example.com\n")

    assert (table.header, rows) == (("email",), [["a@example.com"]])


def test_workbook_is_read_as_people_see_it(tmp_path):
    book = Workbook()
    book.active.append(["Email", "Seats", "Born", "Rate", "Yes"])
    book.active.append(["a@example.com", 5, date(2026, 11, 21), 2.5, True])
    book.active.append([None, None, None, None, None])
    book.save(tmp_path / "a.xlsx")

    table = open_table(tmp_path / "a.xlsx")

    assert table.header == ("Email", "Seats", "Born", "Rate", "Yes")
    assert list(iter_rows(table)) == [["a@example.com", "5", "2026-11-21", "2.5", "true"]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b"%PDF-1.7\n...", "is a PDF, not a table"),
        (b"\x89PNG\r\n\x1a\n", "is a picture"),
        (b"\x1f\x8b\x08\x00", "is a compressed file"),
        (b"SQLite format 3\0", "is a database"),
        (b"\x7fELF\x02\x01", "is a program"),
        (bytes(range(256)) * 20, "is a binary file"),
        (b"PK\x03\x04garbage", "is a damaged workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "cannot be read"),
        (b"anna@example.com,Anna\nb@example.com,B\n", "holds an address"),
        (b",,,\n1,2,3,4\n", "names of the columns"),
        (b",".join([b"c"] * 5000) + b"\n", "more than 1000 columns"),
    ],
)
def test_no_table_is_named_for_what_it_is(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        table_of(tmp_path / "a.csv", data)


def test_archive_that_is_no_workbook_and_missing_file_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(InputError, match="is an archive"):
        open_table(tmp_path / "a.zip")
    with pytest.raises(InputError, match="No such file"):
        open_table(tmp_path / "none.csv")


def test_huge_cell_is_a_bad_row_and_reading_goes_on(tmp_path):
    data = b"email,name\na@example.com," + b"x" * 10_000_000 + b"\nb@example.com,B\n"

    _, rows = table_of(tmp_path / "a.csv", data)

    assert isinstance(rows[0], BadRow)
    assert "characters" in rows[0].reason
    assert rows[-1] == ["b@example.com", "B"]


def test_nul_and_formula_guards_are_taken_off(tmp_path):
    _, rows = table_of(tmp_path / "a.csv", b"email,name\na@exam\0ple.com,'=1+1\nb@example.com,'quoted'\n")

    assert rows == [["a@example.com", "=1+1"], ["b@example.com", "'quoted'"]]


@pytest.mark.parametrize("cell", ["=cmd|x", "+1", "-1", "@a", "\tx", "plain", "'x"])
def test_guarded_cell_is_no_formula(cell):
    assert not guard_cell(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.binary(max_size=3000))
def test_random_bytes_are_a_table_or_a_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    with contextlib.suppress(InputError):
        table, rows = table_of(path, data)
        assert table.header
        assert all(isinstance(row, list | BadRow) for row in rows)


@given(st.text(st.sampled_from("ab;,\t|\"'\n\r=\ufeff\0é"), max_size=200))
def test_random_text_is_a_table_or_a_clear_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    with contextlib.suppress(InputError):
        _, rows = table_of(path, text.encode("utf-16"))
        assert all(isinstance(row, list | BadRow) for row in rows)


def test_quotation_mark_that_is_not_closed_names_the_rows_it_swallows(tmp_path):
    text = 'email,first_name\nq1@example.com,"open\nq2@example.com,Kari\n'

    _, rows = table_of(tmp_path / "a.csv", text.encode())

    assert isinstance(rows[0], BadRow)
    assert "q2@example.com,Kari" in rows[0].reason


def test_line_break_inside_quotes_is_text(tmp_path):
    text = 'email,first_name\nq1@example.com,"Anna\nMaria"\nq2@example.com,Kari\n'

    _, rows = table_of(tmp_path / "a.csv", text.encode())

    assert rows == [["q1@example.com", "Anna\nMaria"], ["q2@example.com", "Kari"]]
