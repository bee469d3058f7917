"""A message becomes an envelope: frozen content, one contact's values, links with tokens, MIME (DESIGN: Content)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.clock import utc_now
from mailer.consent.tracking import TrackingMode, is_tracking_row, may_track
from mailer.content.attachments import load_files
from mailer.content.quoted import PlainText, is_plain
from mailer.content.render import Renderer
from mailer.content.rendering import get_renderer
from mailer.context import Context
from mailer.database import any_row
from mailer.delivery.attachments import Attachment
from mailer.delivery.claim import Claim
from mailer.delivery.dkim import Signer
from mailer.delivery.mime import Skeleton, SkeletonSpec, Variable, build_skeleton
from mailer.delivery.recipients import Values, build_statements, read_values
from mailer.delivery.signing import load_signer
from mailer.delivery.smtp import Envelope
from mailer.rowsets import read_rows
from mailer.schema.consent import Consent, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import ContentVersion, LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.workspace import Sender
from mailer.statuses import LinkResponse, MessageState, SendingClass
from mailer.workspace.queries import get_limit


class Outgoing(NamedTuple):
    """A queued message of a claimed batch, with what its template may know."""

    message_id: int
    claim: Claim
    contact_id: int | None
    address_id: int | None
    to_email: str
    attempts: int
    values: Values
    tracks_opens: bool
    tracks_clicks: bool


@dataclass(frozen=True)
class Content:
    """What all messages of a sending share."""

    sending_id: int
    renderer: Renderer
    skeleton: Skeleton
    urls: tuple[str, ...]
    actions: tuple[bool, ...]
    shared: Mapping[str, Any]
    topic_id: int
    key_id: int
    is_marketing: bool
    is_test: bool
    is_confirmation: bool
    track_opens: bool
    track_clicks: bool
    signer: Signer | None


def load_content(session: Session, ctx: Context, sending_id: int, *, is_sent: bool = True) -> Content:
    """Return the shared part of a sending; but for the keys in use it never changes while the sending lives.

    `is_sent=False` is for showing a mail as a page: no attached files, and no private key in a public process.
    """
    sending = session.get_one(Sending, sending_id)
    version = session.get_one(ContentVersion, sending.content_version_id)
    sender = session.get_one(Sender, sending.sender_id)
    topic = session.get(Topic, sending.topic_id) if sending.topic_id else None
    has_action = any_row(LinkAction, LinkAction.tracked_link_id == TrackedLink.id)
    links = session.execute(
        select(TrackedLink.url, or_(has_action, TrackedLink.response != LinkResponse.REDIRECT.value))
        .where(TrackedLink.content_version_id == version.id)
        .order_by(TrackedLink.ordinal)
    ).all()
    is_test = sending.sending_class == SendingClass.TEST
    is_marketing = sending.sending_class == SendingClass.MARKETING or (is_test and topic is not None)
    return Content(
        sending_id=sending.id,
        renderer=get_renderer(version),
        skeleton=build_skeleton(
            _skeleton_spec(ctx, sending, sender, topic),
            [Attachment(file.name, file.media_type, file.data) for file in load_files(session, version.id)]
            if is_sent
            else [],
        ),
        urls=tuple(url for url, _ in links),
        actions=tuple(bool(has) for _, has in links),
        shared={"sender": _sender_values(sender), **version.data},
        topic_id=topic.id if topic else 0,
        key_id=sending.key_id,
        is_marketing=is_marketing,
        is_test=is_test,
        is_confirmation=sending.sending_class == SendingClass.CONFIRMATION,
        track_opens=sending.track_opens,
        track_clicks=sending.track_clicks,
        signer=load_signer(session, ctx.keys, sender.from_email) if is_sent else None,
    )


def _skeleton_spec(ctx: Context, sending: Sending, sender: Sender, topic: Topic | None) -> SkeletonSpec:
    domain = sender.from_email.rpartition("@")[2]
    return SkeletonSpec(
        from_email=sender.from_email,
        from_name=sender.from_name,
        reply_to=sender.reply_to,
        list_id=f"topic-{topic.id}.{domain}" if topic else "",
        list_name=topic.name if topic else "",
        feedback_id=f"{sending.id}:{sending.topic_id or 0}:{sending.sending_class}:{ctx.settings.bounce_domain}",
        is_automatic=sending.sending_class in (SendingClass.CONFIRMATION, SendingClass.STAFF),
    )


def _sender_values(sender: Sender) -> dict[str, str]:
    values = {
        "name": sender.from_name,
        "email": sender.from_email,
        "postal_address": sender.postal_address,
        "organisation_number": sender.organisation_number,
        "privacy_url": sender.privacy_url,
        "footer": sender.footer,
    }
    return {key: value for key, value in values.items() if value}


def load_outgoing(session: Session, claim: Claim) -> list[Outgoing]:
    """Return the queued messages of a claimed batch, by id."""
    mode = TrackingMode(int(get_limit(session, "tracking_unasked")))
    rows = read_rows(session.connection(), _queued(mode), {"batch": claim.batch_id})
    values = read_values(session, _VALUES, {"batch": claim.batch_id})
    return [
        Outgoing(
            number, claim, contact_id, address_id, email, attempts, values.get(contact_id or 0, _NOBODY),
            bool(opens), bool(clicks),
        )
        for number, contact_id, address_id, email, attempts, opens, clicks in rows
    ]  # fmt: skip


_MINE = (Message.batch_id == bindparam("batch"), Message.state == MessageState.QUEUED.value)


@cache
def _queued(mode: TrackingMode) -> Select[int, int | None, int | None, str, int, bool, bool]:
    """The queued messages of a batch, and whether opens and clicks may be kept with whom they are for."""
    return (
        select(
            Message.id,
            Message.contact_id,
            Message.address_id,
            func.coalesce(Message.to_address, Address.email, ""),
            Message.attempts,
            may_track(Contact.country, mode),
            may_track(Contact.country, mode, is_click=True),
        )
        .outerjoin(Address, Address.id == Message.address_id)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Consent, is_tracking_row(Message.contact_id))
        .where(*_MINE)
        .order_by(Message.id)
    )


_VALUES = build_statements(select(Message.contact_id).where(*_MINE, Message.contact_id.is_not(None)))
_NOBODY: Values = {"contact": {}, "company": {}, "owner": {}}


def build_context(ctx: Context, content: Content, outgoing: Outgoing) -> dict[str, Any]:
    """Return the context of the template: values of contact and campaign, and each special link with its token."""
    keys, settings, message_id = ctx.keys, ctx.settings, outgoing.message_id
    links = list(content.urls)
    if (content.track_clicks or any(content.actions)) and not content.is_test:
        base = f"{settings.tracking_url}/c/"
        found = tokens.click_tokens(keys, message_id, len(links), key_id=content.key_id)
        marked = PlainText if found and is_plain(base + found[0]) else str  # they differ in their token only
        links = [marked(base + token) for token in found]
        if not (content.track_clicks and outgoing.tracks_clicks):  # what does something for the person stays theirs
            links = [
                mine if has_action else url
                for mine, url, has_action in zip(links, content.urls, content.actions, strict=True)
            ]
    pixel = ""
    if content.track_opens and outgoing.tracks_opens and not content.is_test:
        token = tokens.track_token(keys, tokens.OPEN, message_id, key_id=content.key_id)
        pixel = f"{settings.tracking_url}/o/{token}.gif"
    view = tokens.track_token(keys, tokens.VIEW, message_id, key_id=content.key_id)
    return {
        **outgoing.values,
        **content.shared,
        "links": links,
        "pixel_url": pixel,
        "view_url": f"{settings.public_url}/v/{view}",
        "confirm_url": _confirm_url(ctx, content, message_id),
        **_manage_links(ctx, content, outgoing),
    }


def _confirm_url(ctx: Context, content: Content, message_id: int) -> str:
    """Return where a sign-up is confirmed; empty in every mail that is no confirmation."""
    if not content.is_confirmation:
        return ""
    token = tokens.track_token(ctx.keys, tokens.CONFIRM, message_id, key_id=content.key_id)
    return f"{ctx.settings.public_url}/s/{token}"


def _manage_links(ctx: Context, content: Content, outgoing: Outgoing) -> dict[str, str]:
    """Links of the person's own: only where the mail is one that can be unsubscribed from."""
    if not content.is_marketing or outgoing.contact_id is None:
        return {"unsubscribe_url": "", "preferences_url": ""}
    message_id = 0 if content.is_test else outgoing.message_id
    token = tokens.manage_token(ctx.keys, outgoing.contact_id, content.topic_id, message_id)
    base = ctx.settings.public_url
    return {"unsubscribe_url": f"{base}/u/{token}", "preferences_url": f"{base}/p/{token}"}


def build_envelope(ctx: Context, content: Content, outgoing: Outgoing) -> Envelope:
    """Return the mail as it goes over the wire.

    Raises:
        RenderError: a value is missing or the output is too long.
    """
    context = build_context(ctx, content, outgoing)
    verp = tokens.verp_local(ctx.keys, outgoing.message_id, content.key_id)
    mail_from = f"{verp}@{ctx.settings.bounce_domain}"
    mail = content.renderer.mail(context)
    local = tokens.message_id_local(ctx.keys, outgoing.message_id, content.key_id)
    body = content.skeleton.assemble(
        Variable(
            to_email=outgoing.to_email,
            subject=f"[Test] {mail.subject}" if content.is_test else mail.subject,
            message_id=f"{local}@{ctx.settings.bounce_domain}",
            date=utc_now(),
            text_qp=mail.text_qp,
            html_qp=mail.html_qp,
            unsubscribe_url=context["unsubscribe_url"],
            unsubscribe_mailto=_mailto(ctx, context["unsubscribe_url"]),
            reference=verp,
        )
    )
    if content.signer is not None:
        body = content.signer.sign(body) + body
    return Envelope(mail_from, outgoing.to_email, body, is_clean=True)


def _mailto(ctx: Context, unsubscribe_url: str) -> str:
    """Return the address that unsubscribes by mail: the token of the link, which outlives the message."""
    if not unsubscribe_url:
        return ""
    local = tokens.mail_manage_local(unsubscribe_url.rpartition("/")[2])
    return f"{local}@{ctx.settings.bounce_domain}?subject=unsubscribe"
