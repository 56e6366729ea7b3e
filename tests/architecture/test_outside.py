"""The outside is reached through seams, and only the modules in this table are seams.

Wall clock, ids and randomness, sockets, threads, child processes, the database and file
watching: whoever needs one takes it from `beamclaw.contracts.outside` or asks the
subsystem that owns it. That is what lets a test replace all of it, and one day simulate
a whole node.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("supervision", "beamclaw")

# What may not be touched, by what it reaches. A name stands for all that begin with it.
OUTSIDE: dict[str, tuple[str, ...]] = {
    "clock": (
        "time.time",
        "time.time_ns",
        "time.gmtime",
        "time.localtime",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "datetime.date.today",
    ),
    "randomness": (
        "random",
        "secrets",
        "os.urandom",
        "os.getrandom",
        "uuid.uuid1",
        "uuid.uuid4",
    ),
    "sockets": (
        "socket",
        "select",
        "trio.socket",
        "trio.open_tcp_listeners",
        "trio.open_tcp_stream",
        "trio.open_ssl_over_tcp_listeners",
        "trio.open_ssl_over_tcp_stream",
        "trio.open_unix_socket",
        "trio.serve_tcp",
        "trio.serve_ssl_over_tcp",
        "trio.SocketListener",
        "trio.SocketStream",
    ),
    "threads": (
        "_thread",
        "threading",
        "concurrent.futures",
        "multiprocessing",
        "trio.from_thread",
        "trio.to_thread",
        "trio.lowlevel.start_thread_soon",
    ),
    "processes": (
        "subprocess",
        "os.exec",
        "os.fork",
        "os.popen",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "trio.lowlevel.open_process",
        "trio.run_process",
    ),
    "database": ("sqlite3",),
    "watching": ("watchfiles",),
}

# Who may, and why; a folder ends with a stroke. An entry that is no longer needed fails,
# so this stays the truth.
SEAMS: dict[tuple[str, str], str] = {
    ("beamclaw/contracts/outside.py", "clock"): "the seam itself",
    ("beamclaw/contracts/outside.py", "randomness"): "the seam itself",
    ("beamclaw/contracts/outside.py", "threads"): "the seam itself",
    ("beamclaw/contracts/listening.py", "sockets"): "the seam of those that come in",
    ("beamclaw/cli/", "sockets"): "the other end of the node's socket for commands",
    ("beamclaw/cli/chat.py", "randomness"): "a command is outside: its message's id",
    ("beamclaw/cli/backup.py", "clock"): "a command is outside: when it was made",
    ("beamclaw/cli/doctor.py", "clock"): "a command is outside: can the clock be right",
    ("beamclaw/doctor/looking.py", "processes"): "whether bubblewrap works here",
    ("beamclaw/service/notifying.py", "sockets"): "on which systemd is told",
    ("beamclaw/cli/logs.py", "clock"): "a command is outside: what an hour ago was",
    ("beamclaw/shell/", "sockets"): "that socket, and who is at its other end",
    (
        "beamclaw/telemetry/sink.py",
        "threads",
    ): "the thread that writes log lines, or inline",
    (
        "beamclaw/config/secret_reading.py",
        "processes",
    ): "programs that say a secret, before the node runs or in a thread",
    ("beamclaw/config/token.py", "randomness"): "a token that no test may foresee",
    (
        "beamclaw/gateway/auth/minting.py",
        "randomness",
    ): "tokens and keys that no test may foresee",
    ("beamclaw/gateway/sockets.py", "sockets"): "all that the gateway does to a socket",
    ("supervision/_engine.py", "randomness"): "jitter, an argument of the decision",
    ("supervision/_reports.py", "threads"): "looks at them, and starts none",
    ("supervision/_watchdog.py", "threads"): "looks at the loop while that is held up",
    ("beamclaw/storage/_driver.py", "threads"): "one writer per database, or inline",
    ("beamclaw/commands/_launcher/", "processes"): "the program that starts commands",
    ("beamclaw/commands/_launcher/", "sockets"): "on which it is told to",
    (
        "beamclaw/commands/_launcher/reaper.py",
        "threads",
    ): "looks at the disk, in the reaper's process",
    (
        "beamclaw/commands/_launcher/disk.py",
        "clock",
    ): "which files a command has changed",
    ("beamclaw/commands/launching.py", "processes"): "the launcher's process",
    ("beamclaw/commands/launching.py", "sockets"): "on which it is told what to start",
    ("beamclaw/telemetry/tail.py", "threads"): "a lock on lines that one writes",
    ("beamclaw/web/dialing.py", "sockets"): "names are looked up, pages connected to",
    ("beamclaw/skills/files.py", "threads"): "a lock between them; it starts none",
    ("beamclaw/storage/watching.py", "threads"): "watches folders; without, it polls",
    ("beamclaw/storage/watching.py", "watching"): "the one place that does",
    ("beamclaw/storage/", "database"): "the one place that speaks to SQLite",
}

# The fakes are the outside: they listen, crash and wait as the real ones do.
EXEMPT = ("beamclaw/testing/", "supervision/testing/")


def uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each dotted name that a module imports or reads, with its line."""
    known: dict[str, str] = {}
    attributes: list[ast.Attribute] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
                local = alias.asname or alias.name.partition(".")[0]
                known[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node.lineno
        elif isinstance(node, ast.Attribute):
            attributes.append(node)
    for node in attributes:
        if name := dotted(node, known):
            yield name, node.lineno


def dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    """The full name of `a.b.c`, if `a` was imported."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (left := dotted(node.value, known)):
        return f"{left}.{node.attr}"
    return None


def reaches(name: str) -> str | None:
    """What of the outside the dotted *name* reaches."""
    for kind, names in OUTSIDE.items():
        for outside in names:
            # `os.exec` stands for execv and its family, `time.time` not for timezone.
            if name == outside or name.startswith(f"{outside}."):
                return kind
            if kind == "processes" and name.startswith(outside):
                return kind
    return None


def reached(text: str) -> set[tuple[str, int]]:
    found = ((reaches(name), line) for name, line in uses(ast.parse(text)))
    return {(kind, line) for kind, line in found if kind}


def seam(name: str, kind: str) -> tuple[str, str] | None:
    """The entry of the table that lets *name* reach *kind*."""
    places = (name, f"{name.rpartition('/')[0]}/")
    return next(((p, kind) for p in places if (p, kind) in SEAMS), None)


@pytest.fixture(scope="module")
def found() -> dict[str, set[tuple[str, int]]]:
    """What each module reaches, and in which lines."""
    paths = (p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py")))
    modules = ((path.relative_to(ROOT).as_posix(), path) for path in paths)
    return {
        name: reached(path.read_text())
        for name, path in modules
        if not name.startswith(EXEMPT)
    }


def test_the_outside_is_reached_through_seams_only(found):
    wrong = [
        f"{name}:{line}: {kind}"
        for name, all_of_it in found.items()
        for kind, line in sorted(all_of_it)
        if not seam(name, kind)
    ]
    assert not wrong, (
        "take it from beamclaw.contracts.outside, or make this a seam, with a reason, "
        "in SEAMS:\n" + "\n".join(wrong)
    )


def test_every_seam_in_the_table_is_one(found):
    used = {
        seam(name, kind) for name, all_of_it in found.items() for kind, _ in all_of_it
    }
    assert set(SEAMS) <= used


@pytest.mark.parametrize(
    "text, kind",
    [
        ("import time\ntime.time()", "clock"),
        ("from time import time as now", "clock"),
        ("from datetime import datetime\ndatetime.now()", "clock"),
        ("import datetime as d\nd.datetime.now()", "clock"),
        ("import uuid\nuuid.uuid4()", "randomness"),
        ("import os\nos.urandom(8)", "randomness"),
        ("import random", "randomness"),
        ("import trio\ntrio.to_thread.run_sync(f)", "threads"),
        ("from trio import to_thread", "threads"),
        ("import os\nos.execv('x', [])", "processes"),
        ("import sqlite3", "database"),
    ],
)
def test_what_goes_round_a_seam_is_found(text, kind):
    assert kind in {found for found, _ in reached(text)}


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.monotonic()",
        "import uuid\nuuid.UUID('0' * 32)",
        "import trio\ntrio.current_time()",
        "self.random()",
        "from beamclaw.contracts import outside\noutside.time",
    ],
)
def test_what_does_not_is_left_alone(text):
    assert not reached(text)
