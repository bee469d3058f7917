"""Every step of the session is known by its phase, and no outcome is guessed (RFC 5321, RFC 2920, RFC 1047)."""

import asyncio
import base64
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.codes import Phase
from mailer.delivery.relays import Relay, Tls
from mailer.delivery.smtp import Connection, Envelope, StaleConnectionError, prepare_body
from mailer.delivery.smtp_pool import Pool, RelayRestingError
from mailer.delivery.smtp_session import SessionRefusedError
from mailer.delivery.smtp_wire import Timeouts
from mailer.errors import PermanentTransportError, TemporaryTransportError, UnknownOutcomeError
from tests.support.smtp_server import CLOSE, RESET, SILENCE, ScriptedServer, run_server

SHORT = Timeouts(connect=5, greeting=0.4, command=0.4, body=0.4, dot=0.4)
LONG = Timeouts(connect=10, greeting=10, command=10, body=10, dot=10)
MAIL = Envelope("b+1@bounce.example.com", "ada@example.com", b"Subject: hello\r\n\r\nHello\r\n")
PLAIN_EHLO = "250-relay.example.com\r\n250 HELP"
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[object]], object]:
    """Run a coroutine on each kind of loop."""

    def runner(coroutine):
        async def settle():
            try:
                return await coroutine
            finally:
                await asyncio.sleep(0.02)  # transports that were closed say goodbye

        with asyncio.Runner(loop_factory=request.param) as made:
            return made.run(settle())

    return runner


def relay_of(server: ScriptedServer, **changes: object) -> Relay:
    return Relay("127.0.0.1", server.port, **changes)  # type: ignore[arg-type] - the test's own shorthand


def test_a_mail_is_held_before_its_dot_and_taken_after_it(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            connection = await Connection.open(relay_of(server), LONG)

            assert await connection.offer(MAIL) is None
            await asyncio.sleep(0.05)
            assert server.received == []

            reply = await connection.finish()
            assert (reply.code, reply.enhanced, reply.text, reply.phase) == (
                250, "2.0.0", "Ok: queued as 4AbCdEf", Phase.DOT,
            )  # fmt: skip
            assert server.received == [MAIL.body + b".\r\n"]
            assert server.commands[1:] == [
                f"MAIL FROM:<{MAIL.mail_from}> SIZE={len(MAIL.body)}", f"RCPT TO:<{MAIL.rcpt_to}>", "DATA",
            ]  # fmt: skip
            connection.quit()

    run(story())


@pytest.mark.parametrize("ehlo", [PLAIN_EHLO, "250-x\r\n250 PIPELINING"], ids=["one by one", "pipelined"])
def test_many_mails_use_one_connection(run, ehlo: str) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"ehlo": ehlo})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            for _ in range(20):
                assert await connection.offer(MAIL) is None
                assert (await connection.finish()).code == 250
            assert len(server.received) == 20
            assert server.connections == 1
            connection.quit()

    run(story())


def test_an_abandoned_mail_is_never_delivered(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            connection.abandon()
            await asyncio.sleep(0.05)
            assert server.received == []
            assert not connection.is_usable
            with pytest.raises(TemporaryTransportError):
                await connection.finish()

    run(story())


@pytest.mark.parametrize("ehlo", [PLAIN_EHLO, "250-x\r\n250 PIPELINING"], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("reply", ["450 4.2.1 later", "550 5.1.1 user unknown", "452 4.3.1 full", "554 5.7.1 no"])
def test_a_refusal_names_its_phase_and_the_connection_goes_on(run, ehlo: str, step: str, reply: str) -> None:
    script: dict[str, object] = {
        "ehlo": ehlo,
        step: [reply, *{"mail": ["250 ok"], "rcpt": ["250 ok"], "data": ["354 go"]}[step]],
    }
    if step != "data":
        script["data"] = ["503 5.5.1 no valid recipients", "354 go"] if "PIPELINING" in ehlo else "354 go"
    if step == "mail":
        script["rcpt"] = ["503 5.5.1 need MAIL", "250 ok"] if "PIPELINING" in ehlo else "250 ok"

    async def story() -> None:
        async with run_server(ScriptedServer(script)) as server:  # type: ignore[arg-type] - a literal
            connection = await Connection.open(relay_of(server), LONG)

            refusal = await connection.offer(MAIL)
            assert refusal is not None
            assert (refusal.phase, refusal.code, refusal.enhanced) == (Phase(step), int(reply[:3]), reply[4:9])
            assert server.received == []

            assert await connection.offer(MAIL) is None
            assert (await connection.finish()).code == 250
            assert len(server.received) == 1
            connection.quit()

    run(story())


def test_a_354_after_a_refused_recipient_gets_no_body(run) -> None:
    """RFC 2920, section 3.1: a server may accept DATA although its only recipient was refused."""

    async def story() -> None:
        async with run_server(ScriptedServer({"rcpt": "550 5.1.1 user unknown"})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            refusal = await connection.offer(MAIL)
            assert refusal is not None
            assert refusal.phase is Phase.RCPT
            await asyncio.sleep(0.05)
            assert server.received == []
            assert not connection.is_usable

    run(story())


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    "fault", [CLOSE, RESET, SILENCE, "hello there", b"25\r\n", b"2" * 2_000_000, b"250-a\r\n550 b\r\n", b"\xff\xfe\r\n"]
)
def test_a_fault_before_the_dot_is_temporary(run, step: str, fault: str | bytes) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({step: fault})) as server:
            connection = await Connection.open(relay_of(server), SHORT)
            with pytest.raises(TemporaryTransportError):
                await connection.offer(MAIL)
            assert not connection.is_usable
            assert server.received == []

    run(story())


@pytest.mark.parametrize(
    "fault", [CLOSE, RESET, SILENCE, "hello", b"25\r\n", b"2" * 2_000_000, "354 go on", b"\0\0\0\r\n"]
)
def test_a_fault_after_the_dot_is_unknown(run, fault: str | bytes) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"dot": fault})) as server:
            connection = await Connection.open(relay_of(server), SHORT)
            assert await connection.offer(MAIL) is None
            with pytest.raises(UnknownOutcomeError):
                await connection.finish()
            assert not connection.is_usable

    run(story())


@pytest.mark.parametrize(
    "fault", [CLOSE, RESET, SILENCE, "421 4.3.2 closing", "554 5.7.1 go away", "hello", b"2" * 2_000_000]
)
@pytest.mark.parametrize("step", ["greeting", "ehlo"])
def test_no_session_is_a_transport_error(run, step: str, fault: str | bytes) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({step: fault})) as server:
            expected = SessionRefusedError if str(fault)[:1] in "45" else TemporaryTransportError
            with pytest.raises(expected):
                await Connection.open(relay_of(server), SHORT)

    run(story())


def test_a_server_that_is_gone_before_the_dot_got_no_byte_of_it(run) -> None:
    async def story() -> None:
        server = ScriptedServer(on_held=lambda writer: writer.close())
        async with run_server(server):
            connection = await Connection.open(relay_of(server), LONG)
            try:
                assert await connection.offer(MAIL) is None
                await asyncio.sleep(0.1)
                await connection.finish()
            except TemporaryTransportError:
                pass
            else:
                pytest.fail("a lost connection was not noticed")
            assert server.received == []

    run(story())


def test_a_refusal_before_the_dot_is_returned_and_no_dot_is_written(run) -> None:
    async def story() -> None:
        server = ScriptedServer(on_held=lambda writer: writer.write(b"552 5.3.4 too big\r\n"))
        async with run_server(server):
            connection = await Connection.open(relay_of(server), LONG)
            reply = await connection.offer(MAIL)
            if reply is None:
                await asyncio.sleep(0.1)
                reply = await connection.finish()
            assert (reply.code, reply.phase) == (552, Phase.BODY)
            await asyncio.sleep(0.05)
            assert server.received == []

    run(story())


def test_a_positive_reply_before_the_dot_is_not_believed(run) -> None:
    async def story() -> None:
        server = ScriptedServer(on_held=lambda writer: writer.write(b"250 2.0.0 queued\r\n"))
        async with run_server(server):
            connection = await Connection.open(relay_of(server), LONG)
            with pytest.raises(TemporaryTransportError):  # noqa: PT012 - it may come at either step
                assert await connection.offer(MAIL) is None
                await asyncio.sleep(0.1)
                await connection.finish()
            assert server.received == []

    run(story())


@pytest.mark.parametrize("reply", ["451 4.7.1 greylisted", "550 5.7.1 spam", "421 4.7.0 slow down", "552 5.2.2 full"])
def test_the_servers_last_word_is_returned(run, reply: str) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"dot": reply})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            got = await connection.finish()
            assert (got.code, got.enhanced, got.phase) == (int(reply[:3]), reply[4:9], Phase.DOT)
            assert connection.is_usable == (got.code != 421)
            connection.quit()

    run(story())


def test_a_reply_of_many_lines_is_one_reply(run) -> None:
    async def story() -> None:
        reply = "550-5.1.1 The email account that you tried\r\n550-5.1.1 to reach does not exist.\r\n550 5.1.1 Bye"
        script = {"rcpt": reply, "ehlo": PLAIN_EHLO}
        async with run_server(ScriptedServer(script)) as server:  # type: ignore[arg-type] - a literal
            connection = await Connection.open(relay_of(server), LONG)
            got = await connection.offer(MAIL)
            assert got is not None
            assert got.text == "The email account that you tried to reach does not exist. Bye"
            assert got.enhanced == "5.1.1"
            connection.quit()

    run(story())


def test_a_reply_split_into_single_bytes_is_one_reply(run) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for text in ("220 hi", "250-x\r\n250 PIPELINING"):
            for byte in f"{text}\r\n".encode():
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)
            await reader.readline()
        writer.close()

    async def story() -> None:
        listener = await asyncio.start_server(trickle, "127.0.0.1", 0)
        async with listener:
            relay = Relay("127.0.0.1", listener.sockets[0].getsockname()[1])
            connection = await Connection.open(relay, LONG)
            assert "PIPELINING" in connection.extensions
            connection.abandon()

    run(story())


@pytest.mark.parametrize(
    ("mail", "ehlo", "status"),
    [
        (Envelope("a@b.example", "jürgen@example.com", b"x\r\n"), PLAIN_EHLO, "5.6.7"),
        (Envelope("a@b.example", "a@example.com", "ü\r\n".encode()), PLAIN_EHLO, "5.6.3"),
        (Envelope("a@b.example", "a@example.com", b"x" * 2_000), "250-x\r\n250 SIZE 1000", "5.3.4"),
        (Envelope("a@b.example", "a@example.com>\r\nRCPT TO:<b@example.com", b"x\r\n"), PLAIN_EHLO, "5.1.3"),
        (Envelope("a b@b.example", "a@example.com", b"x\r\n"), PLAIN_EHLO, "5.1.3"),
        (Envelope("", "not an address", b"x\r\n"), PLAIN_EHLO, "5.1.3"),
    ],
)
def test_what_the_relay_cannot_carry_is_refused_before_a_byte_leaves(
    run, mail: Envelope, ehlo: str, status: str
) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"ehlo": ehlo})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            refusal = await connection.offer(mail)
            assert refusal is not None
            assert (refusal.phase, refusal.enhanced) == (Phase.LOCAL, status)
            assert len(server.commands) == 1
            assert connection.is_usable
            connection.quit()

    run(story())


def test_utf8_addresses_and_8bit_bodies_are_announced(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            connection = await Connection.open(relay_of(server), LONG)
            mail = Envelope("", "jürgen@example.com", "To: jürgen\r\n\r\nü\r\n".encode())
            assert await connection.offer(mail) is None
            await connection.finish()
            assert server.commands[1].startswith("MAIL FROM:<> SIZE=")
            assert server.commands[1].endswith(" BODY=8BITMIME SMTPUTF8")
            connection.quit()

    run(story())


@pytest.mark.parametrize(
    "body", [b".\r\n..\r\n.x\r\n", b"a\r\n.\r\nb", b"a\n.\nMAIL FROM:<x@y>\r\n", b"\r.\r", b"a\r\n.\nb\n.\r\nc", b""]
)
def test_no_body_ends_the_data_early(run, body: bytes) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(Envelope("a@b.example", "c@example.com", body)) is None
            assert (await connection.finish()).code == 250
            assert len(server.received) == 1
            assert not [line for line in server.commands[1:] if line[:4] not in ("MAIL", "RCPT", "DATA")]
            connection.quit()

    run(story())


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"..", b"\r\n."]), max_size=12))
def test_a_prepared_body_reads_back_and_never_looks_like_an_end(parts: list[bytes]) -> None:
    body = b"".join(parts)

    sent = prepare_body(body)

    assert b"\r\n.\r\n" not in b"\r\n" + sent
    assert sent.endswith(b"\r\n")
    assert sent.count(b"\n") == sent.count(b"\r\n") == sent.count(b"\r")
    undone = b"\r\n".join(line.removeprefix(b".") for line in sent.split(b"\r\n"))
    expected = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert undone.removesuffix(b"\r\n") == expected.removesuffix(b"\r\n")


# ---------------------------------------------------------------- TLS and authentication


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    return context


TLS_EHLO = "250-x\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING"


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_a_mail_goes_out_over_tls_with_a_password(run, certificate: Path, tls: Tls) -> None:
    async def story() -> None:
        server = ScriptedServer({"ehlo": TLS_EHLO}, tls=server_tls(certificate))
        async with run_server(server, implicit_tls=tls is Tls.IMPLICIT):
            relay = relay_of(server, tls=tls, user="ann", password="s€cret", ca_file=str(certificate))
            connection = await Connection.open(relay, LONG)
            assert await connection.offer(MAIL) is None
            assert (await connection.finish()).code == 250
            assert server.received == [MAIL.body + b".\r\n"]
            auth = next(line for line in server.commands if line.startswith("AUTH"))
            assert base64.b64decode(auth.split()[2]) == "\0ann\0s€cret".encode()
            connection.quit()
            await asyncio.sleep(0.05)

    run(story())


def test_a_certificate_that_is_not_trusted_stops_everything(run, certificate: Path) -> None:
    async def story() -> None:
        server = ScriptedServer({"ehlo": TLS_EHLO}, tls=server_tls(certificate))
        async with run_server(server):
            relay = relay_of(server, tls=Tls.STARTTLS, user="ann", password="secret")
            with pytest.raises(PermanentTransportError, match="not trusted"):
                await Connection.open(relay, LONG)
            assert not [line for line in server.commands if line.startswith("AUTH")]
            await asyncio.sleep(0.05)

    run(story())


def test_starttls_that_is_not_offered_is_not_skipped(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            with pytest.raises(PermanentTransportError, match="STARTTLS"):
                await Connection.open(relay_of(server, tls=Tls.STARTTLS), LONG)

    run(story())


def test_text_smuggled_before_the_handshake_is_refused(run, certificate: Path) -> None:
    """CVE-2011-0411: a reply injected in the clear must not be read as one of the secured session."""

    async def story() -> None:
        script = {"ehlo": TLS_EHLO, "starttls": b"220 go\r\n250 injected\r\n"}
        server = ScriptedServer(script, tls=server_tls(certificate))  # type: ignore[arg-type] - a literal
        async with run_server(server):
            with pytest.raises(TemporaryTransportError):
                await Connection.open(relay_of(server, tls=Tls.STARTTLS, ca_file=str(certificate)), LONG)
            await asyncio.sleep(0.05)

    run(story())


def test_login_is_spoken_where_plain_is_not_offered(run) -> None:
    async def story() -> None:
        script = {"ehlo": "250-x\r\n250 AUTH LOGIN", "auth": ["334 VXNlcg==", "334 UGFzcw==", "235 ok"]}
        async with run_server(ScriptedServer(script)) as server:  # type: ignore[arg-type] - a literal
            connection = await Connection.open(relay_of(server, user="ann", password="pw"), LONG)
            assert server.commands[1:] == ["AUTH LOGIN", "YW5u", "cHc="]
            connection.quit()

    run(story())


def test_a_wrong_password_is_never_shown(run) -> None:
    async def story() -> None:
        script = {"ehlo": "250-x\r\n250 AUTH PLAIN", "auth": "535 5.7.8 authentication failed"}
        async with run_server(ScriptedServer(script)) as server:  # type: ignore[arg-type] - a literal
            relay = relay_of(server, user="ann", password="hunter2")
            with pytest.raises(SessionRefusedError) as caught:
                await Connection.open(relay, LONG)
            assert caught.value.reply.phase is Phase.AUTH
            assert "hunter2" not in str(caught.value) + repr(relay)

    run(story())


# ---------------------------------------------------------------- the pool


def test_the_pool_opens_no_more_than_its_size_and_uses_each_again(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            pool = Pool(relay_of(server), 3, timeouts=LONG)

            async def send() -> None:
                async with pool.connection() as connection:
                    assert await connection.offer(MAIL) is None
                    await connection.finish()

            await asyncio.gather(*(send() for _ in range(30)))
            assert len(server.received) == 30
            assert server.connections <= 3
            await pool.close()

    run(story())


def test_a_connection_is_closed_after_its_share_of_mails(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            pool = Pool(relay_of(server), 1, mails_per_connection=4, timeouts=LONG)
            for _ in range(12):
                async with pool.connection() as connection:
                    assert await connection.offer(MAIL) is None
                    await connection.finish()
            assert server.connections == 3
            await pool.close()

    run(story())


def test_a_connection_given_back_unfinished_is_closed(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            pool = Pool(relay_of(server), 1, timeouts=LONG)
            async with pool.connection() as connection:
                assert await connection.offer(MAIL) is None
            async with pool.connection() as other:
                assert other is not connection
            await asyncio.sleep(0.05)
            assert server.received == []
            await pool.close()

    run(story())


def test_a_connection_idle_too_long_is_not_used_again(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer()) as server:
            pool = Pool(relay_of(server), 1, idle_seconds=0.01, timeouts=LONG)
            for _ in range(2):
                async with pool.connection():
                    pass
                await asyncio.sleep(0.05)
            assert server.connections == 2
            await pool.close()

    run(story())


def test_a_dead_relay_is_left_alone_for_a_while(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"greeting": "421 4.3.2 no"})) as server:
            pool = Pool(relay_of(server), 5, timeouts=LONG)
            with pytest.raises(SessionRefusedError):
                await pool.acquire()
            with pytest.raises(RelayRestingError) as caught:
                await pool.acquire()
            assert 0 < caught.value.seconds <= 0.5
            assert server.connections == 1

    run(story())


def test_a_connection_that_died_in_the_pool_says_so(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"mail": ["250 ok", CLOSE]})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            await connection.finish()
            with pytest.raises(StaleConnectionError):
                await connection.offer(MAIL)

    run(story())


def test_a_cancelled_offer_closes_its_connection(run) -> None:
    async def story() -> None:
        async with run_server(ScriptedServer({"rcpt": SILENCE})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.offer(MAIL), 0.1)
            assert not connection.is_usable

    run(story())


# ------------------------------------------------------------------ the next mail behind the dot

NEXT = Envelope("b+2@bounce.example.com", "bob@example.com", b"Subject: again\r\n\r\nAgain\r\n")


def test_the_next_mail_goes_along_with_the_dot(run) -> None:
    async def scenario() -> None:
        async with run_server(ScriptedServer()) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            assert connection.can_carry(NEXT)
            assert (await connection.finish(NEXT)).code == 250
            assert connection.has_following
            assert await connection.held() is None
            assert (await connection.finish()).code == 250
            assert [body.split(b"\r\n")[0] for body in server.received] == [b"Subject: hello", b"Subject: again"]
            connection.quit()

    run(scenario())


def test_a_refused_next_mail_says_so_and_the_first_one_is_accepted(run) -> None:
    async def scenario() -> None:
        script = {"rcpt": ["250 ok", "550 5.1.1 nobody", "250 ok"]}
        async with run_server(ScriptedServer(script)) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            assert (await connection.finish(NEXT)).code == 250
            refusal = await connection.held()
            assert refusal is not None
            assert refusal.enhanced == "5.1.1"
            assert len(server.received) == 1
            connection.abandon()

    run(scenario())


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_lost_at_the_dot_leaves_the_next_mail_for_another(run, end: str) -> None:
    async def scenario() -> None:
        async with run_server(ScriptedServer({"dot": end})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            with pytest.raises(UnknownOutcomeError):
                await connection.finish(NEXT)
            with pytest.raises(StaleConnectionError):
                await connection.held()

    run(scenario())


def test_a_server_that_says_goodbye_after_the_dot_has_the_first_mail_only(run) -> None:
    async def scenario() -> None:
        async with run_server(ScriptedServer({"dot": "421 4.7.0 come back later"})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            assert (await connection.finish(NEXT)).code == 421
            with pytest.raises(StaleConnectionError):
                await connection.held()
            assert connection.is_closed

    run(scenario())


def test_an_early_refusal_writes_neither_the_dot_nor_the_next_mail(run) -> None:
    async def scenario() -> None:
        held = asyncio.Event()

        def refuse(writer: asyncio.StreamWriter) -> None:
            writer.write(b"552 5.2.2 too much\r\n")
            held.set()

        async with run_server(ScriptedServer(on_held=refuse)) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert await connection.offer(MAIL) is None
            await held.wait()
            await asyncio.sleep(0.05)
            assert (await connection.finish(NEXT)).code == 552
            assert not connection.has_following
            assert server.received == []

    run(scenario())


def test_no_next_mail_goes_along_where_the_server_does_not_pipeline(run) -> None:
    async def scenario() -> None:
        async with run_server(ScriptedServer({"ehlo": PLAIN_EHLO})) as server:
            connection = await Connection.open(relay_of(server), LONG)
            assert not connection.can_carry(NEXT)
            connection.quit()

    run(scenario())
