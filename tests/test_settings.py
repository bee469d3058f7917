"""Settings: every problem at once; the embedded default only while `mailer up` holds its lock."""

import fcntl
import json
from pathlib import Path

import pytest

from mailer.errors import InputError
from mailer.settings import load_settings


def test_every_problem_is_reported_at_once_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(
            data_dir=tmp_path, database_url="mysql://x", redis_url="http://x", public_url="http://example.com",
            timezone="Oslo", smtp_url="mail.example.com",
        )  # fmt: skip

    places = {problem.where for problem in caught.value.problems}
    assert places == {
        "MAILER_DATABASE_URL", "MAILER_REDIS_URL", "MAILER_PUBLIC_URL", "MAILER_TIMEZONE", "MAILER_SMTP_URL",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url", ["https://mail.example.com", "http://127.0.0.1:8000", "http://[::1]:80", "http://a.localhost"]
)
def test_http_is_for_loopback_only(tmp_path: Path, url: str) -> None:
    assert load_settings(data_dir=tmp_path, public_url=url).public_url == url


def test_nothing_falls_back_to_the_catcher_outside_up(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"pid": 1, "ports": {"web": 1, "catcher": 2, "listen": 3}}))

    settings = load_settings(data_dir=tmp_path)

    assert settings.smtp_url.get_secret_value() == ""
    assert settings.public_url == ""


def test_addresses_are_those_of_up_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    path.write_text(json.dumps({"pid": 1, "ports": {"web": 8001, "catcher": 8002, "listen": 8003}}))

    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        settings = load_settings(data_dir=tmp_path)

    assert settings.public_url == settings.tracking_url == "http://127.0.0.1:8001"
    assert settings.smtp_url.get_secret_value() == "smtp://127.0.0.1:8002"
    assert settings.bounce_domain == "bounce.localhost"


def test_long_data_folder_has_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)

    assert len(str(load_settings(data_dir=folder).valkey_socket)) < 108


def test_password_of_the_relay_is_not_shown(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, smtp_url="smtps://me:hidden-word@mail.example.com")

    assert "hidden-word" not in repr(settings)
