"""Keyed registries, and `Via`."""

# A child that is not there fails the test by itself.
# pyright: reportArgumentType=false

from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio

import supervision
from supervision import (
    KILL,
    KILLED,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    KeyEntry,
    KeyRegistered,
    KeyUnregistered,
    NameTaken,
    Registry,
    Via,
)
from supervision.testing import settle, wait_exit
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    actor,
    child,
    keep,
    listen,
    tree,
    wait,
)


@asynccontextmanager
async def keyed(keys, **options):
    """A registry named "r", a dynamic supervisor "actors", and the test as a process."""
    registry = ChildSpec("r", partial(Registry, keys, **options), name="r")
    actors = child("actors", DynamicSupervisor, type="supervisor")
    async with tree(registry, actors), actor() as here:
        yield Registry.at("r"), here


@pytest.mark.otp("91")
async def test_a_unique_key_has_one_holder():
    async with keyed("unique") as (r, here):
        r.register(("room", 1), "mine")
        other = supervision.spawn(wait)
        for pid in (None, other):
            with pytest.raises(NameTaken) as taken:
                r.register(("room", 1), "again", pid=pid)
            assert (taken.value.name, taken.value.pid) == (("room", 1), here)
        r.register(("room", 2), "theirs", pid=other)
        assert r.lookup(("room", 1)) == [KeyEntry(("room", 1), here, "mine")]
        assert r.whereis(("room", 2)) is other
        assert r.whereis(("room", 3)) is None
        assert r.lookup(("room", 3)) == []
        assert r.count() == 2


@pytest.mark.otp("91")
async def test_a_duplicate_key_has_many_and_one_process_can_hold_it_twice():
    async with keyed("duplicate") as (r, here):
        other = supervision.spawn(wait)
        r.register("news", 1)
        r.register("news", 2)
        r.register("news", 3, pid=other)
        r.register("sport", 4)
        assert r.lookup("news") == [
            KeyEntry("news", here, 1),
            KeyEntry("news", here, 2),
            KeyEntry("news", other, 3),
        ]
        assert r.keys() == ["news", "news", "sport"]
        assert r.keys(other) == ["news"]
        assert r.count() == 4
        with pytest.raises(supervision.SupervisionError):
            r.whereis("news")
        with pytest.raises(supervision.SupervisionError):
            r.update_value("news", str)


@pytest.mark.otp("91")
async def test_unregister_removes_own_entries_only():
    async with keyed("duplicate") as (r, here):
        other = supervision.spawn(wait)
        for value in (1, 2, 3):
            r.register("news", value)
        r.register("news", 4, pid=other)
        r.unregister("news", lambda value: value == 2)
        assert [entry.value for entry in r.lookup("news")] == [1, 3, 4]
        r.unregister("news")
        r.unregister("news")
        assert r.lookup("news") == [KeyEntry("news", other, 4)]
        assert r.keys(here) == []
        r.unregister("news", pid=other)
        assert r.count() == 0


@pytest.mark.otp("91")
async def test_only_the_holder_updates_a_value():
    async with keyed("unique") as (r, _):
        r.register("a", 1)
        assert r.update_value("a", lambda value: value + 1) == (2, 1)
        assert r.lookup("a")[0].value == 2
        r.register("b", 1, pid=supervision.spawn(wait))
        for key in ("b", "nobody"):
            with pytest.raises(supervision.NoSuchName):
                r.update_value(key, str)


@pytest.mark.otp("91")
async def test_entries_are_matched_by_value_and_selected_by_anything():
    async with keyed("duplicate") as (r, here):
        for key, value in [("a", 1), ("a", 2), ("b", 2)]:
            r.register(key, value)
        assert r.match("a", lambda value: value > 1) == [KeyEntry("a", here, 2)]
        assert [e.key for e in r.select(lambda e: e.value == 2)] == ["a", "b"]
        assert len(r.select()) == 3


@pytest.mark.otp("89", "91")
async def test_the_dead_are_gone_before_anybody_learns_of_the_death():
    async with keyed("unique") as (r, _):
        pid, _ = supervision.spawn_monitor(wait, name=Via("r", "a"))
        supervision.exit(pid, "x")
        await supervision.receive(supervision.Down)
        assert r.lookup("a") == []
        assert r.keys(pid) == []
        r.register("a", "mine")
        with pytest.raises(supervision.NoProcess):
            r.register("b", None, pid=pid)


@pytest.mark.otp("91")
async def test_dispatch_runs_in_the_caller_and_its_failure_is_the_callers():
    async with keyed("duplicate") as (r, here):
        told = []

        def tell(entries):
            told.append(supervision.self_pid())
            raise OnPurpose

        r.dispatch("nobody", tell)
        assert told == []
        r.register("a", None, pid=supervision.spawn(wait))
        with pytest.raises(OnPurpose):
            r.dispatch("a", tell)
        assert told == [here]
        assert r.count() == 1


@pytest.mark.otp("91")
async def test_listeners_are_told():
    async with keyed("unique", listeners=["ear", "nobody"]) as (r, here):
        heard = []
        supervision.spawn(keep, heard, name="ear")
        r.register("a", 1)
        r.unregister("a")
        pid = supervision.spawn(wait, name=Via("r", "b", value=2))
        supervision.exit(pid, "x")
        await wait_exit(pid)
        await settle()
        assert heard == [
            KeyRegistered("r", "a", here, 1),
            KeyUnregistered("r", "a", here),
            KeyRegistered("r", "b", pid, 2),
            KeyUnregistered("r", "b", pid),
        ]


@pytest.mark.otp("91")
async def test_a_listener_hears_of_every_entry_that_a_death_removes():
    async with keyed("duplicate", listeners=["ear"]) as (r, _):
        heard = []
        supervision.spawn(keep, heard, name="ear")
        pid = supervision.spawn(wait)
        for key in ("a", "b", "a"):
            r.register(key, None, pid=pid)
        await settle()
        heard.clear()
        supervision.exit(pid, "x")
        await settle()
        gone = [KeyUnregistered("r", key, pid) for key in ("a", "a", "b")]
        assert heard == gone


async def test_whoever_is_registered_falls_with_the_registry(autojump_clock):
    async with keyed("unique") as (r, _):
        first = supervision.spawn(wait, name=Via("r", 1))
        left = supervision.spawn(wait, name=Via("r", 2))
        r.unregister(2, pid=left)
        told = []
        trapping = supervision.spawn(partial(keep, told, trap=True))
        await settle()
        r.register(3, None, pid=trapping)
        registry = supervision.whereis("r")
        supervision.exit(registry, KILL)
        assert await wait_exit(first) == KILLED
        await settle()
        assert told == [supervision.Exit(registry, KILLED)]
        assert supervision.is_alive(left)
        assert Registry.at("r") is not r
        assert (r.count(), r.keys(trapping)) == (0, [])
        with pytest.raises(supervision.NoProcess):
            r.register(4, None)
        Registry.at("r").register(3, None, pid=trapping)


async def test_a_registry_answers_no_calls_and_shows_what_is_in_it():
    async with keyed("unique") as (r, _):
        r.register("a", 1)
        with pytest.raises(supervision.SupervisionError, match="no answer"):
            await supervision.call("r", Ask())
        assert supervision.state("r") == {
            "keys": "unique",
            "entries": 1,
            "processes": 1,
        }


async def test_only_a_registry_is_found_as_one():
    async with tree(child("plain")):
        with pytest.raises(supervision.SupervisionError):
            Registry.at("plain")
        with pytest.raises(supervision.NoProcess):
            Registry.at("nobody")
        with pytest.raises(ValueError, match="unique"):
            Registry("both")


async def test_a_process_that_falls_asleep_is_not_found_any_more():
    class Sleepy(Echo):
        async def handle_call(self, request, sender):
            assert self.stop_if_idle()
            return supervision.Stop(supervision.NORMAL, Registry.at("r").count())

    async with keyed("unique"):
        supervision.spawn(Sleepy, name=Via("r", "a"))
        assert await supervision.call(Via("r", "a"), Ask()) == 0


# --- Via


@pytest.mark.otp("90")
async def test_a_via_goes_wherever_a_name_goes():
    async with keyed("unique") as (r, _):
        echo = Via("r", "echo")
        pid = supervision.spawn(Echo, name=echo)
        await settle()
        assert r.whereis("echo") is pid
        assert await supervision.call(echo, Ask("hello")) == "hello"
        supervision.cast(echo, "hello")
        supervision.send(echo, "hello")
        supervision.send_after(0, echo, "later")
        ref = supervision.monitor(echo)
        await supervision.stop(echo)
        down = await supervision.receive(supervision.Down)
        assert (down.ref, down.pid) == (ref, pid)
        with pytest.raises(supervision.NoSuchName):
            supervision.send(echo, "hello")
        with pytest.raises(supervision.NoProcess):
            await supervision.call(echo, Ask("hello"))
        supervision.cast(echo, "dropped")
        with pytest.raises(supervision.NoSuchName):
            supervision.send(Via("no such registry", 1), "hello")


@pytest.mark.otp("88", "90")
async def test_a_child_is_started_under_a_key():
    async with keyed("unique") as (r, _):
        spec = ChildSpec("s", listen, name=Via("r", ("session", 1), value="v"))
        pid = await supervision.start_child("actors", spec)
        assert r.lookup(("session", 1)) == [KeyEntry(("session", 1), pid, "v")]
        with pytest.raises(supervision.AlreadyStarted) as already:
            await supervision.start_child("actors", attrs.evolve(spec, id="t"))
        assert already.value.pid is pid
        supervision.exit(pid, "x")
        await settle()
        assert r.whereis(("session", 1)) not in (pid, None)


async def test_a_supervisor_can_be_reached_through_a_registry():
    async with keyed("unique") as (_, _):
        sup = Via("r", "sup")
        spec = ChildSpec("sup", DynamicSupervisor, name=sup, type="supervisor")
        await supervision.start_child("actors", spec)
        pid = await supervision.start_child(sup, ChildSpec("a", listen))
        (shown,) = await supervision.which_children(sup)
        assert shown.pid is pid


async def test_a_start_fails_when_its_registry_is_not_there():
    spec = ChildSpec("a", listen, name=Via("r", 1))
    with pytest.raises(supervision.StartFailed) as failed:
        async with tree(spec):
            pass
    assert isinstance(failed.value.reason, Crash)
    assert isinstance(failed.value.__cause__, supervision.NoProcess)


async def test_only_a_unique_registry_serves_names():
    async with keyed("duplicate"):
        with pytest.raises(supervision.SupervisionError):
            supervision.send(Via("r", 1), "hello")
        with pytest.raises(supervision.SupervisionError, match="no registry"):
            supervision.send(Via("actors", 1), "hello")


def test_two_vias_to_one_key_are_equal():
    assert Via("r", 1, value="a") == Via("r", 1)
    assert len({Via("r", 1), Via("r", 1), Via("r", 2)}) == 2
    assert repr(Via("r", 1)) == "Via(registry='r', key=1)"


async def test_an_adopted_task_is_registered_by_a_via():
    tasks = ChildSpec("tasks", supervision.TaskSupervisor, name="tasks")
    rooms = ChildSpec("rooms", partial(Registry, "unique"), name="rooms")
    async with supervision.open_supervisor([rooms, tasks]):
        name = Via("rooms", 7, "a value")
        async with supervision.adopt("tasks", "me", name=name) as pid:
            (entry,) = Registry.at("rooms").lookup(7)
            assert (entry.pid, entry.value) == (pid, "a value")
            with pytest.raises(supervision.AlreadyStarted):
                supervision.start_task("tasks", trio.sleep_forever, name=name)
        assert Registry.at("rooms").lookup(7) == []
