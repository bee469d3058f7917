"""Workers killed and frozen at random while people leave: nobody twice, lost, or mailed after leaving (C1, C2, C33)."""

import signal
import threading
import time

import pytest

from mailer.schema.delivery import Sending
from tests.chaos.conftest import OpenField
from tests.chaos.rig import Field
from tests.chaos.scene import Scene, make_crowd, set_limits

WORKERS = 4
FAULTS = [
    {"at": "rcpt", "do": "reply", "text": "450 4.2.0 mailbox busy", "probability": 0.03},
    {"at": "rcpt", "do": "reply", "text": "550 5.1.1 no such user", "probability": 0.01},
    {"at": "body", "do": "close", "probability": 0.01},
    {"at": "dot", "do": "reply", "text": "451 4.3.0 local error", "probability": 0.01},
    {"at": "dot", "do": "drop", "probability": 0.01},
]


def play(field: Field, *, messages: int, kills: int, rate: int) -> Scene:
    """Kill and freeze workers of a sending `kills` times while a third of its people leave."""
    set_limits(field.ctx, rate_per_second=rate, relay_connections=200)
    scene = make_crowd(field.ctx, messages)
    field.stable.start("reap")
    field.stable.start("leave", sending=scene.sending_id, seed=field.seed, share=0.3, per_second=100)
    for _ in range(WORKERS):
        field.stable.start("send")
    thaws: list[threading.Timer] = []
    for _ in range(kills):
        time.sleep(field.chance.uniform(0.05, 0.3))
        senders = [pid for pid, order in field.stable.living.items() if order["role"] == "send"]
        victim = field.chance.choice(senders[:WORKERS])  # the older ones: they have something in hand
        if field.chance.random() < 0.1 and len(senders) < 2 * WORKERS:
            field.stable.send(victim, signal.SIGSTOP)
            thaws.append(threading.Timer(3.0, field.stable.send, (victim, signal.SIGCONT)))
            thaws[-1].start()
        else:
            field.stable.kill(victim)
        if len(senders) <= WORKERS:
            field.stable.start("send")
    for thaw in thaws:
        thaw.join()
    return scene


@pytest.mark.parametrize("size", ["short", "long"])
def test_nobody_is_mailed_twice_lost_or_mailed_after_leaving(new_field: OpenField, seed: int, size: str) -> None:
    messages, kills, rate = (10_000, 200, 400) if size == "long" else (700, 12, 250)
    with new_field({"seed": seed, "rules": FAULTS}) as field:
        scene = play(field, messages=messages, kills=kills, rate=rate)
        set_limits(field.ctx, rate_per_second=50_000, relay_connections=200)
        field.wait_finished(scene, seconds=400)

        print(f"kills={kills}")
        assert field.verdict(scene) == []
        with field.ctx.read() as session:
            assert session.get_one(Sending, scene.sending_id).hold_reason is None
