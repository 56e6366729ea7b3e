"""Plain processes: what they are told to do, one command after the other."""

from collections.abc import Awaitable
from typing import Any

import trio

import supervision
from supervision import Pid, Ref

from .servers import call, failure, outcome
from .words import Ctl, Return, Tag, die, program, real, seconds, term_to_reason
from .world import World


def start_plain(world: World, name: str, body: Any, spawn: Any) -> Any:
    spawned = spawn(plain, world, name, body)
    world.plain.append(name)
    world.plain.sort()
    world.know(name, spawned[0] if isinstance(spawned, tuple) else spawned)
    return spawned


async def plain(world: World, name: str, body: Any) -> None:
    world.watch(name)
    try:
        if body == "trap":
            supervision.trap_exits(True)
        elif body != "loop":
            die(body)
        while True:
            ctl = await supervision.receive(Ctl)
            for command in ctl.commands:
                world.ev(("did", name, await do(world, command)))
    except Return:
        return


async def do(world: World, command: Any) -> Any:
    here = supervision.self_pid()
    match command:
        case ("spawn", name, how, body):
            return "skip" if name in world.pids else spawn_as(world, name, how, body)
        case ("die", reason):
            die(reason)
        case ("trap", flag):
            return supervision.trap_exits(flag)
        case ("demonitor", label, flush):
            ref = world.labels.get((label, here))
            return "skip" if ref is None else supervision.demonitor(ref, flush=flush)
        case ("recv", tags, exits, down, timeout):
            waits = recv(world, tags, exits, down, seconds(timeout))
            return await blocked(world, waits)
        case ("receive_response", label, timeout):
            request = world.requests.pop((label, here), None)
            if request is None:
                return "skip"
            ask = supervision.receive_response(request, timeout=seconds(timeout))
            return await blocked(world, outcome(world, ask))
        case ("receive_any", timeout):
            return await blocked(world, receive_any(world, seconds(timeout)))
        case "collected":
            return len(collected(world))
        case "give_up":
            collected(world).clear()
            return "ok"
        case ("timer", *_):
            return start_timer(world, command)
        case ("cancel_timer", label):
            timer = world.timers.get((label, here))
            return "skip" if timer is None else timer.cancel() is not None
        case ("read_timer", label):
            timer = world.timers.get((label, here))
            return "skip" if timer is None else timer.remaining() is not None
        case "flush":
            return world.canonical(await drain())
        case ("send_name", name, number):
            try:
                supervision.send(real(name), Tag(number))
            except supervision.NoSuchName:
                return "badarg"
            return "ok"
        case ("unregister", name):
            try:
                supervision.unregister(real(name))
            except supervision.NoSuchName:
                return "badarg"
            return True
        case ("whereis", name):
            pid = supervision.whereis(real(name))
            return "undefined" if pid is None else world.name_of(pid)
        case ("monitor_name", name, label):
            return note_ref(world, supervision.monitor(real(name)), label)
        case ("members", group):
            return sorted(map(world.name_of, supervision.members(group)))
        case ("broadcast", group, number):
            return supervision.broadcast(group, Tag(number))
        case ("monitor_group", group, label):
            ref = supervision.monitor_group(group)
            note_ref(world, ref, label)
            return sorted(map(world.name_of, ref.members.get(group, ())))
        case ("demonitor_group", label):
            ref = world.labels.get((label, here))
            if ref is None:
                return "skip"
            supervision.demonitor(ref, flush=True)
            return "ok"
        case (_, name, *_) if name in world.pids:
            return await do_to(world, world.pids[name], command)
        case _:
            return "skip"
    return None


async def do_to(world: World, pid: Pid, command: Any) -> Any:
    match command:
        case ("send", _, number):
            supervision.send(pid, Tag(number))
            return "ok"
        case ("link", _):
            try:
                supervision.link(pid)
            except supervision.NoProcess:
                return "noproc"
            return True
        case ("unlink", _, flush):
            supervision.unlink(pid, flush=flush)
            return "ok"
        case ("monitor", _, label):
            return note_ref(world, supervision.monitor(pid), label)
        case ("exit", _, reason):
            supervision.exit(pid, term_to_reason(reason))
            if pid is supervision.self_pid():
                # Erlang would end it there and then, Trio does at a checkpoint.
                await trio.lowlevel.checkpoint()
            return True
        case ("alive", _):
            return supervision.is_alive(pid)
        case ("register", _, name):
            if pid.process is not None and pid.process.names:
                return "skip"  # in Erlang a process has at most one local name
            try:
                supervision.register(real(name), pid=pid)
            except (supervision.NameTaken, supervision.NoProcess):
                return "badarg"
            return True
        case ("join", _, group):
            try:
                supervision.join(group, pid=pid)
            except supervision.NoProcess:
                return "noproc"
            return "ok"
        case ("leave", _, group):
            try:
                supervision.leave(group, pid=pid)
            except supervision.NoProcess:
                return "noproc"
            except supervision.NotAMember:
                return "not_joined"
            return "ok"
        case ("call", name, todo, timeout):
            return await blocked(world, call(world, name, todo, timeout))
        case ("send_request", _, todo, label):
            request = supervision.send_request(pid, program(todo))
            world.requests[label, supervision.self_pid()] = request
            return "ok"
        case ("collect", _, todo, label):
            collected(world).send(pid, program(todo), label=label)
            return "ok"
        case _:
            raise ValueError(command)


def spawn_as(world: World, name: str, how: Any, body: Any) -> Any:
    match how:
        case "plain":
            start_plain(world, name, body, supervision.spawn)
        case "link":
            start_plain(world, name, body, supervision.spawn_link)
        case (_, label):
            _, ref = start_plain(world, name, body, supervision.spawn_monitor)
            note_ref(world, ref, label)
    return "ok"


async def blocked(world: World, waits: Awaitable[Any]) -> Any:
    """While a process waits it is not told to do anything else."""
    here = world.name_of(supervision.self_pid())
    world.blocked.add(here)
    got = await waits
    world.blocked.discard(here)
    return got


def collected(world: World) -> supervision.RequestIds[Any]:
    here = supervision.self_pid()
    return world.collections.setdefault(here, supervision.RequestIds())


async def receive_any(world: World, timeout: float | None) -> Any:
    ids = collected(world)
    if not ids:
        return "no_request"
    try:
        response = await ids.receive(timeout=timeout)
    except supervision.CallTimeout:
        return "timeout"
    if isinstance(response.error, supervision.CallFailed):
        return response.label, ("exit", failure(world, response.error))
    return response.label, ("reply", response.result())


def start_timer(world: World, command: Any) -> Any:
    _, kind, to, length, number, label = command
    dest: Any = real(to[1]) if isinstance(to, tuple) else world.pids.get(to)
    if dest is None:
        return "skip"
    start = supervision.send_after if kind == "send_after" else supervision.start_timer
    timer = start(length / 10, dest, Tag(number))
    world.timers[label, supervision.self_pid()] = timer
    return "ok"


def note_ref(world: World, ref: Ref, label: str) -> Any:
    world.refs[ref] = label
    world.labels[label, supervision.self_pid()] = ref
    return "ok"


async def recv(
    world: World, tags: Any, exits: str, down: str, timeout: float | None
) -> Any:
    anything, *numbers = tags
    ref = world.labels.get((down, supervision.self_pid()))
    whom = world.pids.get(exits)

    def accepts(message: object) -> bool:
        match message:
            case Tag(number):
                return anything or number in numbers
            case supervision.Exit(pid, _):
                return exits == "any" or pid is whom
            case supervision.Down(got, _, _, _):
                return got is ref
            case _:
                return False

    match: Any = Tag if anything and (exits, down) == ("none", "none") else accepts
    try:
        return world.message(await supervision.receive(match, timeout=timeout))
    except supervision.ReceiveTimeout:
        return "timeout"


async def drain() -> list[Any]:
    found: list[Any] = []
    try:
        while True:
            found.append(
                await supervision.receive(lambda m: not isinstance(m, Ctl), timeout=0)
            )
    except supervision.ReceiveTimeout:
        return found
