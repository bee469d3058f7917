"""The last lines of a run that had no browser: pages were not tried. CI counts that as a failure."""

import pytest

MARK = "no Chromium on this machine"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last that the browser tests did not run; reports come from every worker process."""
    reports = [report for kind in ("skipped", "error", "failed") for report in terminalreporter.stats.get(kind, [])]
    reasons = [text for report in reports if MARK in (text := str(getattr(report, "longrepr", "")))]
    if reasons:
        terminalreporter.section("no browser")
        terminalreporter.line(f"{len(reasons)} tests in tests/browser did NOT run: {MARK}, and none could be fetched.")
        terminalreporter.line("Install the package chromium, or let npm reach its registry.")
