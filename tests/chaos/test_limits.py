"""Full disks, little memory, wrong clocks, slow servers: progress stops at most, safety never (C9, C12, C13, C14)."""

import time

import pytest
from sqlalchemy import select, update

from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message
from tests.chaos.conftest import OpenField
from tests.chaos.rig import wait_for
from tests.chaos.scene import count_states, make_crowd, set_limits
from tests.support.fault_sink import read_log

HOUR = 3_600
BIG_FIELD = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.big | default('you') }}</mj-text>
<mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def test_workers_with_wrong_clocks_do_no_harm(new_field: OpenField) -> None:
    """Leases and gates go by the database's clock; a worker's own decides only what it thinks is due."""
    with new_field() as field:
        set_limits(field.ctx, rate_per_second=300, relay_connections=6)
        scene = make_crowd(field.ctx, 400)
        field.stable.start("reap")
        for offset in (-24 * HOUR, -HOUR, 0, HOUR):
            field.stable.start("send", offset=offset)
        for _ in range(4):
            time.sleep(0.3)
            victim = next(pid for pid, order in field.stable.living.items() if order["role"] == "send")
            field.stable.start("send", offset=field.stable.kill(victim)["offset"])
        field.wait_finished(scene)

        assert field.verdict(scene) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_stops_sending_and_costs_nobody_a_mail(new_field: OpenField) -> None:
    """No write of the worker's grows a file any more; when there is room again, the rest goes out."""
    with new_field() as field:
        set_limits(field.ctx, rate_per_second=400, relay_connections=6)
        scene = make_crowd(field.ctx, 500)
        with field.ctx.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        field.stable.start("reap")
        cramped = [field.stable.start("send", file_mb=0.25) for _ in range(2)]
        time.sleep(3)
        for pid in cramped:
            field.stable.kill(pid)
        stuck = count_states(field.ctx, scene)
        field.stable.start("send")
        field.wait_finished(scene)

        assert stuck["accepted"] < 500
        assert field.verdict(scene) == []


def test_one_contact_with_a_huge_field_costs_only_itself(new_field: OpenField) -> None:
    with new_field() as field:
        set_limits(field.ctx, rate_per_second=400, relay_connections=6)
        scene = make_crowd(field.ctx, 60, mjml=BIG_FIELD)
        with field.ctx.write() as session:
            session.execute(
                update(Contact).where(Contact.id == scene.contacts[30]).values(data={"big": "x" * 3_000_000})
            )
        field.stable.start("reap")
        field.stable.start("send", memory_mb=2_000)
        field.wait_finished(scene, seconds=90)

        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene)["accepted"] == 59
        with field.ctx.read() as session:
            message = session.scalars(select(Message).where(Message.contact_id == scene.contacts[30])).one()
        assert message.state in ("skipped", "quarantined")


def test_a_slow_answer_to_the_dot_keeps_its_lease(new_field: OpenField) -> None:
    """The lease is two seconds here, the answer takes longer: the worker renews, nobody takes the batch over."""
    with new_field({"rules": [{"at": "dot", "do": "delay", "seconds": 3.5}]}) as field:
        set_limits(field.ctx, rate_per_second=400, relay_connections=4)
        scene = make_crowd(field.ctx, 4)
        field.stable.start("reap")
        for _ in range(2):
            field.stable.start("send")
        field.wait_finished(scene)

        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene) == {"accepted": 4}


def test_a_tarpit_starves_no_other_relay(new_field: OpenField) -> None:
    """One of two relays answers a byte a second; the other one keeps nine tenths of its rate."""
    rate = 40
    with new_field() as field, field.another_sink({"rules": [{"at": "mail", "do": "slow", "seconds": 1}]}) as tarpit:
        field.use_relays([(field.sink.port, 6), (tarpit.port, 6)], rate_per_second=rate)
        scene = make_crowd(field.ctx, 1_000, batch=20)
        field.stable.start("reap")
        field.stable.start("send")
        wait_for("the first mail", lambda: len(read_log(field.sink.log)) > 0)
        began, first = time.monotonic(), len(read_log(field.sink.log))
        time.sleep(6)
        sent, seconds = len(read_log(field.sink.log)) - first, time.monotonic() - began
        field.stable.kill_all()  # database and log are then of the same moment

        print(f"{sent} mails in {seconds:.1f} s")
        assert sent >= 0.9 * rate * seconds
        assert field.verdict(scene, finished=False) == []
