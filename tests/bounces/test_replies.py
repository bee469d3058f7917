"""Sentences of many servers, in many languages: whether the address is dead.

`samples/replies.txt` is written from knowledge of what servers say; none is taken from a message of somebody else.
"""

from pathlib import Path

import pytest

from mailer.bounces.judge import judge

SAMPLES = Path(__file__).parent / "samples" / "replies.txt"
LINES = [line for line in SAMPLES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("line", LINES)
def test_a_sentence_of_a_server_says(line: str) -> None:
    verdict, said, status = line.split("|")

    assert judge(said, status).verdict.value == verdict
