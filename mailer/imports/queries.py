"""Reads of imports for pages. Never commits."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.imports import ImportRun


def get_by_public_id(session: Session, public_id: uuid.UUID) -> ImportRun:
    """Return an import by its public id or raise NotFoundError."""
    row = session.scalar(select(ImportRun).where(ImportRun.public_id == public_id))
    if row is None:
        raise NotFoundError("no such import")
    return row
