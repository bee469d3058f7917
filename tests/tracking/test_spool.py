"""A hit that was answered is in the spool; a torn tail is nobody's hit."""

import errno
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import ConflictError
from mailer.tracking.records import DamagedRecordError, RawHit, iter_hits, pack_hit
from mailer.tracking.spool import SpoolWriter, host_id, list_segments, only_reader

HIT = RawHit(1_700_000_000.25, 2, 1, 42, 3, 0, "192.0.2.1", "Mozilla/5.0 (X11)")
HITS = st.builds(
    RawHit,
    at=st.floats(0, 4e9),
    kind=st.integers(1, 3),
    method=st.integers(1, 3),
    message_id=st.integers(0, 2**56 - 1),
    link=st.integers(0, 2**16 - 1),
    flags=st.integers(0, 1),
    ip=st.text(max_size=11),
    user_agent=st.text(max_size=120),
)


def read_all(folder: Path) -> list[RawHit]:
    return [hit for segment in list_segments(folder) for hit, _ in iter_hits(segment.path.read_bytes())]


@given(st.lists(HITS, max_size=8), st.integers(0, 400))
def test_records_are_read_back_and_a_torn_tail_is_left_out(hits: list[RawHit], cut: int) -> None:
    data = b"".join(map(pack_hit, hits))

    assert [hit for hit, _ in iter_hits(data)] == hits
    whole = [hit for hit, end in iter_hits(data) if end <= cut]
    assert [hit for hit, _ in iter_hits(data[:cut])] == whole


def test_overlong_text_is_cut_and_zeros_are_a_torn_tail() -> None:
    ((hit, _),) = iter_hits(pack_hit(RawHit(1.0, 1, 1, 1, 0, 0, "x" * 100, "é" * 1_000)) + bytes(50))

    assert len(hit.ip) == 45
    assert len(hit.user_agent.encode()) == 500


def test_damage_is_told_from_a_torn_tail() -> None:
    data = bytearray(pack_hit(HIT) * 3)
    data[len(data) // 2] ^= 0xFF

    with pytest.raises(DamagedRecordError):
        list(iter_hits(bytes(data)))


def test_many_threads_share_a_segment_and_lose_nothing(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, segment_bytes=3_000)

    def work(number: int) -> None:
        for link in range(50):
            writer.append(pack_hit(RawHit(1.0, 2, 1, number, link, 0, "", "x")))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    assert sorted((hit.message_id, hit.link) for hit in read_all(tmp_path)) == [
        (number, link) for number in range(8) for link in range(50)
    ]
    assert len(list_segments(tmp_path)) > 1


def test_a_segment_has_its_writer_until_that_lets_go(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.append(pack_hit(HIT))
    (segment,) = list_segments(tmp_path)

    assert segment.has_writer()
    writer.close()
    assert not segment.has_writer()


def test_a_full_disk_is_told_and_half_a_record_is_taken_back(tmp_path: Path) -> None:
    """Played with RLIMIT_FSIZE in a process of its own."""
    code = (
        "import resource, signal, sys, pathlib\n"
        "from mailer.tracking.spool import SpoolWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "writer, record = SpoolWriter(pathlib.Path(sys.argv[1])), b'x' * 300\n"
        "for number in range(5):\n"
        "    try:\n"
        "        writer.append(record)\n"
        "    except OSError as error:\n"
        "        print(number, error.errno)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert done.stdout.split()[0] == "3"
    assert int(done.stdout.split()[1]) in (errno.EFBIG, errno.ENOSPC)
    (segment,) = list_segments(tmp_path)
    assert segment.path.stat().st_size == 900
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_kill_9_loses_no_hit_that_was_answered(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from mailer.tracking.records import RawHit, pack_hit\n"
        "from mailer.tracking.spool import SpoolWriter\n"
        "writer = SpoolWriter(pathlib.Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    writer.append(pack_hit(RawHit(1.0, 1, 1, number, 0, 0, '', 'x')))\n"
        "    print(number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(300)]
    child.kill()
    answered += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    child.stdout.close()
    child.wait()

    kept = [hit.message_id for hit in read_all(tmp_path)]

    assert kept[: len(answered)] == answered
    assert len(kept) - len(answered) <= 1
    assert not list_segments(tmp_path)[0].has_writer()


def test_a_spool_has_one_name_and_one_reader(tmp_path: Path) -> None:
    assert host_id(tmp_path) == host_id(tmp_path)
    code = (
        "import sys, pathlib\n"
        "from mailer.tracking.spool import only_reader\n"
        "with only_reader(pathlib.Path(sys.argv[1])):\n"
        "    pass\n"
    )
    with only_reader(tmp_path):
        child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
        assert ConflictError.__name__ in child.stderr
