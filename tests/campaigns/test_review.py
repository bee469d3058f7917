"""The review says what stands between a campaign and its readers (FEATURES M9)."""

from datetime import timedelta
from typing import Any

import pytest

from mailer.campaigns.canary import CanaryPlan, CanaryReason
from mailer.campaigns.review import Facts, review
from mailer.clock import utc_now
from mailer.content.check import Level
from mailer.delivery.domains import Light, Standing

GOOD = Standing(
    "example.com", has_key=True, dkim=Light.OK, dmarc=Light.OK, is_aligned=True, checked_at=utc_now()
)  # fmt: skip


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "subject": "News", "sender_email": "news@example.com", "sender_postal_address": "Havnegata 1, 0150 Oslo",
        "topic": "Invitations", "is_transactional": False, "has_sender": True, "audience": {"sendable": 10},
        "content": [], "relay": "smtp.example.net:587", "is_relay_permitted": True, "is_outside": True,
        "standing": GOOD,
    }  # fmt: skip
    return Facts(**(values | changes))


def standing(**changes: Any) -> Standing:
    return Standing(**({field: getattr(GOOD, field) for field in GOOD.__dataclass_fields__} | changes))


def test_an_aligned_and_checked_domain_is_nothing_to_complain_about() -> None:
    assert review(facts()) == []


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (Standing(), "no_sending_domain"),
        (standing(checked_at=None), "domain_unchecked"),
        (standing(has_key=False, dkim=None), "no_dkim"),
        (standing(dkim=Light.FAIL), "no_dkim"),
        (standing(dkim=Light.UNKNOWN), "no_dkim"),
        (standing(is_aligned=False), "no_dkim"),
        (standing(dmarc=Light.FAIL), "no_dmarc"),
        (standing(dmarc=None), "no_dmarc"),
        (standing(dmarc=Light.UNKNOWN), "no_dmarc"),
    ],
)
def test_mails_that_leave_the_machine_need_aligned_dkim_and_a_dmarc_record(known: Standing, code: str) -> None:
    (finding,) = review(facts(standing=known))

    assert (finding.code, finding.level, finding.where) == (code, Level.RED, "domains")
    assert finding.mend


def test_mails_that_stay_on_the_machine_need_none() -> None:
    assert review(facts(standing=Standing(), is_outside=False)) == []


@pytest.mark.parametrize(("days", "codes"), [(7, []), (8, ["domain_checks_old"])])
def test_checks_older_than_a_week_are_a_warning(days: int, codes: list[str]) -> None:
    found = review(facts(checked_ago=timedelta(days=days)))

    assert [finding.code for finding in found] == codes
    assert all(finding.level is Level.AMBER for finding in found)


def test_a_free_mailbox_is_no_sender() -> None:
    (finding,) = review(facts(sender_email="fjord@gmail.com", standing=Standing()))

    assert (finding.code, finding.level) == ("freemail_sender", Level.RED)


def test_a_stopped_domain_and_a_certain_canary_are_said_before_the_launch() -> None:
    plan = CanaryPlan(500, 8_000, {CanaryReason.NEW_DOMAIN: None}, 1_800.0)
    found = {one.code: one for one in review(facts(canary=plan, domain_stands="12 hard bounces of 200"))}

    assert found["canary"].what.endswith("500 go out first and are watched for 30 min, then the rest")
    assert "12 hard bounces of 200" in found["domain_stopped"].what
    assert {found["canary"].level, found["domain_stopped"].level} == {Level.AMBER}
