"""Every table, imported once: what migrations and tests build from."""

from mailer.schema import (
    accounts,
    actions,
    bounces,
    campaigns,
    consent,
    contacts,
    content,
    delivery,
    followups,
    forms,
    imports,
    privacy,
    reputation,
    segments,
    tracking,
    transports,
    workspace,
)
from mailer.schema.base import Base

AGGREGATES = (
    accounts,
    actions,
    bounces,
    campaigns,
    consent,
    contacts,
    content,
    delivery,
    followups,
    forms,
    imports,
    privacy,
    reputation,
    segments,
    tracking,
    transports,
    workspace,
)
metadata = Base.metadata
