"""What a person does with a link of ours and no login: unsubscribe (RFC 8058), choose topics, withdraw all.

The token is the only proof: it names contact, topic and message; ids in addresses or forms are never read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import mask_address
from mailer.consent import queries, service
from mailer.consent.queries import TopicChoice
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.schema.consent import Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.workspace import Workspace
from mailer.statuses import Permission, SubscriptionStatus
from mailer.tokens import ManageToken, read_manage_token


@dataclass(frozen=True)
class Preferences:
    """What a public page may show: the address masked, no name (FEATURES M5). `topic` is the one of the token."""

    workspace: str
    masked: str
    topic: str
    choices: list[TopicChoice]
    permission: Permission


def read_preferences(ctx: Context, token: str) -> Preferences:
    """Return what the page of a token shows; UntrustedRequestError where it is none of ours."""
    read = read_manage_token(ctx.keys, token)
    with ctx.read() as session:
        contact = _contact(session, read)
        address = session.get(Address, contact.address_id) if contact.address_id else None
        topic = session.get(Topic, read.topic_id) if read.topic_id else None
        return Preferences(
            workspace=session.scalar(select(Workspace.name)) or "",
            masked=mask_address(address.email) if address and address.email else "",
            topic=topic.name if topic else "",
            choices=queries.list_choices(session, contact.id),
            permission=queries.get_permission(session, contact.id),
        )


def unsubscribe_by_link(ctx: Context, token: str, *, channel: str, everything: bool = False) -> None:
    """End the token's topic, or all e-marketing where `everything` or no topic is named. Safe to repeat.

    It is committed when this returns: no message whose gate comes later leaves.
    """
    read = read_manage_token(ctx.keys, token)
    cause = _cause(read, channel)
    with ctx.write() as session:
        contact = _contact(session, read)
        topic = session.get(Topic, read.topic_id) if read.topic_id else None
        if everything or topic is None:
            service.withdraw_all(session, _sharing(session, contact), cause)
        else:
            service.unsubscribe(session, contact, topic.id, cause)


def save_choices(ctx: Context, token: str, topic_ids: Collection[int]) -> None:
    """Make the person's subscriptions those in `topic_ids`; only what differs is written and recorded."""
    read = read_manage_token(ctx.keys, token)
    cause = _cause(read, "preference page")
    with ctx.write() as session:
        contact = _contact(session, read)
        for choice in queries.list_choices(session, contact.id):
            is_subscribed = choice.status is SubscriptionStatus.SUBSCRIBED
            if choice.topic_id in topic_ids and not is_subscribed:
                service.subscribe(session, contact, choice.topic_id, cause)
            elif choice.topic_id not in topic_ids and is_subscribed:
                service.unsubscribe(session, contact, choice.topic_id, cause)


def _contact(session: Session, read: ManageToken) -> Contact:
    contact = session.get(Contact, read.contact_id)
    if contact is None:
        raise UntrustedRequestError("this link is no longer in use")
    return contact


def _sharing(session: Session, contact: Contact) -> Sequence[Contact]:
    return queries.list_contacts_of_address(session, contact.address_id) if contact.address_id else [contact]


def _cause(read: ManageToken, channel: str) -> Cause:
    return Cause(source="link in a mail", channel=channel, message_id=read.message_id or None)
