"""Test mails: a campaign as it is now, to typed addresses, outside all figures."""

from collections.abc import Sequence

from mailer.accounts.service import record_audit
from mailer.addresses import AddressError, check_address
from mailer.campaigns import queries
from mailer.campaigns.gather import build_content_spec
from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.policy import SEND_UNTIL
from mailer.delivery.sendings import SendingSpec
from mailer.errors import InputError, Problem
from mailer.schema.campaigns import TestSending
from mailer.statuses import SendingClass


def send_test(
    ctx: Context, campaign_id: int, addresses: Sequence[str], *, contact_id: int | None, by: int | None
) -> int:
    """Send the campaign as it is to typed addresses with a contact's data; outside all figures. Return how many.

    Raises:
        InputError: addresses that are none, all of them; or the content does not compile.
    """
    checked = _check_all(addresses)
    with ctx.write() as session:
        campaign = queries.get_campaign(session, campaign_id)
        if campaign.sender_id is None:
            raise InputError("no sender profile is chosen", where="sender")
        version = freeze_content(session, ctx, build_content_spec(session, campaign))
        spec = SendingSpec(
            sending_class=SendingClass.TEST,
            sender_id=campaign.sender_id,
            content_version_id=version.id,
            topic_id=campaign.topic_id,
            send_until=ctx.clock.now() + SEND_UNTIL[SendingClass.TEST],
        )
        sending = sendings.create_sending(session, ctx, spec)
        session.add(TestSending(sending_id=sending.id, campaign_id=campaign.id))
        delivery.add_direct_messages(session, ctx, sending.id, checked, contact_id=contact_id)
        sendings.start_sending(session, ctx, sending.id)
        detail = {"count": len(checked)}
        record_audit(session, "campaign.test", by=by, subject=("campaign", campaign_id), detail=detail)
    return len(checked)


def _check_all(addresses: Sequence[str]) -> list[str]:
    checked, problems = [], []
    for number, text in enumerate(addresses, start=1):
        try:
            checked.append(check_address(text).email)
        except AddressError as error:
            problems.append(Problem(f"address {number}", str(error)))
    if problems:
        raise InputError(problems)
    return checked
