"""Notifications of Amazon SES that came by mail: JSON in the text of a mail from SNS. Pure, never raises."""

import json
from dataclasses import dataclass

from mailer.statuses import Verdict

_KINDS = {"Delivery": Verdict.NOT_BOUNCE, "Complaint": Verdict.COMPLAINT, "Bounce": None}


@dataclass(frozen=True)
class Notice:
    """What SES says. `verdict` None: a bounce, whose words decide."""

    kind: str
    verdict: Verdict | None
    recipients: tuple[str, ...]
    diagnostic: str = ""
    status: str = ""


def parse_notice(text: str) -> Notice | None:
    """Return the notification in a mail's text; None where it is none."""
    if '"notificationType"' not in text[:2_000]:
        return None
    try:
        notice, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
        kind = str(notice["notificationType"])
        verdict = _KINDS[kind]
        if verdict is not None:
            said = notice.get(kind.lower(), {})
            people = said.get("complainedRecipients") or [{"emailAddress": one} for one in said.get("recipients", [])]
            return Notice(kind, verdict, tuple(str(one["emailAddress"]) for one in people))
        failed = notice["bounce"]["bouncedRecipients"]
        recipients = tuple(str(one["emailAddress"]) for one in failed)
        return Notice(
            kind, None, recipients, str(failed[0].get("diagnosticCode", "")), str(failed[0].get("status", ""))
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
