"""Looking into a node that runs, and steering it, over its socket."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import gc
import json
import os
import re
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from beamclaw.bus import BusServer, LocalBus
from beamclaw.cli import live_views as views
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.config.schema import AuthConfig, GatewayConfig, ShellConfig
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.names import session as session_name
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.shell import nested
from beamclaw.shell import connection, finding, supervisor, weighing
from beamclaw.shell.deeds import EXPRESSION
from beamclaw.shell.looking import culprits, point
from beamclaw.shell.request import Failed
from beamclaw.shell.slices import Ranking, Slices
from beamclaw.shell.top import Row, Seen
from beamclaw.shell.weighing import OBJECTS, Scales, weighed
from supervision import ChildSpec
from supervision.testing import wait_exit
from tests.beamclaw.shell.test_socket import Client, connected

SECRET = "token-that-nobody-sees"


@attrs.frozen
class Get(supervision.Call[int]):
    pass


class Counter(supervision.Server):
    """Counts; `go` keeps it in a callback until it is let go."""

    def __init__(self):
        self._count = 0
        self._words = SECRET
        self._many = list(range(100))
        self._gate = trio.Event()

    async def handle_call(self, request, sender):
        if request == "fail":
            raise RuntimeError(SECRET)
        return self._count

    async def handle_cast(self, message):
        if message == "stick":
            await self._gate.wait()
        self._count += 1

    async def handle_info(self, message):
        pass


async def plain():
    await trio.sleep_forever()


@attrs.define
class Live:
    client: Client
    _last: int = 0

    async def begin(self, method, **params):
        self._last += 1
        await self.client.send(self._last, method, **params)
        return self._last

    async def ask(self, method, **params):
        await self.begin(method, **params)
        return await self.client.receive()

    async def tree(self, **params):
        """What the command makes of it, and how many processes came in each event."""
        await self.begin("look.tree", **params)
        rows, sizes = [], []
        while "event" in (frame := await self.client.receive()):
            rows += frame["event"]["rows"]
            sizes.append(len(frame["event"]["rows"]))
        return {**nested(rows), **frame["result"]}, sizes

    async def result(self, method, **params):
        frame = await self.ask(method, **params)
        assert "result" in frame, frame
        return frame["result"]

    async def words(self, method, **params):
        frame = await self.ask(method, **params)
        assert "error" in frame, frame
        return frame["error"]["message"]


@pytest.fixture
def rows():
    """All that is told of deeds and looks, in order: which event, and its metadata."""
    seen = []

    def note(event):
        if event.name in ("beamclaw.shell.steered", "beamclaw.shell.looked"):
            seen.append((event.name.rpartition(".")[2], event.metadata))

    detach = supervision.telemetry.attach(note)
    yield seen
    detach()


def outcomes(rows):
    """Event, action and outcome in one word; the two rows of a deed belong together."""
    begun, found = {}, []
    for event, row in rows:
        first = begun.setdefault(row["deed"], row)
        assert {**first, "outcome": ""} == {**row, "outcome": ""}
        found.append((event, row["action"], row["outcome"].partition(":")[0]))
    return found


def twice(event, action, outcome):
    return [(event, action, "begun"), (event, action, outcome)]


@asynccontextmanager
async def live(data, **limits):
    auth = AuthConfig(token=Secret(SECRET))
    config = Config(
        data=data, gateway=GatewayConfig(auth=auth), shell=ShellConfig(**limits)
    )
    start = partial(supervisor, Current(config), LocalBus(), Outside(threads=False))
    children = [
        ChildSpec("bus", BusServer, name="bus"),
        ChildSpec("counter", Counter, name="part/counter"),
        ChildSpec("plain", plain, restart="temporary"),
        ChildSpec("shell", start, type="supervisor", shutdown=None),
    ]
    async with supervision.open_supervisor(children), connected(data) as client:
        yield Live(client)


# --- which process


@pytest.mark.parametrize(
    "typed, words",
    [
        ("part/countr", "did you mean part/counter?"),
        ("nothing-like-it-at-all", "there is no process 'nothing-like-it-at-all'"),
        ("<999999>", "it has ended"),
        ("", "there is no process ''"),
    ],
)
async def test_a_process_that_is_not_there_is_told_in_words(tmp_path, typed, words):
    async with live(tmp_path) as node:
        assert words in await node.words("look.info", process=typed)


async def test_a_process_has_a_name_a_number_and_the_end_of_a_name(tmp_path):
    async with live(tmp_path) as node:
        pid = str(supervision.whereis("part/counter"))
        for typed in ("part/counter", pid, pid.strip("<>"), "counter"):
            found = await node.result("look.info", process=typed)
            assert (found["pid"], found["name"]) == (pid, "part/counter")
        root = await node.result("look.info", process="beamclaw")
        assert (root["kind"], root["hidden"]) == ("supervisor", 4)
        # By the name that it is shown with, too.
        again = await node.result("look.info", process=root["id"])
        assert again["pid"] == root["pid"]


@asynccontextmanager
async def crowded(data):
    """Ids that occur twice: `part` is a name, and `hall` the id of two more."""
    nested = partial(supervision.Supervisor, [ChildSpec("door", Counter, name="part")])
    rooms = [
        ChildSpec("door", Counter, name="rooms/door"),
        ChildSpec("counter", plain, restart="temporary"),
    ]
    below = partial(supervision.Supervisor, rooms)
    async with live(data) as node:
        top = supervision.tree(depth=0).pid
        for id, start in (("part", nested), ("hall", below)):
            spec = ChildSpec(id, start, type="supervisor", shutdown=None)
            await supervision.start_child(top, spec)
        yield node


@pytest.mark.parametrize(
    "typed", ["hall/counter", "beamclaw/hall/counter", " hall/counter "]
)
async def test_a_process_is_found_where_it_stands_in_the_tree(tmp_path, typed):
    async with crowded(tmp_path) as node:
        found = await node.result("look.info", process=typed)
        assert (found["id"], found["name"]) == ("counter", None)
        assert found["parent"].startswith("hall <")


@pytest.mark.parametrize(
    "typed, ways",
    [
        # Its name is what the tree shows for the one above it.
        ("part", ["beamclaw/part", "beamclaw/part/door"]),
        ("door", ["beamclaw/hall/door", "beamclaw/part/door"]),
        # The end of a name, and an id.
        ("counter", ["beamclaw/counter", "beamclaw/hall/counter"]),
    ],
)
async def test_a_word_for_several_is_refused_and_says_how_to_write_each(
    tmp_path, typed, ways
):
    async with crowded(tmp_path) as node:
        before = supervision.identified("part", "hall", "door", "counter")
        frames = [
            await node.ask(method, process=typed, kind="crash", message="x")
            for method in ("look.info", "steer.kill", "steer.restart", "steer.fault")
        ]
        assert {each["error"]["code"] for each in frames} == {"ambiguous"}
        now = supervision.identified("part", "hall", "door", "counter")
        assert now == before
        words = frames[0]["error"]["message"]
        for way in ways:
            (number,) = re.findall(rf"{way} (<\d+>)", words)
            for one in (way, number):
                found = await node.result("look.info", process=one)
                assert found["pid"] == number


async def test_a_session_whose_key_is_the_id_of_another_is_not_taken_for_it(tmp_path):
    async with live(tmp_path) as node:
        name = session_name(DEFAULT_TENANT, "agent:main:plain")
        session = ChildSpec("agent:main:plain", Counter, name=name)
        await supervision.start_child(supervision.tree(depth=0).pid, session)
        words = await node.words("steer.kill", process="plain")
        assert "beamclaw/plain <" in words
        assert "beamclaw/agent:main:plain <" in words


async def test_very_many_of_one_id_are_not_all_told(tmp_path):
    many = [
        ChildSpec(f"s{at}", partial(supervision.Supervisor, [ChildSpec("x", plain)]))
        for at in range(20)
    ]
    async with live(tmp_path) as node, supervision.open_supervisor(many):
        words = await node.words("look.info", process="x")
        assert words.count(" or ") == 6
        assert ", and there are more;" in words


@pytest.mark.parametrize(
    "typed, offered",
    [
        ("pa", ["part", "part/counter"]),
        ("beam", ["beamclaw"]),
        ("hall/", ["hall/counter", "hall/door"]),
        ("beamclaw/hall/d", ["beamclaw/hall/door"]),
        ("beamclaw/p", ["beamclaw/part", "beamclaw/plain"]),
        ("plai", ["plain"]),
        ("nowhere/", []),
    ],
)
async def test_what_the_tree_shows_is_offered(tmp_path, typed, offered):
    async with crowded(tmp_path) as node:
        assert await node.result("look.names", text=typed) == offered


async def test_a_letter_or_two_are_no_hint_at_a_name(tmp_path):
    async with live(tmp_path) as node:
        assert "did you mean" not in await node.words("look.info", process="x")
        assert "did you mean" not in await node.words("look.info", process="te")


# --- looking


async def test_only_that_part_of_the_tree_is_made_that_is_wanted(tmp_path):
    async with live(tmp_path) as node:
        top, _ = await node.tree(depth=1, most=2)
        assert [child["id"] for child in top["children"]] == ["bus", "counter"]
        assert top["hidden"] == 2
        whole, _ = await node.tree()
        shell = whole["children"][-1]
        assert [child["id"] for child in shell["children"]] == [
            "connections",
            "listener",
        ]
        assert shell["hidden"] == 0


@asynccontextmanager
async def many(data, number, **limits):
    """A node with so many processes more, below one supervisor."""
    async with live(data, **limits) as node:
        below = ChildSpec("many", supervision.DynamicSupervisor, type="supervisor")
        top = await supervision.start_child(supervision.tree(depth=0).pid, below)
        for index in range(number):
            spec = ChildSpec(f"m{index}", plain, restart="temporary")
            await supervision.start_child(top, spec)
        yield node


async def test_a_tree_comes_in_pieces(tmp_path):
    async with many(tmp_path, 450) as node:
        whole, sizes = await node.tree(most=1_000)
        assert [child["id"] for child in whole["children"][-1]["children"]] == [
            f"m{index}" for index in range(450)
        ]
        assert (whole["shown"], whole["cut"]) == (sum(sizes), False)
        assert sizes[:2] == [200, 200]
        assert max(sizes) == 200


async def test_a_tree_is_cut_below_and_says_so(tmp_path):
    async with many(tmp_path, 20, processes=12) as node:
        cut, _ = await node.tree()
        assert (cut["shown"], cut["cut"]) == (12, True)
        # The upper levels are whole: root, its five children, and some below.
        assert [len(cut["children"]), cut["hidden"]] == [5, 0]
        crowd = cut["children"][-1]
        assert len(crowd["children"]) + crowd["hidden"] == 20
        more, _ = await node.tree(limit=1_000)
        assert (more["shown"] > 25, more["cut"]) == (True, False)
        part, _ = await node.tree(root=crowd["pid"], limit=3)
        assert [len(part["children"]), part["hidden"], part["cut"]] == [2, 18, True]


async def test_a_tree_goes_as_fast_as_it_is_read_and_shows_who_is_there_then(tmp_path):
    async with many(tmp_path, 3_000, processes=100_000) as node:
        await node.begin("look.tree", most=100_000)
        await wait_all_tasks_blocked()
        # It waits for its reader. Who ends now and was not reached is not shown.
        top = supervision.tree(depth=1).children[-1].pid
        last = supervision.tree(top, depth=1).children[-1].pid
        await supervision.terminate_child(top, last)
        rows = []
        while "event" in (frame := await node.client.receive()):
            rows += frame["event"]["rows"]
        ids = {row["id"] for row in rows}
        assert {"m0", "m2998"} <= ids
        assert "m2999" not in ids
        assert frame["result"] == {"shown": len(rows), "cut": False}


async def test_a_state_is_bounded_and_without_secrets(tmp_path):
    async with live(tmp_path, items=2) as node:
        found = await node.result("look.state", process="counter")
        assert found["fields"]["_count"] == "0"
        assert found["fields"]["_many"] == "[0, 1, … 98 more]"
        assert found["fields"]["_words"] == "'[secret]'"
        assert SECRET not in json.dumps(found)


async def test_the_messages_that_wait_are_shown_and_stay(tmp_path):
    async with live(tmp_path) as node:
        supervision.cast("part/counter", "stick")
        await wait_all_tasks_blocked()
        supervision.cast("part/counter", SECRET)
        supervision.send("part/counter", 7)
        found = await node.result("look.mailbox", process="counter", most=1)
        assert found["waiting"] == 2
        assert found["messages"] == [
            {"kind": "cast", "message": "'[secret]'", "from": None}
        ]
        assert supervision.info("part/counter").mailbox == 2


async def test_where_a_process_stands_inside_a_callback(tmp_path):
    async with live(tmp_path) as node:
        supervision.cast("part/counter", "stick")
        await wait_all_tasks_blocked()
        found = await node.result("look.waiting", process="counter")
        assert found["status"] == "running"
        assert "handle_cast" in [line["function"] for line in found["stack"]]
        plain = next(
            child for child in supervision.tree().children if child.id == "plain"
        )
        found = await node.result("look.waiting", process=str(plain.pid))
        assert "plain" in [line["function"] for line in found["stack"]]


class Beginning(supervision.Server):
    """A session whose turn is about to begin, as far as one sees it."""

    async def init(self):
        supervision.join("default/awake")

    def describe(self):
        return {"preparing": "files of agent main"}


async def test_what_a_session_waits_for_that_does_not_stand_still_is_said(tmp_path):
    name = "default/session/agent:main:main"
    async with (
        live(tmp_path) as node,
        supervision.open_supervisor([ChildSpec("it", Beginning, name=name)]),
    ):
        (row,) = (await node.result("look.sessions"))["sessions"]
        assert (row["status"], row["waits"]) == ("waiting", "files of agent main")
        found = await node.result("look.waiting", process="agent:main:main")
        assert found["for"] == "files of agent main"
        assert "it waits for files of agent main" in "\n".join(views.waiting(found, 80))


@attrs.define
class Conversation(supervision.Server):
    """A session as far as one sees it, which stands as *said*."""

    said: dict[str, object]

    async def init(self):
        supervision.join("default/awake")

    def describe(self):
        return self.said


def conversations(**said):
    return supervision.open_supervisor(
        [
            ChildSpec(key, partial(Conversation, each), name=f"default/session/{key}")
            for key, each in said.items()
        ]
    )


async def test_conversations_with_something_to_do_are_told_without_the_others(tmp_path):
    now = Outside().wall()
    working = {"running": True, "waits_for": "a model"}
    async with (
        live(tmp_path) as node,
        conversations(
            idle={},
            young={**working, "since": now - 5},
            old={**working, "since": now - 500},
            queued={"pending": 2},
        ),
    ):
        await node.result("steer.suspend", process="default/session/queued")
        found = await node.result("look.sessions", busy=True)
        assert (found["awake"], found["found"]) == (4, 3)
        rows = found["sessions"]
        assert [row["key"] for row in rows] == ["queued", "old", "young"]
        assert [row["stuck"] for row in rows] == [True, False, False]
        assert [row["waits"] for row in rows] == [None, "a model", "a model"]
        assert rows[0]["seconds"] is None
        assert 500 <= rows[1]["seconds"] < 600
        assert rows[1]["name"] == "default/session/old"
        few = await node.result("look.sessions", busy=True, most=1)
        assert (few["found"], len(few["sessions"])) == (3, 1)
        every = await node.result("look.sessions")
        assert (every["found"], len(every["sessions"])) == (4, 4)


async def test_names_are_found_by_any_part_of_them_and_those_left_out_are_counted(
    tmp_path,
):
    async with (
        live(tmp_path, children=2) as node,
        conversations(**{"agent:main:Peter": {}, "agent:main:repeat": {}, "other": {}}),
    ):
        found = await node.result("look.names", text="PET", part=True)
        assert found == {"names": ["default/session/agent:main:Peter"], "found": 1}
        found = await node.result("look.names", text="session", part=True)
        assert found["names"] == [
            "default/session/other",
            "default/session/agent:main:Peter",
        ]
        assert found["found"] == 3
        assert await node.result("look.names", text="pet") == []


def test_who_held_up_the_loop_most_is_first():
    lags = [
        {
            "name": "a",
            "id": "a",
            "task": "a",
            "seconds": 1.0,
            "at": 1.0,
            "stack": ["x"],
        },
        {
            "name": None,
            "id": "b",
            "task": "b",
            "seconds": 5.0,
            "at": 2.0,
            "stack": ["y"],
        },
        {
            "name": "a",
            "id": "a",
            "task": "a",
            "seconds": 2.0,
            "at": 3.0,
            "stack": ["z"],
        },
    ]
    first, second = culprits(lags, now=10.0)
    assert (first["who"], first["times"], first["ago"]) == ("b", 1, 8.0)
    assert (second["times"], second["seconds"], second["worst"]) == (2, 3.0, 2.0)
    assert second["stack"] == ["z"]


@pytest.mark.parametrize(
    "line, file",
    [
        ("/x/site-packages/trio/_core.py:3 f", "trio/_core.py"),
        ("/x/beamclaw/beamclaw/shell/a.py:3 f", "beamclaw/shell/a.py"),
        ("/x/supervision/_life.py:3 f", "supervision/_life.py"),
        ("odd", ""),
    ],
)
def test_a_file_is_shown_as_it_is_imported(line, file):
    assert point(line)["file"] == file


async def test_growth_is_counted_from_a_mark(tmp_path):
    async with live(tmp_path) as node:
        gc.collect()  # what other tests have left would go in between
        first = await node.result("look.leaks", mark=True)
        assert first["since"] is None
        pids = [supervision.spawn(plain) for _ in range(50)]
        second = await node.result("look.leaks")
        assert second["figures"]["processes"]["grown"] == 50
        grown = {row["type"]: row["grown"] for row in second["types"]}
        assert grown["supervision._life.Process"] >= 50
        for pid in pids:
            supervision.exit(pid, supervision.KILL)


# --- top


async def test_top_finds_those_that_the_tree_leaves_out_by_a_part_of_their_name(
    tmp_path,
):
    async with many(tmp_path, 200, children=2) as node:
        await node.begin("look.top", every=0.1, tree=True, once=True, match="M19")
        event = (await node.client.receive())["event"]
        ids = ["m19", *(f"m{number}" for number in range(190, 200))]
        assert [row["id"] for row in event["by"]["rate"]] == ids
        assert "oldest" not in event["by"]
        assert event["totals"]["matched"] == 11
        assert event["totals"]["processes"] > 200
        tree = event["tree"]
        (crowd,) = tree["children"]
        assert (crowd["id"], tree["hidden"], crowd["hidden"]) == ("many", 0, 0)
        assert [child["id"] for child in crowd["children"]] == ids
        assert (await node.client.receive())["result"] is True
        await node.begin("look.top", every=0.1, tree=True, once=True, match="nobody")
        event = (await node.client.receive())["event"]
        assert (event["tree"]["children"], event["by"]["rate"]) == ([], [])


async def test_top_tells_rates_and_ranks(tmp_path):
    async with live(tmp_path) as node:
        number = await node.begin("look.top", every=0.5, rows=1, tree=True, once=True)
        await trio.sleep(0.2)
        for _ in range(10):
            supervision.cast("part/counter", "count")
        event = (await node.client.receive())["event"]
        (row,) = event["by"]["rate"]
        assert row["name"] == "part/counter"
        assert row["rate"] > 5
        assert event["totals"]["processes"] >= 8
        counter = event["tree"]["children"][1]
        assert counter["rate"] == row["rate"]
        assert await node.client.receive() == {"id": number, "result": True}


async def test_the_first_look_of_top_is_not_waited_for(tmp_path, autojump_clock):
    async with live(tmp_path) as node:
        await node.begin("look.top", every=60, rows=1)
        first, second = [
            (await node.client.receive())["event"]["totals"]["seconds"]
            for _ in range(2)
        ]
        assert first < 1
        assert second == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    "key, first",
    [
        ("rate", "b"),
        ("mailbox", "a"),
        ("restarts", "c"),
        ("uptime", "c"),
        ("memory", "b"),
    ],
)
def test_rows_are_ranked(key, first):
    def row(id, rate, held=None, **figures):
        info = supervision.ProcessInfo(None, id, None, "server", "waiting", **figures)
        held_ = held and supervision.Memory(held, 1, whole=True)
        return Row(info, rate, info.restarts, held_)

    rows = [
        row("a", 1.0, held=7, mailbox=9, started_at=1.0),
        row("b", 2.0, held=9, started_at=2.0),
        row("c", 0.0, restarts=3, started_at=3.0),
    ]
    seen = Seen({key: Ranking(1)})
    for each in rows:
        seen.add(each)
    assert [each.info.id for each in seen.by[key].ranked()] == [first]
    assert (seen.processes, seen.messages, seen.rate) == (3, 9, 3.0)


async def test_top_and_info_say_what_a_process_holds(tmp_path):
    async with live(tmp_path) as node:
        before = await node.result("look.info", process="counter")
        assert before["memory"]["whole"]
        supervision.cast("part/counter", "stick")
        await wait_all_tasks_blocked()
        supervision.cast("part/counter", bytearray(1_000_000))
        after = await node.result("look.info", process="counter")
        assert after["memory"]["bytes"] - before["memory"]["bytes"] > 1_000_000
        await node.begin("look.top", every=0.1, rows=1, tree=True, once=True)
        event = (await node.client.receive())["event"]
        (row,) = event["by"]["memory"]
        assert (row["name"], row["memory"]["whole"]) == ("part/counter", True)
        assert row["memory"]["bytes"] > 1_000_000
        assert event["tree"]["children"][1]["memory"] == row["memory"]


async def test_what_all_refer_to_is_held_by_nobody(tmp_path):
    class Refers(supervision.Server):
        def __init__(self):
            self.config = Config(data=tmp_path)
            self.outside = Outside(threads=False)

    async with live(tmp_path):
        start = ChildSpec("refers", Refers, name="refers")
        await supervision.start_child(supervision.tree(depth=0).pid, start)
        held = await weighed(supervision.whereis("refers"), Slices(1.0))
        assert held.bytes < 5_000


async def test_a_large_state_is_counted_in_slices_and_cut_off(tmp_path):
    class Large(supervision.Server):
        def __init__(self):
            self.many = [[number] for number in range(OBJECTS + 10)]

    async with live(tmp_path, slice_seconds=0.0001) as node:
        start = ChildSpec("large", Large, name="large")
        await supervision.start_child(supervision.tree(depth=0).pid, start)
        others = 0

        async def other():
            nonlocal others
            while True:
                await trio.lowlevel.checkpoint()
                others += 1

        pid = supervision.spawn(other)
        found = await node.result("look.info", process="large")
        supervision.exit(pid, supervision.KILL)
        assert found["memory"]["whole"] is False
        assert found["memory"]["bytes"] > 100_000
        assert others > 50


class _Figures:
    """Scales and what they were asked to count, in order."""

    def __init__(self, monkeypatch):
        self.scales, self.asked = Scales(), []
        monkeypatch.setattr(weighing, "weighed", self._weighed)

    async def _weighed(self, pid, slices):
        self.asked.append(pid)
        return supervision.Memory(len(self.asked), 1, whole=True)

    async def look(self, *infos, seconds=9.0):
        del self.asked[:]
        for info in infos:
            self.scales.see(info)
        await self.scales.weigh(seconds, Slices(9.0))
        return self.asked


async def test_only_who_may_hold_something_else_is_counted_again(monkeypatch):
    figures = _Figures(monkeypatch)
    async with supervision.open_supervisor([ChildSpec("plain", plain)]):
        one, two = (supervision.spawn(plain) for _ in range(2))
        idle = supervision.ProcessInfo(one, "i", None, "server", "waiting")
        busy = supervision.ProcessInfo(two, "b", None, "process", "running")
        assert await figures.look(idle, busy) == [one, two]
        assert await figures.look(idle, busy) == [two]
        got = attrs.evolve(idle, mailbox=1)
        assert await figures.look(got, busy) == [one, two]
        assert await figures.look(attrs.evolve(got, mailbox=0, messages=1)) == [one]
        # Who was not there is forgotten.
        assert figures.scales.of(busy) is None
        assert figures.scales.of(idle) is not None


async def test_in_each_look_the_oldest_figures_are_counted_anew(monkeypatch):
    figures = _Figures(monkeypatch)
    over = iter(range(1_000))
    async with supervision.open_supervisor([ChildSpec("plain", plain)]):
        pids = [supervision.spawn(plain) for _ in range(5)]
        infos = [
            supervision.ProcessInfo(pid, "p", None, "process", "running")
            for pid in pids
        ]
        # A second passes between two looks at the time: there is time for two.
        monkeypatch.setattr(Slices, "over", lambda _: float(next(over)))
        rounds = [list(await figures.look(*infos, seconds=3.0)) for _ in range(3)]
        assert rounds == [pids[:2], pids[2:4], [pids[4], pids[0]]]


# --- steering


async def test_suspend_and_resume(tmp_path, rows):
    async with live(tmp_path) as node:
        await node.result("steer.suspend", process="counter")
        supervision.cast("part/counter", "count")
        info = await node.result("look.info", process="counter")
        assert (info["suspended"], info["mailbox"]) == (True, 1)
        await node.result("steer.resume", process="counter")
        assert await supervision.call("part/counter", Get()) == 1
        assert outcomes(rows) == [
            *twice("steered", "suspend", "done"),
            *twice("steered", "resume", "done"),
        ]
        _, first = rows[0]
        assert first["process"] == "counter"
        assert (first["uid"], first["pid"]) == (os.getuid(), os.getpid())


@pytest.mark.parametrize(
    "method, process, words",
    [
        ("steer.suspend", "shell/connections", "a supervisor is not suspended"),
        ("steer.kill", "beamclaw", "it carries the connection"),
        ("steer.restart", "shell/connections", "it carries the connection"),
        ("steer.suspend", "plain", "runs no behaviour"),
    ],
)
async def test_what_cannot_be_done_is_told_and_noted(
    tmp_path, rows, method, process, words
):
    async with live(tmp_path) as node:
        if process == "plain":
            children = supervision.tree().children
            process = str(next(c.pid for c in children if c.id == "plain"))
        assert words in await node.words(method, process=process)
        action = method.removeprefix("steer.")
        assert outcomes(rows) == twice("steered", action, "refused")
        assert words in rows[-1][1]["outcome"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"field": "count", "value": 5}, None),
        ({"field": "_count", "value": "5"}, "it holds a int, and that is a str"),
        ({"field": "coutn", "value": 5}, "no field 'coutn'"),
        ({"field": "many", "value": 5}, "it holds a list"),
        ({"field": "count", "value": [5]}, "the new value is a text"),
        ({"field": "count", "expression": "old + 5"}, "are not allowed"),
    ],
)
async def test_a_field_gets_another_value(tmp_path, rows, params, words):
    async with live(tmp_path) as node:
        if words is None:
            found = await node.result("steer.replace", process="counter", **params)
            assert (found["before"], found["after"]) == ("0", "5")
            assert await supervision.call("part/counter", Get()) == 5
            assert outcomes(rows) == twice("steered", "replace", "done")
            assert rows[-1][1]["what"] == "count"
        else:
            assert words in await node.words(
                "steer.replace", process="counter", **params
            )
            assert await supervision.call("part/counter", Get()) == 0


async def test_an_expression_may_make_the_value_where_that_is_allowed(tmp_path):
    async with live(tmp_path, expressions=True) as node:
        params = {"process": "counter", "field": "many", "expression": "old[:2]"}
        assert (await node.result("steer.replace", **params))["after"] == "[0, 1]"
        params = {"process": "counter", "field": "many", "expression": "1/0"}
        assert "nothing was changed" in await node.words("steer.replace", **params)


async def test_a_restart_ends_it_in_order_and_says_what_came(tmp_path):
    async with live(tmp_path) as node:
        old = supervision.whereis("part/counter")
        found = await node.result("steer.restart", process="counter")
        new = supervision.whereis("part/counter")
        assert new is not old
        assert (found["pid"], found["successor"]) == (str(old), str(new))
        assert found["killed"] is False


async def test_a_restart_kills_what_is_stuck(tmp_path, autojump_clock):
    async with live(tmp_path, grace_seconds=3.0) as node:
        supervision.cast("part/counter", "stick")
        await wait_all_tasks_blocked()
        found = await node.result("steer.restart", process="counter")
        assert found["killed"] is True
        assert found["successor"] == str(supervision.whereis("part/counter"))
        assert await supervision.call("part/counter", Get()) == 0


async def test_nobody_starts_a_temporary_process_again(tmp_path, autojump_clock):
    async with live(tmp_path) as node:
        children = supervision.tree().children
        pid = next(child.pid for child in children if child.id == "plain")
        found = await node.result("steer.kill", process=str(pid))
        assert (found["restart"], found["successor"]) == ("temporary", None)
        assert not supervision.is_alive(pid)


async def test_an_order_to_what_is_stuck_says_so(tmp_path, autojump_clock):
    async with live(tmp_path) as node:
        supervision.cast("part/counter", "stick")
        await wait_all_tasks_blocked()
        words = await node.words("steer.suspend", process="counter")
        assert "does not take the order: it works on something else" in words


@pytest.mark.parametrize(
    "method, message, words",
    [
        ("steer.call", {"type": "GetLimitz"}, "did you mean GetLimits"),
        ("steer.call", "text", "takes the name of a request"),
        ("steer.call", {"type": "ReadRun", "fields": {"no": 1}}, "ReadRun has run_id"),
        ("steer.call", {"type": "ReadRun"}, "cannot be made of that"),
        ("steer.send", {"type": "Nobody"}, "there is no message 'Nobody'"),
    ],
)
async def test_a_message_that_there_is_not(tmp_path, method, message, words):
    async with live(tmp_path) as node:
        assert words in await node.words(method, process="counter", message=message)
        assert await supervision.call("part/counter", Get()) == 0


async def test_a_call_and_a_message(tmp_path):
    async with live(tmp_path) as node:
        await node.result("steer.send", process="counter", message="x", cast=True)
        found = await node.result(
            "steer.call", process="counter", message={"type": "GetLimits"}
        )
        assert found["reply"] == "1"


# --- drills


async def test_a_drill_crashes_a_process(tmp_path, caplog):
    async with live(tmp_path) as node:
        found = await node.result("steer.fault", process="counter", kind="crash")
        assert found["successor"] == str(supervision.whereis("part/counter"))


async def test_a_drill_hangs_a_process_until_its_connection_ends(
    tmp_path, autojump_clock
):
    async with live(tmp_path) as node, connected(tmp_path) as other:
        await other.send(1, "steer.fault", process="counter", kind="hang", seconds=999)
        await wait_all_tasks_blocked()
        assert (await node.result("look.info", process="counter"))["suspended"]
        await other.stream.aclose()
        await wait_all_tasks_blocked()
        assert not (await node.result("look.info", process="counter"))["suspended"]


async def test_a_drill_floods_a_mailbox(tmp_path):
    async with live(tmp_path) as node:
        before = supervision.info("part/counter").messages
        await node.result("steer.fault", process="counter", kind="flood", count=600)
        await wait_all_tasks_blocked()
        assert supervision.info("part/counter").messages - before == 600


async def test_a_drill_holds_up_the_node_no_longer_than_is_allowed(tmp_path):
    async with live(tmp_path, block_seconds=0.0) as node:
        params = {"process": "counter", "kind": "block"}
        assert "from 0 to 0" in await node.words("steer.fault", seconds=1, **params)
        found = await node.result("steer.fault", **params)
        assert found["seconds"] == 0
        params["kind"] = "melt"
        assert "kind is one of crash" in await node.words("steer.fault", **params)


# --- traces


async def traced(node, **params):
    number = await node.begin("trace", process="counter", **params)
    first = await node.client.receive()
    assert first == {
        "id": number,
        "event": {"type": "tracing", "pid": str(supervision.whereis("part/counter"))},
    }


async def test_a_trace_tells_what_comes_and_goes(tmp_path):
    async with live(tmp_path) as node:
        await traced(node, most=3)
        supervision.cast("part/counter", SECRET)
        await supervision.call("part/counter", Get())
        events = [(await node.client.receive())["event"] for _ in range(3)]
        assert [event["kind"] for event in events] == ["cast", "call", "reply"]
        assert [event["message"] for event in events] == ["'[secret]'", "Get()", "1"]
        result = (await node.client.receive())["result"]
        assert result == {"why": "enough", "events": 3, "left_out": 0}
        assert (await supervision.sys.get_status("part/counter")).watched == ()


async def test_a_trace_is_filtered_and_bounded_in_rate(tmp_path, autojump_clock):
    async with live(tmp_path, trace_rate=2) as node:
        await traced(node, kinds=["cast"], text="yes", seconds=0.5)
        for word in ("yes 1", "no", "yes 2", "yes 3", "yes 4"):
            supervision.cast("part/counter", word)
        await supervision.call("part/counter", Get())
        got = [(await node.client.receive())["event"]["message"] for _ in range(2)]
        assert got == ["'yes 1'", "'yes 2'"]
        result = (await node.client.receive())["result"]
        assert result == {"why": "time", "left_out": 2}


@pytest.mark.parametrize(
    "kinds, words",
    [
        (["calls"], "there is no kind 'calls'; there are call, cast, info, reply"),
        (["call", None], "there is no kind 'None'"),
        ([{}], "there is no kind '{}'"),
        ([], "kinds are a list of some of call, cast, info, reply"),
        ("", "kinds are a list"),
    ],
)
async def test_a_trace_of_a_kind_that_there_is_not_is_refused(tmp_path, kinds, words):
    async with live(tmp_path) as node:
        assert words in await node.words("trace", process="counter", kinds=kinds)
        assert (await supervision.sys.get_status("part/counter")).watched == ()


async def test_a_trace_goes_with_its_client(tmp_path):
    async with live(tmp_path), connected(tmp_path) as other:
        await traced(Live(other))
        assert (await supervision.sys.get_status("part/counter")).watched != ()
        await other.stream.aclose()
        await wait_all_tasks_blocked()
        assert (await supervision.sys.get_status("part/counter")).watched == ()


async def test_a_trace_is_cancelled_and_its_connection_goes_on(tmp_path):
    async with live(tmp_path) as node:
        await traced(node)
        await node.client.send(77, "cancel", id=1)
        await wait_all_tasks_blocked()
        assert (await supervision.sys.get_status("part/counter")).watched == ()
        assert (await node.result("look.info", process="counter"))["id"] == "counter"


async def test_a_trace_ends_with_the_process(tmp_path):
    async with live(tmp_path) as node:
        await traced(node)
        pid = supervision.whereis("part/counter")
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        assert (await node.client.receive())["result"]["why"] == "ended"


# --- expressions


@pytest.mark.parametrize(
    "expression, value",
    [
        ("1 + 1", "2"),
        ("await supervision.call('part/counter', 1)", "0"),
        ("str(find('counter')) == str(supervision.whereis('part/counter'))", "True"),
        ("node.config.gateway.auth.token.reveal()", "'[secret]'"),
    ],
)
async def test_an_expression_has_a_value(tmp_path, rows, expression, value):
    async with live(tmp_path, expressions=True) as node:
        found = await node.result("eval", expression=expression)
        assert found["value"] == value
        assert outcomes(rows) == twice("steered", "eval", "done")
        assert rows[0][1]["what"] == expression


async def test_what_an_expression_prints_is_bounded(tmp_path):
    async with live(tmp_path, expressions=True, output=1_000) as node:
        found = await node.result("eval", expression="print('x' * 1500)")
        assert (len(found["printed"]), found["left_out"]) == (1_000, 501)


@pytest.mark.parametrize(
    "expression, words",
    [
        ("1 +", "SyntaxError"),
        ("x = 1", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
async def test_an_expression_that_fails_hurts_nobody(tmp_path, expression, words):
    async with live(tmp_path, expressions=True) as node:
        assert words in await node.words("eval", expression=expression)
        assert await node.result("eval", expression="1") is not None


async def test_an_expression_ends_with_its_connection(tmp_path):
    async with live(tmp_path, expressions=True), connected(tmp_path) as other:
        before = supervision.statistics().processes
        await other.send(1, "eval", expression="await trio.sleep_forever()")
        await wait_all_tasks_blocked()
        assert supervision.statistics().processes == before + 1
        await other.stream.aclose()
        await wait_all_tasks_blocked()
        assert supervision.statistics().processes == before - 1


@pytest.mark.parametrize("allowed", ["socket", "everywhere"])
async def test_the_words_that_allow_expressions_do_so_on_the_socket(tmp_path, allowed):
    async with live(tmp_path, expressions=allowed) as node:
        assert (await node.result("eval", expression="1"))["value"] == "1"


async def test_without_the_configuration_no_expression_runs(tmp_path, rows):
    async with live(tmp_path) as node:
        words = await node.words("eval", expression="1")
        assert "`shell: {expressions: socket}`" in words
        assert outcomes(rows) == twice("steered", "eval", "refused")


# --- what is told of it


async def test_a_drill_that_nobody_waits_for_any_more_is_told_as_such(
    tmp_path, rows, autojump_clock
):
    async with live(tmp_path), connected(tmp_path) as other:
        await other.send(1, "steer.fault", process="counter", kind="hang", seconds=99)
        await wait_all_tasks_blocked()
        assert outcomes(rows) == [("steered", "fault", "begun")]
        await other.stream.aclose()
        await wait_all_tasks_blocked()
        assert outcomes(rows) == twice("steered", "fault", "broken off")
        assert rows[0][1]["what"] == "hang"


@pytest.mark.parametrize(
    "method, params, what",
    [
        (
            "steer.call",
            {"process": "counter", "message": {"type": "GetLimits"}},
            "GetLimits",
        ),
        (
            "eval",
            {"expression": "await trio.sleep_forever()"},
            "await trio.sleep_forever()",
        ),
    ],
)
async def test_a_cancelled_order_is_told_as_broken_off(
    tmp_path, rows, method, params, what
):
    async with live(tmp_path, expressions=True) as node:
        supervision.cast("part/counter", "stick")
        number = await node.begin(method, **params)
        await wait_all_tasks_blocked()
        await node.client.send(77, "cancel", id=number)
        await wait_all_tasks_blocked()
        action = method.removeprefix("steer.")
        assert outcomes(rows) == twice("steered", action, "broken off")
        assert [row["what"] for _, row in rows] == [what, what]


async def test_an_expression_that_raises_is_told_as_such(tmp_path, rows):
    async with live(tmp_path, expressions=True) as node:
        await node.words("eval", expression="1/0")
        await node.words(
            "steer.replace", process="counter", field="count", expression="1/0"
        )
        assert outcomes(rows) == [
            *twice("steered", "eval", "raised"),
            *twice("steered", "replace", "raised"),
        ]
        assert [row["what"] for _, row in rows[::2]] == ["1/0", "count = 1/0"]


@pytest.mark.parametrize("leading", ["", " " * 300, "\n" * 300])
async def test_all_of_an_expression_is_told_whatever_stands_before_it(
    tmp_path, rows, leading
):
    expression = " + ".join(["1"] * 1_000)
    async with live(tmp_path, expressions=True) as node:
        found = await node.result("eval", expression=leading + expression)
        assert found["value"] == "1000"
        assert {row["what"] for _, row in rows} == {expression}


@pytest.mark.parametrize("method", ["eval", "steer.replace"])
async def test_an_expression_too_long_to_be_told_whole_does_not_run(
    tmp_path, rows, method
):
    longest = "1 + " * 2_500
    assert len(longest) == EXPRESSION
    params = {"process": "counter", "field": "count"}
    async with live(tmp_path, expressions=True) as node:
        words = await node.words(method, expression=f"{longest}1", **params)
        assert "at most 10,000 characters" in words
        assert outcomes(rows)[-1][-1] == "refused"
        assert rows[0][1]["what"].endswith("… (10,001 characters)")
        # One character less, and it is run.
        await node.result(method, expression=longest[:-4] + "   1", **params)


@pytest.mark.parametrize(
    "order, action",
    [("look.state", "state"), ("look.mailbox", "mailbox"), ("trace", "trace")],
)
async def test_a_look_at_what_a_process_has_in_it_is_told(
    tmp_path, rows, order, action
):
    async with live(tmp_path) as node:
        await node.begin(
            order, process="counter", **({"most": 0} if action == "trace" else {})
        )
        while "event" in (frame := await node.client.receive()):
            pass
        assert "result" in frame
        assert outcomes(rows) == twice("looked", action, "done")
        assert rows[0][1]["process"] == "counter"


async def test_a_look_at_how_a_process_stands_is_not_told(tmp_path, rows):
    async with live(tmp_path) as node:
        await node.result("look.info", process="counter")
        await node.result("look.waiting", process="counter")
        assert rows == []


async def test_a_trace_that_nobody_waits_for_is_told_as_broken_off(tmp_path, rows):
    async with live(tmp_path), connected(tmp_path) as other:
        await traced(Live(other))
        await other.stream.aclose()
        await wait_all_tasks_blocked()
        assert outcomes(rows) == twice("looked", "trace", "broken off")


# --- a command of an agent


@pytest.mark.parametrize(
    "method, params",
    [
        ("look.state", {}),
        ("look.mailbox", {}),
        ("look.turn", {}),
        ("look.leaks", {"mark": True}),
        ("trace", {}),
        ("eval", {"expression": "1"}),
        ("steer.suspend", {}),
        ("steer.resume", {}),
        ("steer.replace", {"field": "count", "value": 1}),
        ("steer.restart", {}),
        ("steer.kill", {}),
        ("steer.send", {"message": 1}),
        ("steer.call", {"message": {"type": "GetLimits"}}),
        ("steer.fault", {"kind": "crash"}),
    ],
)
async def test_a_command_of_an_agent_sees_nothing_inside_and_steers_nothing(
    tmp_path, monkeypatch, rows, method, params
):
    monkeypatch.setattr(connection, "is_below", lambda *_: True)
    async with live(tmp_path, expressions=True) as node:
        pid = supervision.whereis("part/counter")
        frame = await node.ask(method, process="counter", **params)
        assert frame["error"]["code"] == "forbidden"
        assert supervision.whereis("part/counter") is pid
        if method in ("look.turn", "look.leaks"):
            assert outcomes(rows) == []
        else:
            steered = method.startswith(("steer", "eval"))
            event, action = ["looked", "steered"][steered], method.split(".")[-1]
            assert outcomes(rows) == twice(event, action, "refused")
        assert (await node.result("look.info", process="counter"))["id"] == "counter"


async def test_of_several_names_with_one_end_the_shortest_is_meant(
    tmp_path, monkeypatch
):
    some = ["config", "gateway/notices/config"]
    async with live(tmp_path):
        for names in (some, some[::-1]):
            monkeypatch.setattr(supervision, "registered", lambda names=names: names)
            with pytest.raises(Failed, match=r"did you mean config\?$"):
                finding.find("confg")
