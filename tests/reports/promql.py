"""As much of PromQL as the alert rules use: comparisons of a metric with a number, joined by `and` on equal labels."""

import operator
import re
from collections.abc import Mapping

Samples = dict[frozenset[tuple[str, str]], float]
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_PART = re.compile(r"^(\w+)(?:\{([^}]*)\})?\s*(==|>=|<=|!=|>|<)\s*([0-9.eE+-]+)$")
_COMPARE = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def parse_metrics(text: str) -> dict[str, Samples]:
    """Return the samples of an exposition by metric; every metric must be described before its samples."""
    found: dict[str, Samples] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            found[line.split()[2]] = {}
        elif not line.startswith("#"):
            match = _LINE.match(line)
            assert match, line
            name, labels, value = match.groups()
            found[name][frozenset(_LABEL.findall(labels or ""))] = float(value)
    return found


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    return {_match(part)[0] for part in expression.split(" and ")}


def evaluate(expression: str, metrics: Mapping[str, Samples]) -> list[dict[str, str]]:
    """Return the label sets for which an expression holds: one alert each."""
    first, *rest = (_select(part, metrics) for part in expression.split(" and "))
    return sorted((dict(labels) for labels in first if all(labels in other for other in rest)), key=str)


def _match(part: str) -> tuple[str, str, str, str]:
    match = _PART.match(part.strip())
    assert match, f"not an expression that tests can evaluate: {part}"
    name, labels, sign, number = match.groups()
    return name, labels or "", sign, number


def _select(part: str, metrics: Mapping[str, Samples]) -> set[frozenset[tuple[str, str]]]:
    name, matchers, sign, number = _match(part)
    wanted = set(_LABEL.findall(matchers))
    return {
        labels
        for labels, value in metrics.get(name, {}).items()
        if wanted <= labels and _COMPARE[sign](value, float(number))
    }
