"""Real Celery workers killed, broker connections cut, in the middle of a campaign: exactly once or known (C1, C5).

The trials of tests/chaos kill far more often, with workers that start faster; here everything is as it is installed.
"""

import os
import signal
from pathlib import Path

import pytest
import redis

from mailer.settings import Settings
from tests.support.installation import Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]
COUNT = 1_200
CAMPAIGN = """
name = "News"
subject = "News for {{ contact.first_name | default('you') }}"
sender = "Fjord"
topic = "News"
design = "plain"
include = ["Everybody"]
rate_per_second = {rate}
"""


def prepare_campaign(installation: Installation, folder: Path, *, count: int, rate: int) -> int:
    """Set up people, topic, sender, segment and a campaign; return its id."""
    people = folder / "people.csv"
    rows = [f"p{number}@example.com,First{number},Last{number}" for number in range(count)]
    people.write_text("\n".join(["email,first_name,last_name", *rows]), encoding="utf-8")
    rule = folder / "rule.json"
    rule.write_text('{"version": 1, "all": [{"field": "last_name", "op": "is_not_empty"}]}', encoding="utf-8")
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN.replace("{rate}", str(rate)), encoding="utf-8")
    installation.run("topics", "create", "News")
    installation.run(
        "senders", "create", "Fjord", "--from-name", "Fjord", "--from-email", "news@example.com",
        "--postal-address", "Havnegata 1, Oslo",
    )  # fmt: skip
    installation.run("contacts", "import", str(people), "--basis", "consent", "--source", "test", "--topic", "News")
    installation.run("segments", "create", "Everybody", "--rule", str(rule))
    return int(installation.json("campaigns", "create", str(campaign))["id"])


def _states(installation: Installation, campaign_id: int) -> dict[str, int]:
    states: dict[str, int] = installation.json("campaigns", "status", str(campaign_id))["states"]
    return states


def _cut_broker_off(installation: Installation) -> None:
    """End every connection to the broker, as a fail-over does."""
    named = {name: installation.environment.get(f"MAILER_{name.upper()}", "") for name in ("redis_url", "database_url")}
    settings = Settings(data_dir=installation.folder, **{name: value for name, value in named.items() if value})
    with redis.Redis.from_url(settings.redis_url) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def test_killed_workers_lose_nobody_and_double_nobody(installation: Installation, tmp_path: Path, trial: int) -> None:
    installation.start()
    campaign_id = prepare_campaign(installation, tmp_path, count=COUNT, rate=250)
    installation.run("campaigns", "launch", str(campaign_id))
    wait_until("the first mails", lambda: _states(installation, campaign_id)["accepted"] > 50 + 20 * trial)

    for name in ("send", "beat", "work"):
        os.kill(installation.children()[name], signal.SIGKILL)
        _cut_broker_off(installation)
        wait_until(f"another {name}", lambda name=name: name in installation.children())  # type: ignore[misc]
    wait_until(
        "the end of the campaign",
        lambda: installation.json("campaigns", "status", str(campaign_id))["status"] == "finished",
        seconds=120,
        pause=1.0,
    )

    ledger = installation.lines("messages", "list", "--campaign", str(campaign_id))
    mails = installation.lines("catcher", "list")
    caught = [mail["message_id"] for mail in mails]
    accepted = {line["message_id"] for line in ledger if line["state"] == "accepted"}
    unknown = {line["message_id"] for line in ledger if line["state"] == "unknown"}
    assert len(ledger) == COUNT
    assert len(caught) == len(set(caught))
    assert len(accepted) + len(unknown) == COUNT
    assert accepted <= set(caught)
    assert set(caught) - accepted <= unknown
