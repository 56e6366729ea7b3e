"""kill -9 under load, again and again, on one data folder: what was promised is kept.

    python -m tests.faults.kill --rounds 20 --sessions 30

A round: clients of three kinds talk (lasting sessions and single requests over HTTP,
chats over the node's socket), the node is killed at a random moment, its ledger is
copied as it lies there, it is started again, clients send again what they had no
acknowledgement for, and some join what they had; when all work has ended the auditor
compares. Everything random comes from the seed, which is printed.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import math
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from tests.faults.audit import (
    Audit,
    Kill,
    Turn,
    read_book,
    read_calls,
    waiting_now,
)
from tests.support.model import answer
from tests.support.node import Node, completion, open_program, uses
from tests.support.wire import DONE, Closed, Connection, Stream, once

PATIENCE = 60.0  # seconds until work that does not end is a failure of its own


@attrs.frozen(kw_only=True)
class Round:
    """The figures of one round; times in seconds."""

    number: int
    after: float
    kills: int
    acknowledged: int
    open: int
    waiting: int
    listening: float
    resumed: float
    ended: float
    extra_calls: int
    violations: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Report:
    """All rounds, and what was found."""

    seed: int
    turns: int
    acknowledged: int
    answered: int
    joined: int
    calls: int
    extra_calls: int
    rounds: tuple[Round, ...]
    violations: tuple[str, ...]

    def table(self) -> Iterator[str]:
        names = (
            "round  killed  kills  acked  open  waiting  listen  resume    done  extra"
        )
        yield names
        for r in self.rounds:
            yield (
                f"{r.number:5}  {r.after:5.2f}s  {r.kills:5}  {r.acknowledged:5}  "
                f"{r.open:4}  {r.waiting:7}  {r.listening:5.2f}s  {r.resumed:5.2f}s  "
                f"{r.ended:5.2f}s  {r.extra_calls:5}"
            )
        listening = [r.listening for r in self.rounds]
        resumed = [r.resumed for r in self.rounds if not math.isnan(r.resumed)]
        yield (
            f"seed {self.seed}: {self.turns} turns, {self.acknowledged} acknowledged, "
            f"{self.answered} answered, {self.joined} joined by their key, "
            f"{self.calls} model calls, {self.extra_calls} of them for turns that a "
            "kill had cut"
        )
        yield (
            f"start to listening: median {statistics.median(listening):.2f} s, "
            f"longest {max(listening):.2f} s (P6: under 1 s)"
        )
        if resumed:
            yield (
                f"start to all open turns asked again: median "
                f"{statistics.median(resumed):.2f} s, longest {max(resumed):.2f} s "
                "(P6: under 3 s)"
            )
        yield from self.violations
        yield f"{len(self.violations)} violations"


@attrs.define(eq=False)
class World:
    """What the clients of a campaign share."""

    node: Node
    audit: Audit
    random: random.Random
    up: trio.Event = attrs.field(factory=trio.Event)
    down: trio.Event = attrs.field(factory=trio.Event)
    connected: int = 0
    joined: int = 0
    round: int = 0
    complaints: list[str] = attrs.field(factory=list[str])

    def killed(self) -> None:
        if self.up.is_set():
            self.up = trio.Event()
        self.down.set()

    def started(self) -> None:
        self.down = trio.Event()
        self.up.set()


@attrs.define(eq=False)
class Client:
    """One of the senders: sends a message when the one before is acknowledged."""

    world: World
    name: str
    last: str | None = None

    lasting = True  # one conversation from message to message

    async def talk(self, messages: int) -> None:
        """The part in one round."""
        rng = self.world.random
        await trio.sleep(rng.uniform(0, 0.6))
        async with trio.open_nursery() as nursery:
            for number in range(messages):
                turn, model = self._turn(number)
                acked = trio.Event()
                done = trio.Event()
                nursery.start_soon(self._carry, turn, model, acked, done)
                await acked.wait()
                if rng.random() < 0.65:
                    await done.wait()

    def _turn(self, number: int) -> tuple[Turn, str]:
        world = self.world
        rng = world.random
        tokens = rng.randint(2, 30)
        model = f"t{tokens}-w{rng.choice((0, 20, 200, 500))}-g{rng.choice((5, 20, 40))}"
        marker = f"{self.name}.{world.round}.{number}"
        turn = Turn(
            marker=marker,
            session=self.name if self.lasting else None,
            expected="".join(answer(marker, tokens)),
            sent=time.monotonic(),
            after=self.last if self.lasting else None,
        )
        world.audit.turns[marker] = turn
        self.last = marker
        return turn, model

    async def _carry(
        self, turn: Turn, model: str, acked: trio.Event, done: trio.Event
    ) -> None:
        """Send until acknowledged; after a kill, join some of what was acknowledged."""
        world = self.world
        while True:
            await world.up.wait()
            down = world.down
            world.connected += 1
            try:
                text = await self.send(turn, model, acked)
            except (Closed, ConnectionRefusedError, FileNotFoundError):
                text = None
            finally:
                world.connected -= 1
            if text is not None:
                turn.texts.append(text)
                if turn.finished is None:
                    turn.finished = time.monotonic()
                else:
                    world.joined += 1
                break
            with trio.move_on_after(5) as late:
                await down.wait()
            if late.cancelled_caught:
                world.complaints.append(f"{turn.marker}: cut without a kill")
                break
            if turn.acked is not None and world.random.random() < 0.5:
                break
        acked.set()
        done.set()
        if turn.finished is not None and world.random.random() < 0.1:
            await self._join_again(turn, model)

    async def _join_again(self, turn: Turn, model: str) -> None:
        """The same message once more: the same answer, and nothing else happens."""
        try:
            text = await self.send(turn, model, trio.Event())
        except (Closed, ConnectionRefusedError, FileNotFoundError):
            return
        if text is not None:
            turn.texts.append(text)
            self.world.joined += 1

    async def send(self, turn: Turn, model: str, acked: trio.Event) -> str | None:
        """One connection's worth of the turn; the answer, if it came in whole."""
        raise NotImplementedError


class HttpClient(Client):
    """Streams over HTTP in a session of its name."""

    def streams(self, turn: Turn) -> bool:
        return True

    def headers(self, turn: Turn, model: str) -> dict[str, str]:
        return {
            **self.world.node.bearer,
            "Content-Type": "application/json",
            "Idempotency-Key": turn.marker,
            "x-openclaw-model": f"openai/{model}",
            "x-openclaw-session-key": self.name,
        }

    async def send(self, turn: Turn, model: str, acked: trio.Event) -> str | None:
        world = self.world
        streams = self.streams(turn)
        body = completion(f"say <<{turn.marker}>>", stream=streams)
        path = "/v1/chat/completions"
        with await world.node.connect() as connection:
            head = await connection.ask("POST", path, self.headers(turn, model), body)
            if head.status != 200:
                said = (await connection.body()).decode(errors="replace")
                world.complaints.append(f"{turn.marker}: HTTP {head.status}: {said}")
                return None
            if turn.acked is None:
                turn.acked = time.monotonic()
            acked.set()
            if not streams:
                whole = orjson.loads(await connection.body())
                return whole["choices"][0]["message"]["content"]
            return await self._read(turn, connection)

    async def _read(self, turn: Turn, connection: Connection) -> str | None:
        pieces: list[str] = []
        reason = None
        async for data in connection.events():
            if data == DONE:
                if reason == "stop":
                    return "".join(pieces)
                break
            value: dict[str, Any] = orjson.loads(data)
            if "error" in value:
                self.world.complaints.append(f"{turn.marker}: {value['error']}")
                return None
            for choice in value.get("choices", ()):
                pieces.append(choice["delta"].get("content") or "")
                reason = choice.get("finish_reason") or reason
        self.world.complaints.append(
            f"{turn.marker}: a stream that ended with {reason}"
        )
        return None


class OneShotClient(HttpClient):
    """Each request is a session of its own; half of them do not stream."""

    lasting = False

    def headers(self, turn: Turn, model: str) -> dict[str, str]:
        headers = super().headers(turn, model)
        del headers["x-openclaw-session-key"]
        return headers

    def streams(self, turn: Turn) -> bool:
        return int(turn.marker.rpartition(".")[2]) % 2 == 0


class ChatClient(Client):
    """Talks over the node's socket, as ``beamclaw chat`` does."""

    async def send(self, turn: Turn, model: str, acked: trio.Event) -> str | None:
        params = {
            "message": f"say <<{turn.marker}>>",
            "id": turn.marker,
            "session": self.name,
            "model": f"openai/{model}",
        }
        while True:
            shown: dict[int, str] = {}
            with await self._connected() as stream:
                await _send(stream, {"id": 1, "method": "chat", "params": params})
                while "error" not in (frame := await _receive(stream)):
                    value = frame["event"]
                    if value["type"] == "Accepted":
                        turn.acked = turn.acked or time.monotonic()
                        acked.set()
                    elif value["type"] == "Delta":
                        self._show(turn, shown, value)
                    elif value["type"] == "RunEnded":
                        return self._ended(turn, shown, value)
            if frame["error"]["code"] != "unavailable":
                self.world.complaints.append(f"{turn.marker}: {frame['error']}")
                return None
            await trio.sleep(0.02)  # a part of the node is not up yet

    async def _connected(self) -> Stream:
        path = self.world.node.data / "node.sock"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream = Stream(sock)
        try:
            sock.connect(str(path))
            hello = {"id": 0, "method": "hello", "params": {"version": 1}}
            await _send(stream, hello)
            await stream.until(b"\n")
        except BaseException:
            stream.close()
            raise
        return stream

    def _show(self, turn: Turn, shown: dict[int, str], value: dict[str, Any]) -> None:
        text = shown.setdefault(value["attempt"], "")
        if value["offset"] != len(text):
            self.world.complaints.append(f"{turn.marker}: a gap before {value}")
        shown[value["attempt"]] = text + value["text"]

    def _ended(
        self, turn: Turn, shown: dict[int, str], value: dict[str, Any]
    ) -> str | None:
        if value["outcome"] != "ok":
            self.world.complaints.append(f"{turn.marker}: {value}")
            return None
        last = shown[max(shown)] if shown else value["text"]
        return last + value["text"].removeprefix(last)


async def _send(stream: Stream, frame: dict[str, Any]) -> None:
    await stream.send(orjson.dumps(frame) + b"\n")


async def _receive(stream: Stream) -> dict[str, Any]:
    return orjson.loads(await stream.until(b"\n"))


KINDS: list[type[Client]] = [HttpClient, OneShotClient, ChatClient]


class Campaign:
    """All rounds of one seed."""

    def __init__(self, folder: Path, sessions: int, seed: int) -> None:
        self.seed = seed
        self._calls = folder / "calls.jsonl"
        self._node = Node(data=folder / "data")
        self._ledger = folder / "data" / "tenants" / "default" / "ledger.db"
        self._world = World(self._node, Audit(), random.Random(seed))
        self._clients = [
            KINDS[number % len(KINDS)](self._world, f"c{number}")
            for number in range(sessions)
        ]
        self._model = ""
        self._rounds: list[Round] = []

    async def run(self, rounds: int) -> Report:
        arguments = ("tests.support.model", "--calls", str(self._calls))
        async with open_program(*arguments) as (self._model, _):
            self._node.env = uses(self._model)
            try:
                await self._node.start()
                self._world.started()
                for number in range(1, rounds + 1):
                    self._rounds.append(await self._round(number))
                await self._node.stop()
            finally:
                if self._node.running:
                    self._node.kill9()
                    with trio.move_on_after(5, shield=True):
                        await self._node.wait()
        return self._report()

    async def _round(self, number: int) -> Round:
        world = self._world
        world.round = number
        before = len(world.audit.kills)
        calls = len(read_calls(self._calls))
        first: Kill | None = None
        after = world.random.uniform(0.05, 1.7)
        with trio.move_on_after(PATIENCE) as late:
            async with trio.open_nursery() as nursery:
                for client in self._clients:
                    nursery.start_soon(client.talk, world.random.randint(1, 3))
                await trio.sleep(after)
                first = await self._kill()
                while world.random.random() < 0.25:  # again, also while it starts
                    await self._node.spawn()
                    await trio.sleep(world.random.uniform(0.05, 0.8))
                    await self._kill()
                await self._node.start()
                world.started()
            await self._wait_all_ended()
        if late.cancelled_caught:
            world.complaints.append(f"round {number}: not over after {PATIENCE} s")
        assert first is not None
        done = time.monotonic() - self._node.spawned
        return self._figures(
            number, after=after, first=first, kills=before, calls=calls, done=done
        )

    async def _kill(self) -> Kill:
        """Kill it, let every client notice, and copy the ledger as it lies there."""
        self._node.kill9()
        await self._node.wait()
        self._world.killed()
        while self._world.connected:  # noqa: ASYNC110 -- no event beside the count
            await trio.sleep(0.002)
        await once(self._model.removesuffix("/v1") + "/stats")  # it has seen it too
        book = read_book(self._ledger)
        kill = Kill(time.monotonic(), book)
        self._world.audit.kills.append(kill)
        return kill

    async def _wait_all_ended(self) -> None:
        while waiting_now(self._ledger):  # noqa: ASYNC110 -- a file tells nobody
            await trio.sleep(0.02)

    def _figures(
        self,
        number: int,
        *,
        after: float,
        first: Kill,
        kills: int,
        calls: int,
        done: float,
    ) -> Round:
        audit = self._world.audit
        last = audit.kills[-1]
        made = read_calls(self._calls)
        again = {c.marker: c.at for c in reversed(made) if c.at > last.at}
        times = [again[marker] for marker in last.book.open if marker in again]
        resumed = max(times) - self._node.spawned if times else math.nan
        new = made[calls:]
        return Round(
            number=number,
            after=after,
            kills=len(audit.kills) - kills,
            acknowledged=sum(
                turn.acked is not None and turn.acked <= first.at
                for turn in audit.turns.values()
                if turn.marker.split(".")[1] == str(number)
            ),
            open=len(first.book.open),
            waiting=len(first.book.waiting),
            listening=self._node.ready_after,
            resumed=resumed,
            ended=done,
            extra_calls=audit.extra_calls(new),
            violations=tuple(audit.violations(made, read_book(self._ledger))),
        )

    def _report(self) -> Report:
        world = self._world
        made = read_calls(self._calls)
        book = read_book(self._ledger)
        turns = world.audit.turns.values()
        return Report(
            seed=self.seed,
            turns=len(turns),
            acknowledged=sum(turn.acked is not None for turn in turns),
            answered=sum(book.ended(turn.marker) for turn in turns),
            joined=world.joined,
            calls=len(made),
            extra_calls=world.audit.extra_calls(made),
            rounds=tuple(self._rounds),
            violations=(
                *world.complaints,
                *world.audit.violations(made, book),
            ),
        )


async def campaign(folder: Path, *, rounds: int, sessions: int, seed: int) -> Report:
    """Run *rounds* rounds on a data folder in *folder*."""
    return await Campaign(folder, sessions, seed).run(rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        report = trio.run(
            lambda: campaign(
                folder,
                rounds=chosen.rounds,
                sessions=chosen.sessions,
                seed=chosen.seed,
            )
        )
    for line in report.table():
        print(line)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
