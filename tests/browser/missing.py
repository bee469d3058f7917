"""The last lines of a run that had no browser: pages were not tried. CI counts that as a failure."""

import pytest

MARK = "no Chromium on this machine"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say after everything else that the browser tests did not run; reports come from every worker process."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    reports = [report for kind in ("skipped", "error", "failed") for report in reporter.stats.get(kind, [])]
    count = sum(MARK in str(getattr(report, "longrepr", "")) for report in reports)
    if count:
        reporter.write_line(f"NOT TRIED: {count} tests in tests/browser, because there is {MARK},")
        reporter.write_line("and npm could not fetch one. Install the package chromium, or let npm reach its registry.")
