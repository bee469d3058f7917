"""How often the classifier is right on the corpus of real messages, which stays outside the repository (MAILER_CORPUS).

`python -m pytest tests/bounces/test_accuracy.py -s` prints the confusion table (docs/development/bounce-accuracy.md).
"""

import hashlib
import os
from collections import Counter
from csv import DictReader
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailer.bounces.classify import classify_report
from mailer.statuses import Verdict

FLOOR, FALSE_HARD, RECIPIENTS = 0.96, 0.005, 0.95


@dataclass
class Score:
    """Rows judged; `table` by label and verdict, unambiguous rows only."""

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    false_hard: int = 0
    may_be_hard: int = 0
    found: int = 0
    named: int = 0

    @property
    def accuracy(self) -> float:
        return sum(count for (label, verdict), count in self.table.items() if label == verdict) / self.table.total()

    def show(self) -> None:
        verdicts = [verdict.value for verdict in Verdict]
        print(f"\n{'':13}" + "".join(f"{verdict[:11]:>12}" for verdict in verdicts))
        for label in verdicts[:-1]:
            print(f"{label:13}" + "".join(f"{self.table[label, verdict] or '.':>12}" for verdict in verdicts))
        share = self.found / self.named
        print(
            f"{self.accuracy:.1%} of {self.table.total()} unambiguous rows right, "
            f"{self.false_hard} of {self.may_be_hard} falsely hard, recipients found in {share:.1%} of {self.named}"
        )


def is_sealed(name: str) -> bool:
    """A fifth, by hash of the name."""
    return hashlib.sha256(name.encode()).digest()[0] % 5 == 0


def judge(folder: Path, *, sealed: bool) -> Score:
    score = Score()
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in DictReader(file):
            if is_sealed(row["file"]) == sealed:
                add(score, row, (folder / "eml" / row["file"]).read_bytes())
    return score


def add(score: Score, row: dict[str, str], raw: bytes) -> None:
    said = classify_report(raw)
    labels = {row["label"], *row["alt_label"].split("/")} if row["ambiguous"] == "1" else {row["label"]}
    if row["ambiguous"] != "1":
        score.table[row["label"], said.verdict.value] += 1
    if "hard" not in labels:
        score.may_be_hard += 1
        score.false_hard += said.verdict is Verdict.HARD
    named = {one.strip().casefold() for one in f"{row['recipients']};{row['recipients_alt']}".split(";") if one.strip()}
    if named:
        score.named += 1
        score.found += bool(named & {one.casefold() for one in said.recipients})


CORPUS = os.environ.get("MAILER_CORPUS")

if CORPUS:

    @pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
    def test_accuracy_on_the_corpus(*, sealed: bool) -> None:
        score = judge(Path(CORPUS or "") / "bounces", sealed=sealed)

        score.show()
        assert score.accuracy > FLOOR
        assert score.false_hard <= FALSE_HARD * score.may_be_hard
        assert score.found > RECIPIENTS * score.named
