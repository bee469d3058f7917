"""Files that a draft is to carry: attach, remove, copy. What is sent is frozen with its content version."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.campaigns.drafts import change_draft
from mailer.clock import utc_now
from mailer.content.attachments import FileRef, remove_unused, store_file
from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.schema.campaigns import CampaignAttachment
from mailer.schema.content import Attachment


def list_files(session: Session, campaign_id: int) -> list[FileRef]:
    """Return the files of a draft, in the order in which they were attached."""
    rows = session.execute(
        select(CampaignAttachment, Attachment.size)
        .join(Attachment, Attachment.id == CampaignAttachment.attachment_id)
        .where(CampaignAttachment.campaign_id == campaign_id)
        .order_by(CampaignAttachment.id)
    )
    return [FileRef(row.attachment_id, row.name, row.media_type, size) for row, size in rows]


def attach_file(ctx: Context, campaign_id: int, name: str, data: bytes, *, by: int | None = None) -> FileRef:
    """Attach a file to a campaign that has not started; one of the same name is replaced.

    Raises:
        ConflictError: it has started.
        InputError: not a file that mails may carry.
    """
    with ctx.write() as session:
        change_draft(session, campaign_id)
        file = store_file(session, name, data)
        _forget(session, campaign_id, CampaignAttachment.name == file.name)
        add_files(session, campaign_id, [file])
        detail = {"name": file.name, "size": file.size}
        record_audit(session, "campaign.attach", by=by, subject=("campaign", campaign_id), detail=detail)
    return file


def remove_file(ctx: Context, campaign_id: int, name: str, *, by: int | None = None) -> None:
    """Take a file off a campaign that has not started; NotFoundError where it carries none of that name."""
    with ctx.write() as session:
        change_draft(session, campaign_id)
        if not _forget(session, campaign_id, CampaignAttachment.name == name):
            raise NotFoundError(f"the campaign carries no {name!r}")
        record_audit(session, "campaign.detach", by=by, subject=("campaign", campaign_id), detail={"name": name})


def add_files(session: Session, campaign_id: int, files: Iterable[FileRef]) -> None:
    """Write that a campaign carries stored files."""
    for file in files:
        session.add(
            CampaignAttachment(
                campaign_id=campaign_id,
                attachment_id=file.attachment_id,
                name=file.name,
                media_type=file.media_type,
                created_at=utc_now(),
            )
        )
    session.flush()


def forget_files(session: Session, campaign_id: int) -> None:
    """Take all files off a campaign that is deleted."""
    _forget(session, campaign_id, CampaignAttachment.campaign_id == campaign_id)


def _forget(session: Session, campaign_id: int, which: ColumnElement[bool]) -> bool:
    """Take files off a campaign, and delete those that nothing carries any more; False where there was none."""
    ids = session.scalars(
        delete(CampaignAttachment)
        .where(CampaignAttachment.campaign_id == campaign_id, which)
        .returning(CampaignAttachment.attachment_id)
    ).all()
    if ids:
        is_kept = exists().where(CampaignAttachment.attachment_id == Attachment.id)
        remove_unused(session, list(ids), is_kept=is_kept)
    return bool(ids)
