"""What is typed becomes answers or faults, each at its field; nothing valid is lost."""

from typing import Any

import pytest

from mailer.forms.answers import Answers, Fault, FaultKind, Given, Question, check_answers
from mailer.statuses import FieldType

NAME = Question("first_name", "First name", FieldType.TEXT, is_required=True, limit=20)
AGE = Question("age", "Age", FieldType.NUMBER, is_required=False)
BORN = Question("born", "Born", FieldType.DATE, is_required=False)
SIZE = Question("size", "Size", FieldType.CHOICE, is_required=False, choices=("S", "M"))
CALL = Question("call", "Call me", FieldType.YES_NO, is_required=False)


def check(question: Question, text: str) -> Any:
    found = check_answers(Given("anna@example.com", {question.key: text}, has_agreed=True), [question], [])
    return found.data.get(question.key) if isinstance(found, Answers) else found[0].kind


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        (NAME, "  Kari  ", "Kari"),
        (NAME, "", FaultKind.MISSING),
        (NAME, " \t ", FaultKind.MISSING),
        (NAME, "x" * 21, FaultKind.TOO_LONG),
        (NAME, "Kari\r\nBcc: x", "Kari Bcc: x"),
        (NAME, "Ka\u202eri", "Ka ri"),
        (AGE, "", None),
        (AGE, "42", 42),
        (AGE, "1 234,5", 1234.5),
        (AGE, "1e400", FaultKind.NO_NUMBER),
        (AGE, "٤٢", FaultKind.NO_NUMBER),
        (AGE, "9" * 17, FaultKind.NO_NUMBER),
        (AGE, "nan", FaultKind.NO_NUMBER),
        (BORN, "1999-12-31", "1999-12-31"),
        (BORN, "31.12.1999", FaultKind.NO_DATE),
        (SIZE, "M", "M"),
        (SIZE, "XL", FaultKind.NO_CHOICE),
        (CALL, "1", True),
        (CALL, "", False),
    ],
)
def test_a_text_is_read_as_its_field_wants_it(question: Question, text: str, expected: Any) -> None:
    assert check(question, text) == expected


@pytest.mark.parametrize(
    ("email", "kind"),
    [
        ("", FaultKind.MISSING),
        ("anna", FaultKind.NO_ADDRESS),
        ("anna@example.com\r\nBcc: victim@example.org", FaultKind.NO_ADDRESS),
        ("anna@example.com, eve@example.com", FaultKind.NO_ADDRESS),
        ('"x\\r\\nBcc: y"@example.com', FaultKind.NO_ADDRESS),
        ("<anna@example.com>", FaultKind.NO_ADDRESS),
        ("noreply@example.com", FaultKind.NO_ADDRESS),
        ("a" * 250 + "@example.com", FaultKind.TOO_LONG),
    ],
)
def test_what_is_no_address_is_said_at_its_field(email: str, kind: FaultKind) -> None:
    found = check_answers(Given(email, has_agreed=True), [], [1])

    assert found == [Fault("email", kind)]


def test_every_fault_is_told_at_once() -> None:
    found = check_answers(Given("", {"size": "XL"}), [NAME, SIZE], [1, 2])

    assert isinstance(found, list)
    assert [fault.where for fault in found] == ["email", "first_name", "size", "topic", "agree"]


def test_one_topic_needs_no_choice_and_foreign_topics_are_not_taken() -> None:
    one = check_answers(Given("anna@example.com", has_agreed=True), [], [7])
    two = check_answers(Given("anna@example.com", topic_ids=frozenset({8, 99}), has_agreed=True), [], [7, 8])

    assert isinstance(one, Answers)
    assert isinstance(two, Answers)
    assert (list(one.topic_ids), list(two.topic_ids)) == ([7], [8])
