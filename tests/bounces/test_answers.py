"""Mails of people and of programs that answer for them: who asks to leave, who is away, who only writes.

`samples/answers.txt` is written for these tests.
"""

from pathlib import Path

import pytest

from mailer.bounces.classify import classify_report

SAMPLES = Path(__file__).parent / "samples" / "answers.txt"
LINES = [line for line in SAMPLES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("line", LINES)
def test_a_mail_of_a_person_says(line: str) -> None:
    verdict, subject, text, header = line.split("|")
    head = [
        "From: Ada <ada@b.example>",
        "To: news@sender.example",
        f"Subject: {subject}",
        "Content-Type: text/plain; charset=utf-8",
        *filter(None, [header]),
    ]
    raw = "\n".join([*head, "", text.replace(r"\n", "\n")]).encode()

    assert classify_report(raw).verdict.value == verdict
