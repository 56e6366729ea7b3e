"""Servers whose callbacks do what the messages say, and those who call them."""

from collections.abc import Awaitable
from typing import Any

import trio

import supervision

from .supervisors import Worker
from .words import (
    Answer,
    Info,
    Program,
    die,
    program,
    real,
    seconds,
    term_to_reason,
    term_to_stop,
)
from .world import World


class Actor(Worker):
    """A server whose callbacks do what the messages say."""

    def __init__(
        self, world: World, name: str, trap: bool, init: Any, term: str
    ) -> None:
        super().__init__(world, name, [], trap, term)
        self.name = name
        self.first = init
        self.data = 0
        self.stashed: list[supervision.From] = []

    async def init(self) -> Any:
        self.world.watch(self.name)
        self.world.ev(("init", self.name, self.first[0]))
        match self.first:
            case ("ok", then):
                return then_of(then)
            case ("ignore",):
                return supervision.abc.Ignore()
            case ("stop", reason):
                return supervision.Stop(term_to_stop(reason))
            case ("bad",):
                return "nonsense"
            case (_, reason):
                return die(reason)

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        return await self.run("call", request, sender)

    async def handle_cast(self, message: Any) -> Any:
        return await self.run("cast", message, None)

    async def handle_continue(self, term: Any) -> Any:
        return await self.run("continue", program(term), None)

    async def handle_info(self, message: object) -> Any:
        if isinstance(message, Info):
            return await self.run("info", message.program, None)
        if isinstance(message, Answer):
            supervision.reply(message.sender, self.name)
            return None
        return await super().handle_info(message)

    async def run(
        self, kind: str, todo: Program, sender: supervision.From | None
    ) -> Any:
        self.world.ev(("cb", self.name, kind, todo.id))
        for effect in todo.effects:
            await self.effect(effect, sender)
        match todo.result:
            case ("reply", value, then):
                if sender is None:
                    return then_of(then)
                after = then_of(then)
                return value if after is None else supervision.Reply(value, after)
            case ("noreply", then):
                if sender is None:
                    return then_of(then)
                return supervision.abc.NoReply(then_of(then))
            case ("stop", reason, value) if sender is not None:
                return supervision.Stop(term_to_stop(reason), value)
            case ("stop", reason, *_):
                return supervision.Stop(term_to_stop(reason))
            case "bad":
                return supervision.abc.Ignore()
            case (_, reason):
                return die(reason)

    async def effect(self, effect: Any, sender: supervision.From | None) -> None:
        match effect:
            case ("set", value):
                self.data = value
            case "stash" if sender is not None:
                self.stashed.append(sender)
            case ("reply_now", value) if sender is not None:
                supervision.reply(sender, value)
            case ("reply_stashed", value) if self.stashed:
                supervision.reply(self.stashed.pop(0), value)
            case ("hand_over", server) if sender is not None:
                if server in self.world.pids:
                    supervision.send(self.world.pids[server], Answer(sender))
            case ("sleep", length):
                await trio.sleep(length / 10)
            case ("call", server, todo, timeout) if server in self.world.pids:
                result = await call(self.world, server, todo, timeout)
                self.world.ev(("nested", self.name, result))
            case _:
                pass


def then_of(then: Any) -> Any:
    match then:
        case ("timeout", length):
            return supervision.Timeout(length / 10)
        case ("continue", todo):
            return supervision.Continue(todo)
        case _:
            return None


def dest_of(world: World, server: Any) -> Any:
    return real(server[1]) if isinstance(server, tuple) else world.pids.get(server)


async def call(world: World, server: Any, todo: Any, timeout: Any) -> Any:
    dest = dest_of(world, server)
    if dest is None:
        return "skip"
    ask = supervision.call(dest, program(todo), timeout=seconds(timeout))
    return await outcome(world, ask)


async def outcome(world: World, ask: Awaitable[Any]) -> Any:
    try:
        return ("reply", await ask)
    except supervision.CallFailed as failed:
        return ("exit", failure(world, failed))


async def stop(world: World, server: Any, reason: Any, timeout: Any) -> Any:
    dest = dest_of(world, server)
    if dest is None:
        return "skip"
    try:
        await supervision.stop(dest, term_to_reason(reason), timeout=seconds(timeout))
    except supervision.CallFailed as failed:
        return ("exit", failure(world, failed))
    return "ok"


def failure(world: World, error: supervision.CallFailed) -> Any:
    match error:
        case supervision.ServerExited():
            return world.reason(error.reason)
        case supervision.CallTimeout():
            return "timeout"
        case supervision.CallingSelf():
            return "calling_self"
        case _:
            return "noproc"
