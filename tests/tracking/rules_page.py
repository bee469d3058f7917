"""`python -m tests.tracking.rules_page` writes the tables of docs/reference/human-or-machine.md."""

from pathlib import Path

from mailer.tracking.evidence import FILTERS, OTHERS
from mailer.tracking.machines import RULES, RULES_VERSION
from tests.tracking.simulated import OPEN, SIMULATED, Simulated, judge

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "human-or-machine.md"
MARK = "<!-- made by tests.tracking.rules_page; a test keeps it true -->"


def build_tables() -> str:
    """Return what the page says below its mark."""
    return "\n\n".join((MARK, f"## The rules, version {RULES_VERSION}", _rules(), "## Networks", _networks(),
                        "## Simulated readers and scanners", _readers())) + "\n"  # fmt: skip


def _rules() -> str:
    lines = ["| reason | class | of | holds for |", "|---|---|---|---|"]
    lines += [f"| `{rule.word}` | {rule.hit_class.value} | {rule.of} | {rule.says} |" for rule in RULES]
    return "\n".join(lines)


def _networks() -> str:
    lines = ["| network | decides | addresses |", "|---|---|---|"]
    for name, ranges in sorted((FILTERS | OTHERS).items()):
        decides = "machine (`filter_network`)" if name in FILTERS else "nothing; it is shown"
        lines.append(f"| `{name}` | {decides} | {', '.join(ranges)} |")
    return "\n".join(lines)


def _readers() -> str:
    lines = ["| who | opens | clicks | reasons |", "|---|---|---|---|"]
    lines += [_reader(who) for who in SIMULATED]
    return "\n".join(lines)


def _reader(who: Simulated) -> str:
    seen = [(ask, word, reasons) for ask, word, reasons in judge(who) if ask.method != "HEAD"]
    opens = sorted({word for ask, word, _ in seen if ask.link == OPEN})
    clicks = sorted({word for ask, word, _ in seen if ask.link != OPEN})
    words = sorted({f"`{word}`" for _, _, reasons in seen for word in reasons.split()})
    return f"| {who.name} | {', '.join(opens) or 'none'} | {', '.join(clicks) or 'none'} | {', '.join(words)} |"


if __name__ == "__main__":
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(above + build_tables(), encoding="utf-8")
