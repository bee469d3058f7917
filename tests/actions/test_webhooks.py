"""Webhooks: signed, called once a success, tried again, never into a private network (PROOF C29)."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mailer.actions import webhooks
from mailer.actions.queries import get_webhook_by_name, list_webhooks
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from tests.actions.clicks import Clicks

Call = tuple[dict[str, str], bytes]


class Receiver:
    """An HTTP server that keeps what it is told and answers with the next of `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[int] = [204]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                answer = receiver.answers[0] if len(receiver.answers) == 1 else receiver.answers.pop(0)
                self.send_response(answer)
                self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def open_ctx(make_ctx: Callable[..., Context]) -> Context:
    """A context of a development installation: webhooks may go to this machine."""
    return make_ctx(allow_private_webhooks=True)


def clicked(ctx: Context, url: str, count: int = 1) -> tuple[Clicks, str]:
    """A click on a link with `count` calls of one webhook; the waits are over. Returns its secret, too."""
    _public_id, secret = webhooks.create_webhook(ctx, "CRM", url)
    with ctx.read() as session:
        number = get_webhook_by_name(session, "CRM").id
    clicks = Clicks(ctx, [("webhook", {"webhook_id": number})] * count)
    clicks.click()
    clicks.wait()
    return clicks, secret


def test_a_call_is_signed_and_says_who_clicked_what(open_ctx: Context, receiver: Receiver) -> None:
    clicks, secret = clicked(open_ctx, receiver.url)

    assert webhooks.call_due(open_ctx) == 1
    assert webhooks.call_due(open_ctx) == 0

    ((headers, body),) = receiver.calls
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    data = json.loads(body)["data"]
    assert data["contact"]["id"] == str(clicks.contact().public_id)
    assert data["link"]["url"] == "https://example.com/sign-up"
    assert clicks.states() == ["done"]


def test_a_receiver_that_fails_is_called_again_under_the_same_id(open_ctx: Context, receiver: Receiver) -> None:
    receiver.answers = [503, 200]
    clicks, _ = clicked(open_ctx, receiver.url)

    assert webhooks.call_due(open_ctx) == 0
    assert [(run.state, run.note) for run in clicks.runs()] == [("pending", "answered 503")]
    clicks.wait()
    assert webhooks.call_due(open_ctx) == 1

    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1
    assert len(receiver.calls) == 2


def test_a_receiver_that_fails_is_left_alone_for_the_rest_of_a_round(open_ctx: Context, receiver: Receiver) -> None:
    receiver.answers = [500]
    clicks, _ = clicked(open_ctx, receiver.url, count=5)

    webhooks.call_due(open_ctx)

    assert len(receiver.calls) == 1
    assert clicks.states() == ["pending"] * 5


def test_a_receiver_that_never_answers_well_is_shown_as_failed(open_ctx: Context, receiver: Receiver) -> None:
    receiver.answers = [500]
    clicks, _ = clicked(open_ctx, receiver.url)
    while clicks.states() == ["pending"]:
        clicks.wait()
        webhooks.call_due(open_ctx)

    assert [(run.state, run.note, run.attempts) for run in clicks.runs()] == [("failed", "answered 500", 8)]


def test_a_redirect_is_not_followed(open_ctx: Context, receiver: Receiver) -> None:
    receiver.answers = [302]
    clicks, _ = clicked(open_ctx, receiver.url)

    webhooks.call_due(open_ctx)

    assert [headers["host"] for headers, _ in receiver.calls] == [f"127.0.0.1:{receiver.port}"]
    assert clicks.states() == ["pending"]


def test_a_worker_that_dies_in_a_call_leaves_it_to_be_made_later(open_ctx: Context, receiver: Receiver) -> None:
    clicks, _ = clicked(open_ctx, receiver.url)
    claimed = webhooks._claim(open_ctx, clicks.runs()[0].id, set())
    assert claimed is not None

    assert webhooks.call_due(open_ctx) == 0
    clicks.wait()
    assert webhooks.call_due(open_ctx) == 1
    assert clicks.states() == ["done"]


def test_a_webhook_out_of_use_is_not_called(open_ctx: Context, receiver: Receiver) -> None:
    clicks, _ = clicked(open_ctx, receiver.url)
    with open_ctx.read() as session:
        (row,) = list_webhooks(session)
    webhooks.archive_webhook(open_ctx, row.public_id)

    webhooks.call_due(open_ctx)

    assert (receiver.calls, clicks.states()) == ([], ["refused"])
    with open_ctx.read() as session, pytest.raises(NotFoundError):
        get_webhook_by_name(session, "CRM")


def test_a_click_that_was_a_machines_calls_nobody(open_ctx: Context, receiver: Receiver) -> None:
    clicks, _ = clicked(open_ctx, receiver.url)
    with open_ctx.write() as session:
        webhooks.service.void_actions(session, clicks.message_id, clicks.link_id, hit_id=1)

    webhooks.call_due(open_ctx)

    assert (receiver.calls, clicks.states()) == ([], ["void"])


PRIVATE = (
    "https://127.0.0.1/", "https://localhost/", "https://0x7f.1/", "https://2130706433/", "https://127.1/",
    "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "https://0.0.0.0/", "https://100.64.0.1/",
)  # fmt: skip


def test_a_private_address_is_never_called_in_whatever_form(ctx: Context, receiver: Receiver) -> None:
    for number, url in enumerate(PRIVATE):
        webhooks.create_webhook(ctx, f"W{number}", url)
    with ctx.read() as session:
        ids = [row.id for row in list_webhooks(session)]
    clicks = Clicks(ctx, [("webhook", {"webhook_id": number}) for number in ids])
    clicks.click()
    clicks.wait()

    assert webhooks.call_due(ctx) == 0

    assert receiver.calls == []
    assert set(clicks.states()) == {"refused"}
    assert len(clicks.states()) == len(PRIVATE)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://example.com/", "https://u:p@example.com/", "nonsense", ""]
)
def test_an_address_that_cannot_be_right_is_refused_at_once(ctx: Context, url: str) -> None:
    with pytest.raises(InputError):
        webhooks.create_webhook(ctx, "CRM", url)


def test_a_name_is_given_once(ctx: Context) -> None:
    webhooks.create_webhook(ctx, "CRM", "https://crm.example.com/hook")
    with pytest.raises(ConflictError):
        webhooks.create_webhook(ctx, "CRM", "https://crm.example.com/other")


def test_a_name_that_points_inside_a_moment_later_gains_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to; nobody is asked a second time."""
    asked, connected = list[str](), list[str]()

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "8.8.4.4" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise OSError("no network here")

    clicks, _ = clicked(ctx, "https://rebinding.example.com/hook")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)

    webhooks._call(ctx, webhooks._claim(ctx, clicks.runs()[0].id, set()), None)  # type: ignore[arg-type]

    assert (asked, connected) == (["rebinding.example.com"], ["8.8.4.4"])


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks, _ = clicked(ctx, "https://mixed.example.com/hook")
    claimed = webhooks._claim(ctx, clicks.runs()[0].id, set())
    assert claimed is not None
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.4.4", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    assert webhooks._call(ctx, claimed, None) is False

    assert clicks.states() == ["refused"]
