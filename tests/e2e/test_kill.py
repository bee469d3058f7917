"""kill -9 of the send worker in the middle of a campaign: exactly once or known."""

import os
import signal
from pathlib import Path

import pytest

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


def test_killed_send_worker_loses_nobody_and_doubles_nobody(
    installation: Installation, tmp_path: Path, trial: int
) -> None:
    installation.start()
    campaign_id = prepare_campaign(installation, tmp_path, count=COUNT, rate=250)
    installation.run("campaigns", "launch", str(campaign_id))
    wait_until("the first mails", lambda: _states(installation, campaign_id)["accepted"] > 50 + 20 * trial)

    os.kill(installation.children()["send"], signal.SIGKILL)
    wait_until("another send worker", lambda: "send" in installation.children())
    wait_until(
        "the end of the campaign",
        lambda: installation.json("campaigns", "status", str(campaign_id))["status"] == "finished",
        seconds=120,
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
