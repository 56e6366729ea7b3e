"""kill -9 in a storm of commits: everything that was acknowledged is there."""

import itertools
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from beamclaw.contracts.ledger_reads import ReadRun, ReadSession, SessionRead
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.storage import integrity
from tests.support.books import Opened, open_book

ROOT = Path(__file__).parents[3]


def storm(data: Path, lines: int) -> list[list[str]]:
    """Let it write until it has said so many lines, kill it, and take all it said."""
    command = [sys.executable, "-m", "tests.beamclaw.ledger.storm", str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = list(itertools.islice(process.stdout, lines))
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [line.decode().rstrip("\n").split("\t") for line in said]


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path = tmp_path / "tenants" / "default" / "ledger.db"
    said: list[list[str]] = []
    for lines in random.Random(7).sample(range(200, 3000), 4):
        said += storm(tmp_path, lines)
        with open_book(path) as opened:
            check(opened, said)
        assert integrity(path) == []


def check(opened: Opened, said: list[list[str]]) -> None:
    events: dict[str, dict[int, str]] = defaultdict(dict)
    waiting: set[str] = set()
    for what, key, *rest in said:
        if what == "event":
            assert rest[1] == events[key].setdefault(int(rest[0]), rest[1])
        elif what == "waiting":
            waiting.add(rest[0])
        elif what == "ended":
            row = opened.read(ReadRun(rest[0]))
            assert isinstance(row, RunRow)
            assert (row.session_key, row.state) == (key, "ended")
    for key, acknowledged in events.items():
        read = opened.read(ReadSession(key))
        assert isinstance(read, SessionRead)
        found = {event.seq: event.body.decode() for event in read.events}
        assert list(found) == list(range(1, read.seq + 1))
        assert acknowledged.items() <= found.items()
    for run in waiting:
        assert opened.read(ReadRun(run)) is not None
