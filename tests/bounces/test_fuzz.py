"""Hostile reports (PROOF C25): never an error, never long, never much memory, never a stranger's suppression.

A short form; the long one is in tests/chaos/test_reports.py (`make chaos`).
"""

import random
import tracemalloc
from collections.abc import Callable
from time import process_time

import pytest
from sqlalchemy import func, select

from mailer.bounces import service
from mailer.bounces.classify import classify_report
from mailer.bounces.mail import MAX_BYTES
from mailer.catcher.reports import build_complaint, build_dsn
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.consent import Suppression
from tests.bounces.test_classify import FREE, OURS, dsn
from tests.bounces.test_service import HARD, make_message, verp
from tests.support.engines import on_one_engine

SECONDS, BYTES = 2.0, 200_000_000
CHARSETS = (
    b"utf-7",
    b"utf-16",
    b"hex",
    b"punycode",
    b"unicode_escape",
    b"no-such-charset",
    b"x" * 300,
    b"iso-2022-jp",
    b"",
)
Mutation = Callable[[bytes, random.Random], bytes]


def nest(raw: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([10, 1_000])
    heads = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return b"From: MAILER-DAEMON@x.example\r\nSubject: Undelivered\r\n" + b"".join(heads) + raw


def lie_about_charset(raw: bytes, chance: random.Random) -> bytes:
    lie = b"Content-Type: text/plain; charset=" + chance.choice(CHARSETS)
    return raw.replace(b"Content-Type: text/plain", lie) + bytes(chance.randrange(256) for _ in range(500))


def lie_about_encoding(raw: bytes, chance: random.Random) -> bytes:
    name = chance.choice([b"base64", b"quoted-printable", b"x-uuencode", b"gzip"])
    return raw.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: " + name + b"\r\n\r\n")


def cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def drop_lines(raw: bytes, chance: random.Random) -> bytes:
    return b"\r\n".join(line for line in raw.split(b"\r\n") if chance.random() > 0.2)


def shuffle_lines(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.split(b"\r\n")
    chance.shuffle(lines)
    return b"\r\n".join(lines)


def repeat(raw: bytes, chance: random.Random) -> bytes:
    return raw * chance.choice([3, 200])


def flip(raw: bytes, chance: random.Random) -> bytes:
    mutable = bytearray(raw)
    for _ in range(min(len(raw), 60)):
        mutable[chance.randrange(len(mutable))] = chance.randrange(256)
    return bytes(mutable)


def stretch(raw: bytes, chance: random.Random) -> bytes:
    """A line, a word or a header without end."""
    filler = chance.choice(
        [b"a", b" ", b"\r\n ", b"<", b"=?", b"mailbox is ", b"a@b.c ", b"--zz\r\n", b"550 5.1.1 ", b"\0"]
    )
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + filler * (400_000 // len(filler)) + raw[at:]


MUTATIONS: tuple[Mutation, ...] = (
    nest, lie_about_charset, lie_about_encoding, cut, drop_lines, shuffle_lines, repeat, flip, stretch,
)  # fmt: skip


def samples() -> list[bytes]:
    """Reports of every form that the project can write."""
    at = utc_now()
    made = [
        build_dsn(mail_from="b+x@b.example", rcpt_to="ada@example.org", raw=OURS, status="5.1.1", at=at, number=1),
        build_complaint(mail_from="b+x@b.example", rcpt_to="ada@example.org", raw=OURS, at=at, number=1),
        dsn(HARD, "5.1.1"),
        dsn("452 4.2.2 full", "4.2.2", "delayed"),
    ]
    return made + [raw for raw, _ in FREE]


def mutate(seed: int) -> bytes:
    chance = random.Random(seed)
    raw = chance.choice(samples())
    for mutation in chance.sample(MUTATIONS, chance.choice([1, 1, 2])):
        raw = mutation(raw, chance)
    return raw


def check_time_and_memory(raw: bytes) -> None:
    tracemalloc.start()
    begun = process_time()
    said = classify_report(raw)
    took, (_, peak) = process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < SECONDS * 4, "four times as long while memory is watched"
    assert peak < BYTES
    assert "\0" not in said.evidence + "".join(said.recipients)
    assert len(said.evidence) <= 300


@pytest.mark.parametrize("seed", range(25))
def test_mutated_reports_are_read_in_time(seed: int) -> None:
    check_time_and_memory(mutate(seed))


@pytest.mark.parametrize("piece", [b"x", b"550 5.1.1 user unknown\r\n", b"--zz\r\n", b"\r\n", b"<a@b.c>: "])
def test_thirty_megabytes_are_read_in_time(piece: bytes) -> None:
    raw = dsn(HARD, "5.1.1") + piece * (30_000_000 // len(piece))
    begun = process_time()

    classify_report(raw)

    assert process_time() - begun < SECONDS
    assert len(raw) > 90 * MAX_BYTES


def count_suppressed(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(Suppression)) or 0


@on_one_engine
def test_nobody_is_suppressed_whose_token_is_not_in_it(ctx: Context) -> None:
    """Reports that name the address everywhere, mutated; then one with the token, to show that the test can fail."""
    message_id = make_message(ctx)
    for seed in range(12):
        service.record_report(ctx, mutate(seed), "test", rcpt_to="ada@example.org")
    service.process_reports(ctx)
    assert count_suppressed(ctx) == 0

    service.record_report(ctx, dsn(HARD, "5.1.1"), "test", rcpt_to=verp(ctx, message_id))
    service.process_reports(ctx)
    assert count_suppressed(ctx) == 1
