"""Settings in the database: checked whole, stop everything survives, sender profiles complete."""

import pytest

from mailer.accounts import control
from mailer.context import Context
from mailer.errors import ConflictError, InputError
from mailer.workspace import queries
from mailer.workspace.limits import LIMITS, check_limits
from mailer.workspace.service import SenderValues, ensure_workspace

SENDER = SenderValues(
    name="Fjord Seminars",
    from_name="Fjord Seminars",
    from_email="News@Example.com",
    postal_address="Havnegata 1, 0150 Oslo",
)


def test_the_settings_row_is_made_once(ctx: Context) -> None:
    first = ensure_workspace(ctx)
    control.change_settings(ctx, name="Fjord", by=None)

    assert ensure_workspace(ctx).id == first.id
    assert ensure_workspace(ctx).name == "Fjord"


def test_every_wrong_setting_is_named_and_nothing_is_changed(ctx: Context) -> None:
    with pytest.raises(InputError) as caught:
        control.change_settings(
            ctx, name=" ", timezone="Mars/Base", limits={"quarantine_seconds": "x", "nonsense": 1}, by=None
        )

    assert {problem.where for problem in caught.value.problems} == {
        "name",
        "timezone",
        "quarantine_seconds",
        "nonsense",
    }
    with ctx.read() as session:
        assert queries.get_workspace(session).timezone == "UTC"


def test_a_limit_at_its_default_is_not_stored() -> None:
    assert check_limits({limit.name: limit.default for limit in LIMITS}) == {}


def test_a_changed_limit_is_read_back(ctx: Context) -> None:
    control.change_settings(ctx, limits={"quarantine_seconds": "2"}, by=None)

    with ctx.read() as session:
        assert queries.get_limit(session, "quarantine_seconds") == 2
        assert queries.get_limit(session, "rate_per_second") == 5


def test_stop_everything_holds_until_released_with_a_note(ctx: Context) -> None:
    assert control.stop_everything(ctx, note="wrong offer")
    assert not control.stop_everything(ctx)

    with pytest.raises(InputError, match="note"):
        control.release_everything(ctx, note=" ")
    with ctx.read() as session:
        assert queries.is_stopped(session)

    assert control.release_everything(ctx, note="offer mended")
    with ctx.read() as session:
        assert not queries.is_stopped(session)


def test_a_sender_profile_needs_a_postal_address_and_a_valid_address(ctx: Context) -> None:
    with pytest.raises(InputError) as caught:
        control.add_sender(ctx, SenderValues(name="", from_name="", from_email="nobody", postal_address=""))

    assert {problem.where for problem in caught.value.problems} == {"name", "from_name", "postal_address", "from_email"}


def test_a_sender_profile_is_found_by_its_name(ctx: Context) -> None:
    sender = control.add_sender(ctx, SENDER)

    with ctx.read() as session:
        found = queries.find_sender(session, "Fjord Seminars")
    assert found is not None
    assert (found.id, found.from_email) == (sender.id, "news@example.com")
    with pytest.raises(ConflictError):
        control.add_sender(ctx, SENDER)
