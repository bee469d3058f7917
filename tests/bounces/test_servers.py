"""Mails in the form of many servers, and who failed in them.

`samples/servers.txt` is written from knowledge of what these programs write; no message of somebody else is in it.
"""

from pathlib import Path

import pytest

from mailer.bounces.classify import classify_report

SAMPLES = Path(__file__).parent / "samples" / "servers.txt"


def read_samples() -> list[tuple[str, str, str, str, str]]:
    """Return verdict, recipients, sender, subject and text of each sample."""
    found = []
    for sample in SAMPLES.read_text(encoding="utf-8").split("=== ")[1:]:
        head, _, text = sample.partition("\n")
        verdict, recipients, sender, subject = (field.strip() for field in head.split("|"))
        found.append((verdict, recipients, sender, subject, text))
    return found


@pytest.mark.parametrize(("verdict", "recipients", "sender", "subject", "text"), read_samples())
def test_a_mail_of_a_server_says(verdict: str, recipients: str, sender: str, subject: str, text: str) -> None:
    head = f"From: {sender}\nTo: news@sender.example\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n"
    said = classify_report(f"{head}\n{text}".encode())

    assert (said.verdict.value, "; ".join(said.recipients)) == (verdict, recipients)
