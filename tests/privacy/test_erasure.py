"""After an erasure nothing of the person is left in any byte that is kept, and everything of others is."""

from pathlib import Path

import pytest

from mailer.consent.blocks import check_blocks, seal
from mailer.consent.replay import list_differences
from mailer.context import Context
from mailer.privacy import queries
from mailer.privacy.erasure import erase_person
from mailer.reports.campaign_figures import get_campaign_figures
from mailer.schema.privacy import Erasure
from mailer.statuses import ErasureStatus
from tests.privacy.traces import EMAIL, World, leave_traces, search_everything
from tests.support.postgres import Postgres
from tests.support.sink import Sink


@pytest.fixture
def world(sending_ctx: Context, sink: Sink) -> World:
    return leave_traces(sending_ctx, sink)


@pytest.fixture
def server_folder(sending_ctx: Context, request: pytest.FixtureRequest) -> Path | None:
    """The folder of the PostgreSQL server, None where the engine is SQLite."""
    if sending_ctx.database.is_sqlite:
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.folder


def erase(ctx: Context, email: str = EMAIL) -> Erasure:
    with ctx.read() as session:
        person = queries.find_person(session, ctx, email)
    return erase_person(ctx, person)


def test_nothing_of_an_erased_person_is_left_anywhere(
    sending_ctx: Context, world: World, server_folder: Path | None
) -> None:
    seal(sending_ctx)
    before = search_everything(sending_ctx, server_folder)
    with sending_ctx.read() as session:
        figures = get_campaign_figures(session, world.sending_id)

    erasure = erase(sending_ctx)

    assert erasure.waits_for == ""
    assert erasure.status == ErasureStatus.FINISHED
    assert len(before) > 60  # the search can find
    assert search_everything(sending_ctx, server_folder) == []
    with sending_ctx.read() as session:
        assert get_campaign_figures(session, world.sending_id) == figures
        assert check_blocks(session).problems == []
        assert list_differences(session) == []
