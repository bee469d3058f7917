"""What tests of tracking share."""

import pytest

from mailer.context import Context
from tests.tracking.sent import Sent


@pytest.fixture
def sent(ctx: Context):
    """One mail with four links, and the writer of a spool."""
    made = Sent(ctx)
    yield made
    made.writer.close()
