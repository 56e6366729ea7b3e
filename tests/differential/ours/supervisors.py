"""Supervisors, their children, and requests to them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import trio

import supervision
from supervision import ChildSpec, Pid

from .words import (
    Do,
    OnPurpose,
    die,
    real,
    shutdown_of,
    tenths,
    term_to_reason,
    term_to_stop,
)
from .world import World


def start_of(world: World, id: str, what: Any) -> Callable[[], Any]:
    match what:
        case ("sup" | "windowed", *_):

            def start_sup() -> supervision.Supervisor:
                _, name = world.born(id)
                world.ev(("init", name, "sup"))
                return sup_of(world, what)

            return start_sup
        case ("dynamic", intensity, restart, grace, trap, term):

            def start_dynamic() -> supervision.DynamicSupervisor:
                _, name = world.born(id)
                world.ev(("init", name, "sup"))
                world.template = (restart, grace, trap, term)
                return supervision.DynamicSupervisor(
                    max_restarts=intensity, max_seconds=YEARS
                )

            return start_dynamic
        case ("named", _, plan, trap, term) | ("worker", plan, trap, term):
            return partial(Worker, world, id, plan, trap, term)
        case _:
            raise ValueError(what)


def sup_of(world: World, what: Any) -> supervision.Supervisor:
    match what:
        case ("sup", strategy, intensity, auto, children):
            seconds = YEARS
        case (_, strategy, intensity, children):
            auto, seconds = "never", WINDOW
        case _:
            raise ValueError(what)
    return supervision.Supervisor(
        [spec_of(world, child) for child in children],
        strategy=strategy,
        max_restarts=intensity,
        max_seconds=seconds,
        auto_shutdown=auto,
    )


def spec_of(world: World, child: Any) -> ChildSpec:
    id, restart, grace, significant, what = child
    name = real(what[1]) if what[0] == "named" else None
    if restart == "default":
        return ChildSpec(id, start_of(world, id, what), name=name)
    return ChildSpec(
        id,
        start_of(world, id, what),
        restart=restart,
        shutdown=shutdown_of(grace),
        significant=significant,
        type="worker" if what[0] in ("worker", "named") else "supervisor",
        name=name,
    )


async def answer(world: World, sup: str, request: Any) -> Any:
    pid = world.pids.get(sup)
    if pid is None:
        return "skip"
    try:
        return await ask(world, pid, request)
    except supervision.NoProcess:
        return ("exit", "noproc")
    except OnPurpose:
        return ("exit", "callback_failed")
    except supervision.ServerExited as ended:
        return ("exit", world.reason(ended.reason))
    except supervision.ChildError as refusal:
        return ("error", refused(world, refusal))


def refused(world: World, error: supervision.ChildError) -> Any:
    match error:
        case supervision.NotFound():
            return "not_found"
        case supervision.ChildRunning():
            return "running"
        case supervision.ChildRestarting():
            return "restarting"
        case supervision.AlreadyPresent():
            return "already_present"
        case supervision.StartFailed():
            return world.reason(error.reason)
        case _:
            return world.error(error)


async def ask(world: World, sup: Pid, request: Any) -> Any:
    match request:
        case ("start", child):
            pid = await supervision.start_child(sup, spec_of(world, child))
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("start_dynamic", id, plan):
            restart, grace, trap, term = world.template
            what = ("worker", plan, trap, term)
            child = spec_of(world, (id, restart, grace, False, what))
            pid = await supervision.start_child(sup, child)
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("terminate", id):
            await supervision.terminate_child(sup, id)
        case ("terminate_pid", id):
            if id not in world.pids:
                return "skip"
            await supervision.terminate_child(sup, world.pids[id])
        case ("restart", id):
            pid = await supervision.restart_child(sup, id)
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("delete", id):
            await supervision.delete_child(sup, id)
        case "which":
            children = await supervision.which_children(sup)
            return [listed(world, sup, child) for child in children]
        case "count":
            found = await supervision.count_children(sup)
            return (found.specs, found.active, found.supervisors, found.workers)
        case ("spec", id):
            spec = await supervision.get_child_spec(sup, id)
            return (
                "ok",
                spec.id,
                spec.restart,
                tenths(spec.shutdown),
                spec.significant,
            )
        case "suspend":
            await supervision.sys.suspend(sup, timeout=None)
        case "resume":
            await supervision.sys.resume(sup, timeout=None)
        case ("change", _, what):
            await supervision.sys.suspend(sup, timeout=None)
            try:
                changed = sup_of(world, what)
                await supervision.sys.change_code(sup, lambda _: changed, timeout=None)
            finally:
                await supervision.sys.resume(sup, timeout=None)
        case ("statistics", "get"):
            counts = await supervision.sys.statistics(sup, "get", timeout=None)
            if counts is None:
                return ("counted", "none")
            return ("counted", counts.messages_in, counts.messages_out)
        case ("statistics", what):
            await supervision.sys.statistics(sup, what, timeout=None)
        case "get_state":
            return data_of(await supervision.sys.get_state(sup, timeout=None))
        case ("replace", state, data):
            change = partial(replaced, state, data)
            return data_of(
                await supervision.sys.replace_state(sup, change, timeout=None)
            )
        case ("stop", reason):
            await supervision.stop(sup, term_to_reason(reason))
    return "ok"


def data_of(state: Any) -> Any:
    """What there is to see of the state of a server or of a state machine."""
    if isinstance(state, tuple):
        name, attributes = state
        return name, attributes["data"]
    return state["data"]


def replaced(state: str, data: int, old: Any) -> Any:
    if isinstance(old, tuple):
        _, attributes = old
        for machine in attributes["life"].machines:
            machine.data = data
        return state, {**attributes, "data": data}
    if state == "raise":
        raise OnPurpose("replaced")
    return {**old, "data": data}


def listed(world: World, sup: Pid, child: supervision.ChildInfo) -> Any:
    id = "none" if world.name_of(sup).startswith("dyn") else child.id
    if child.pid is not None:
        return (id, world.name_of(child.pid), child.type)
    resting = "restarting" if child.status == "restarting" else "undefined"
    return (id, resting, child.type)


# The windows for restarts: one that no scenario leaves, and one of a second of real time
# in units (those of scenarios with windows are far longer or far shorter).
YEARS = 3600.0
WINDOW = 1000 / 100


class Worker(supervision.Server):
    """A child; its starts go according to a plan."""

    def __init__(self, world: World, id: str, plan: Any, trap: bool, term: str) -> None:
        self.world = world
        self.id = id
        self.plan = plan
        self.term = term
        self.trap_exit = trap  # pyright: ignore[reportAttributeAccessIssue]

    async def init(self) -> Any:
        number, self.name = self.world.born(self.id)
        outcome = self.plan[min(number, len(self.plan)) - 1]
        self.world.ev(("init", self.name, outcome))
        match outcome:
            case "ok":
                return None
            case "ignore":
                return supervision.abc.Ignore()
            case ("stop", reason):
                return supervision.Stop(term_to_stop(reason))
            case _:
                return die(outcome)

    async def handle_info(self, message: object) -> Any:
        match message:
            case Do(("stop", reason)):
                return supervision.Stop(term_to_stop(reason))
            case Do(command):
                return die(command)
            case supervision.TIMEOUT:
                self.world.ev(("cb", self.name, "timeout", 0))
            case _:
                seen = self.world.message(message)
                self.world.ev(("cb", self.name, "message", seen))
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        self.world.ev(("term", self.name, self.world.reason(reason)))
        if self.term == "hang":
            await trio.sleep_forever()
        if self.term == "crash":
            raise OnPurpose("ouch")
