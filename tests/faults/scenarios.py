"""What is played while the node is killed: each scenario is one way through a turn.

A scenario is an ``async`` function of a :class:`~tests.faults.stage.Stage` and a name
that no other play of it has; it returns when every client has its end, however often the
node died meanwhile.
"""

import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import Any

import attrs
import orjson
import trio

from beamclaw.testing.node import Orders
from tests.audit.book import Row, read_book
from tests.audit.known import Sent
from tests.faults.line import order, talk
from tests.faults.plan import Plan
from tests.faults.posting import hand_in, look, respond, results_of, text_of
from tests.faults.stage import LEFT, Meeting, Stage

Play = Callable[[Stage, str], Awaitable[object]]


@attrs.frozen(kw_only=True)
class Scenario:
    """One entry of the table.

    Attributes:
        play: See the module.
        settings: Of :func:`~tests.faults.stage.open_stage`.
        first: A kill before the one that is tried: that one comes while the node takes
            up its work again.
        between: What is done to the data folder after that first kill.
        crash: The point at which a process of the tree fails, in the life that the kill
            ends.
        empty: Each play begins with an empty data folder, and the kill may come while
            the node starts for the first time.
    """

    play: Play
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    first: Orders | None = None
    between: Callable[[Stage], object] | None = None
    crash: str | None = None
    empty: bool = False


TABLE: dict[str, Scenario] = {}


def scenario(**options: Any) -> Callable[[Play], Play]:
    """Enter a play into the table, under its name."""

    def enter(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        TABLE[name] = Scenario(play=play, **options)
        return play

    return enter


def key(name: str, agent: str = "main") -> str:
    return f"agent:{agent}:{name}"


# --- a turn, and how it is asked for


@scenario()
async def plain(stage: Stage, name: str) -> None:
    """A stream over HTTP."""
    await stage.ask(Plan(words=4, gap=0.01), name, key(name))


@scenario()
async def plain_whole(stage: Stage, name: str) -> None:
    """An answer in one piece over HTTP."""
    await stage.ask(Plan(), name, key(name), stream=False)


@scenario()
async def plain_terminal(stage: Stage, name: str) -> None:
    """In the terminal, and the next message of the same conversation."""
    await stage.say(Plan(), f"{name}a", key(name))
    await stage.say(Plan(), f"{name}b", key(name), after=f"{name}a")


@scenario()
async def sent_twice(stage: Stage, name: str) -> None:
    """The same message by two clients at once: one turn, and both get its answer."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.ask, Plan(delay=0.02), name, key(name))
        nursery.start_soon(stage.ask, Plan(delay=0.02), name, key(name))


# --- clients that stay connected


@scenario()
async def agent_accepted(stage: Stage, name: str) -> None:
    """Over the gateway's protocol: accepted, and the answer to the same request."""
    await talk(stage, Plan(words=4, gap=0.01, rounds=(("send",),)), name, key(name))


@scenario()
async def chat_started(stage: Stage, name: str) -> None:
    """Over the same: started, and an event when it is over."""
    plan = Plan(words=4, gap=0.01)
    await talk(stage, plan, name, key(name), method="chat.send")


@scenario()
async def client_reconnects(stage: Stage, name: str) -> None:
    """Clients that go once they are told that it is kept, and come back for the answer."""
    plan = Plan(words=4, gap=0.01, rounds=(("send",),))
    async with trio.open_nursery() as nursery:
        for method in ("agent", "chat.send"):
            marker = f"{name}{method[0]}"
            say = partial(talk, method=method, leaves=True)
            nursery.start_soon(say, stage, plan, marker, key(marker))


@scenario()
async def accepted_twice(stage: Stage, name: str) -> None:
    """The same message by two such clients at once: one turn, and both get its answer."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, stage, Plan(delay=0.02), name, key(name))
        nursery.start_soon(talk, stage, Plan(delay=0.02), name, key(name))


@scenario()
async def noted(stage: Stage, name: str) -> None:
    """A note is put into a conversation, between two turns."""
    await talk(stage, Plan(), f"{name}a", key(name), leaves=True)
    note = {"sessionKey": key(name), "message": "remember"}
    await order(stage, "chat.inject", note)
    await talk(stage, Plan(), f"{name}b", key(name), leaves=True)


@scenario()
async def tool_ordered(stage: Stage, name: str) -> None:
    """Tool calls that a client orders itself, and a message behind them."""
    for tool in ("send", "order", "put"):
        ordered = {
            "name": tool,
            "args": {"text": f"{name}-{tool}"},
            "sessionKey": key(name),
            "idempotencyKey": f"{name}-{tool}",
        }
        await order(stage, "tools.invoke", ordered)
    await stage.ask(Plan(), name, key(name))


@scenario()
async def file_set(stage: Stage, name: str) -> None:
    """A file of an agent is set by a client, twice; it is never half of anything."""
    texts = [f"{name} {number}\n" * 1000 for number in (1, 2)]
    for text in texts:
        params = {"agentId": "main", "name": "MEMORY.md", "content": text}
        await order(stage, "agents.files.set", params)
        there = (stage.node.data / "workspace" / "MEMORY.md").read_text()
        lines = there.split(
            "\n"
        )  # of this text, or of somebody else's who sets it, too
        if len(set(lines[:-1])) != 1 or (len(lines), lines[-1]) != (1001, ""):
            stage.complaints.append(f"MEMORY.md is {there[:100]!r}")


# --- vectors


@scenario()
async def embedded(stage: Stage, name: str) -> None:
    """Vectors over HTTP: nobody takes them up again, and whoever wants them asks again.

    Behind a turn, which waits for its agent's workspace to be made; vectors do not.
    """
    await stage.ask(Plan(words=2), f"{name}a", key(name))
    headers = {
        **stage.node.bearer,
        "Content-Type": "application/json",
        "x-openclaw-model": "openai/large",
    }
    body = orjson.dumps({"input": [name, "more"]})

    async def send(_: Sent) -> bool:
        with await stage.node.connect() as connection:
            answer = await connection.request("POST", "/v1/embeddings", headers, body)
        if answer.status != 200:
            await trio.sleep(0.01)
        return answer.status == 200

    await stage.insist(Sent(marker=name, session="", at=0), send)


# --- programs that speak HTTP


@scenario()
async def responses_followed(stage: Stage, name: str) -> None:
    """Responses that are kept: one behind another, a second way behind it, looked up."""
    first = await respond(stage, Plan(words=4, gap=0.01), f"{name}a")
    with_tool = Plan(rounds=(("send",),))
    await respond(stage, with_tool, f"{name}b", behind=first["id"])
    await respond(stage, Plan(), f"{name}c", behind=first["id"])
    kept = await look(stage, f"/v1/responses/{first['id']}")
    if kept.status != 200 or text_of(kept.value) != text_of(first):
        stage.complaints.append(f"{name}: {kept} is kept of {first}")


async def _conversation(stage: Stage, marker: str) -> str:
    """The conversation of a response that was asked for under this key: nobody is told."""
    found: list[str] = []

    def known(connection: sqlite3.Connection) -> bool:
        found.extend(row[0] for row in connection.execute(_OF_KEY, [marker]))
        return bool(found)

    await stage.until(known)
    return found[0]


_OF_KEY = """
    SELECT coalesce(s.deleted_key, s.key) FROM inbox AS i
    JOIN sessions AS s ON s.id = i.session WHERE i.external_id = ?
"""


async def _gone(stage: Stage, id_: str) -> None:
    """It can be neither read nor followed, whoever has died meanwhile."""
    path, behind = f"/v1/responses/{id_}", {"input": "x", "previous_response_id": id_}
    for answer, status in (
        (await look(stage, path), 404),
        (await look(stage, f"{path}/input_items"), 404),
        (await look(stage, "/v1/responses", "POST", behind), 400),
    ):
        if answer.status != status:
            stage.complaints.append(f"{id_} was deleted: {answer}")


_LOOKS_OFTEN = ", idle_seconds: 0.05, retention: {every_seconds: 0.05}"


@scenario(settings={"sessions": _LOOKS_OFTEN})
async def responses_deleted(stage: Stage, name: str) -> None:
    """Responses are deleted; with the last one their conversation, and it is erased."""
    first = await respond(stage, Plan(), f"{name}a")
    last = await respond(stage, Plan(), f"{name}b", behind=first["id"])
    session = await _conversation(stage, f"{name}a")
    for marker in (f"{name}a", f"{name}b"):
        stage.known.sent[marker].session = session
    stage.known.unwanted.add(session)
    for response in (first, last):
        kept = await look(stage, f"/v1/responses/{last['id']}")
        if kept.status != 200 or text_of(kept.value) != text_of(last):
            stage.complaints.append(f"{name}: {kept} is kept of {last}")
        await look(stage, f"/v1/responses/{response['id']}", "DELETE")
        await _gone(stage, response["id"])
    await _erased(stage, session)


_SHORTLY = (
    ", idle_seconds: 0.05, retention: {every_seconds: 0.05, response_seconds: 0.05}"
)


@scenario(settings={"sessions": _SHORTLY})
async def responses_kept_no_longer(stage: Stage, name: str) -> None:
    """A response whose time is over is gone, also for who has not read it."""
    response = await respond(stage, Plan(), name)
    session = await _conversation(stage, name)
    stage.known.sent[name].session = session
    stage.known.unwanted.add(session)
    await _erased(stage, session)
    if response["id"]:  # else nobody was told
        await _gone(stage, response["id"])


@scenario()
async def client_has_tool(stage: Stage, name: str) -> None:
    """A response that asks for a tool of its client, and one with what came of it."""
    asks = Plan(rounds=(("weather",),))
    first = await respond(stage, asks, f"{name}a", tools=True)
    results = results_of(first)
    if len(results) != 1:
        stage.complaints.append(f"{name}: asked for {results}")
    await respond(
        stage, Plan(), f"{name}b", behind=first["id"], given=results, tools=True
    )


@scenario()
async def rest_message(stage: Stage, name: str) -> None:
    """Over REST: handed in, and its events read on from the last one that came."""
    plan, path = Plan(words=6, gap=0.01), f"/api/sessions/{key(name)}/messages"
    body = {"message": plan.message(name)}
    await hand_in(stage, path, body, name, key(name))


@scenario()
async def hook_called(stage: Stage, name: str) -> None:
    """Another program has something done, and is not sure that it has said so."""
    body = {"message": Plan(rounds=(("send",),)).message(name)}
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            call = partial(hand_in, stage, "/hooks/agent", body, name, "", hook=True)
            nursery.start_soon(call)


@scenario()
async def made_by_client(stage: Stage, name: str) -> None:
    """A client begins a conversation and names it, before anything is said in it."""
    session = key(name)
    await order(stage, "sessions.create", {"key": session})
    await order(stage, "sessions.patch", {"key": session, "label": f"of {name}"})
    await talk(stage, Plan(), name, session, leaves=True)
    found = await look(stage, f"/api/sessions/{session}")
    if found.status != 200 or found.value["label"] != f"of {name}":
        stage.complaints.append(f"{name}: it is {found}")


# --- tools


def _with_tool(tool: str) -> Play:
    async def play(stage: Stage, name: str) -> None:
        await stage.ask(Plan(rounds=((tool,),)), name, key(name))

    return play


for _effect, _tool in (
    ("pure", "look"),
    ("idempotent", "put"),
    ("checkable", "order"),
    ("unsafe", "send"),
):
    TABLE[f"tool-{_effect}"] = Scenario(play=_with_tool(_tool))

ALL = (("look", "put", "order", "send"), ("send", ("look", {"seconds": 0.02})))


@scenario()
async def tools_in_parallel(stage: Stage, name: str) -> None:
    """Tools of all classes at once, twice."""
    await stage.ask(Plan(rounds=ALL), name, key(name))


@scenario(settings={"seconds": 2.0})
async def tool_too_slow(stage: Stage, name: str) -> None:
    """A turn that comes to its limit of time in a tool."""
    slow = ("send", {"seconds": 30})
    fine = ("ok", "limited")
    await stage.ask(Plan(rounds=((slow,),)), name, key(name), outcomes=fine)


WRITTEN = "one\ntwo\nend\n"
PATCHED = """*** Begin Patch
*** Update File: {name}/a
-two
+two two
*** Add File: {name}/deep/b
+{name}
*** End Patch"""
MOVED = """*** Begin Patch
*** Update File: {name}/a
*** Move to: {name}/c
-one
+one one
*** Delete File: {name}/deep/b
*** Add File: {name}/d
+{name}
*** End Patch"""


@scenario()
async def files_changed(stage: Stage, name: str) -> None:
    """Files are written, edited, patched and moved; each change would show if made twice."""
    plan = Plan(
        rounds=(
            (("write", {"path": f"{name}/a", "content": WRITTEN}),),
            (
                ("edit", {"path": f"{name}/a", "oldText": "end", "newText": "the end"}),
                ("apply_patch", {"input": PATCHED.format(name=name)}),
            ),
            (("apply_patch", {"input": MOVED.format(name=name)}), "send"),
        )
    )
    await stage.ask(plan, name, key(name, "editor"))
    space = stage.folder / "space"
    there = {
        path.relative_to(space / name).as_posix(): path.read_text()
        for path in (space / name).rglob("*")
        if path.is_file()
    }
    wanted = {"c": "one one\ntwo two\nthe end\n", "d": f"{name}\n"}
    if there != wanted:
        stage.complaints.append(f"{name}: its files are {there}")
    ends = read_book(stage.ledger).of_kind("tool-ended")
    stage.complaints += [
        f"{name}: {each['body']['result']['text']}"
        for each in ends
        if each["key"] == key(name, "editor")
        and each["body"]["outcome"] != "ok"
        and each["body"]["outcome"] != "unknown"
    ]


@scenario()
async def command(stage: Stage, name: str) -> None:
    """A command that is done before its call is."""
    plan = Plan(rounds=((("exec", {"seconds": 0.02}),),))
    await stage.ask(plan, name, key(name, "runner"))


async def _all_told(stage: Stage) -> None:
    """Until sessions were told of the end of every command."""
    await stage.until(
        lambda connection: not connection.execute("SELECT 1 FROM commands").fetchone()
    )


@scenario()
async def command_in_background(stage: Stage, name: str) -> None:
    """A command that goes on behind its call, and wakes its session when it is over."""
    go = f"{name}-go"
    plan = Plan(rounds=((("exec", {"until": go, "yieldMs": 20}),),))
    await stage.ask(plan, name, key(name, "runner"))
    (stage.folder / go).touch()
    await _all_told(stage)


BACKGROUND = {"background": True, "seconds": 0.02}


@scenario()
async def commands_that_fail(stage: Stage, name: str) -> None:
    """Commands in the background that end with a code, and of a signal."""
    plan = Plan(
        rounds=(
            (
                ("exec", {**BACKGROUND, "code": 3}),
                ("exec", {**BACKGROUND, "signal": 10}),
            ),
        )
    )
    await stage.ask(plan, name, key(name, "runner"))
    await _all_told(stage)


def _process(action: str, **more: Any) -> tuple[str, Mapping[str, Any]]:
    """A call about the command that was begun last."""
    return "process", {"action": action, "sessionId": "{session}", **more}


@scenario()
async def command_used(stage: Stage, name: str) -> None:
    """A command in the background is looked at, given something to read, and removed."""
    plan = Plan(
        rounds=(
            (("exec", {"background": True, "reads": True}),),
            (("process", {"action": "list"}), _process("write", data="{text}\n")),
            (_process("poll", timeout=100), _process("log")),
            (_process("write", data="{text}\n"), _process("clear")),
            (_process("remove"),),
        )
    )
    await stage.ask(plan, name, key(name, "runner"))
    await _all_told(stage)


@scenario()
async def command_refuses(stage: Stage, name: str) -> None:
    """A command that reads no more is written to."""
    plan = Plan(
        rounds=(
            (("exec", {"background": True, "reads": True}),),
            (_process("write", data="over\n", eof=True),),
            (_process("write", data="{text}\n"),),
        )
    )
    await stage.ask(plan, name, key(name, "runner"))
    await _all_told(stage)


@scenario()
async def terminal(stage: Stage, name: str) -> None:
    """A command in a terminal: keys are pressed, lines typed and pasted; it is ended."""
    plan = Plan(
        rounds=(
            (("exec", {"background": True, "reads": True, "pty": True}),),
            (_process("send-keys", literal="", keys=("Enter",)),),
            (_process("submit", data="{text}"),),
            (_process("paste", bracketed=False), _process("poll", timeout=50)),
            (_process("kill"),),
        )
    )
    await stage.ask(plan, name, key(name, "runner"))
    await _all_told(stage)


async def _asleep(stage: Stage, session: str) -> None:
    """Until nothing of a session is in memory."""
    while True:
        with suppress(*LEFT):
            found = await stage.processes()
            if found and session not in str(found):
                return
        await trio.sleep(0.05)


async def _end_together(stage: Stage, name: str) -> None:
    session, go = key(name, "runner"), f"{name}-go"
    waits = ("exec", {"background": True, "until": go})
    await stage.ask(Plan(rounds=((waits, waits, waits),)), name, session)
    await _asleep(stage, session)
    (stage.folder / go).touch()
    await _all_told(stage)


_DROWSY = ", idle_seconds: 0.05"


@scenario(settings={"sessions": _DROWSY})
async def commands_together(stage: Stage, name: str) -> None:
    """Three commands end at the same time, while their session sleeps."""
    await _end_together(stage, name)


@scenario(settings={"sessions": _DROWSY}, first=Orders(kill="notice.tell.after"))
async def commands_told_again(stage: Stage, name: str) -> None:
    """A node that tells of three commands when one was told, and not yet forgotten."""
    await _end_together(stage, name)


@scenario()
async def pages_fetched(stage: Stage, name: str) -> None:
    """Pages behind a redirect, in pieces, and one that is not there; then an effect."""
    there = f"http://127.0.0.1:{stage.port_of_pages}"
    plan = Plan(
        rounds=(
            (("web_fetch", {"url": f"{there}/far/{name}"}),),
            (
                ("web_fetch", {"url": f"{there}/slow/{name}"}),
                ("web_fetch", {"url": f"{there}/none/{name}"}),
                "send",
            ),
        )
    )
    await stage.ask(plan, name, key(name, "reader"))


# --- persons


@scenario()
async def leave_given(stage: Stage, name: str) -> None:
    """A person is asked, and agrees."""
    await _with_answers(stage, name, "allow")


@scenario()
async def two_answer(stage: Stage, name: str) -> None:
    """Two persons answer at once, one yes, one no: the first one counts."""
    await _with_answers(stage, name, "allow", "deny")


async def _with_answers(stage: Stage, name: str, *verdicts: str) -> None:
    plan, session = Plan(rounds=(("send",),)), key(name, "careful")
    meeting = Meeting(len(verdicts))
    async with trio.open_nursery() as nursery:
        sent = stage.sent(name, session)
        nursery.start_soon(stage.ask, plan, name, session)
        for number, verdict in enumerate(verdicts):
            answer = partial(stage.answer, meeting=meeting)
            nursery.start_soon(answer, sent, verdict, f"person {number}")


@scenario(settings={"wait": 0.05})
async def nobody_answers(stage: Stage, name: str) -> None:
    """A person is asked, and does not answer in time."""
    await stage.ask(Plan(rounds=(("send",),)), name, key(name, "careful"))


DARE = ("send", {"what": "it"})


@scenario()
async def leave_for_good(stage: Stage, name: str) -> None:
    """A tool says that a person has to agree, who does so for good; the next is clear.

    Somebody else says no at the same time: the first one counts.
    """
    session, script = key(name, "wary"), stage.folder / "script"
    script.write_text(name)  # nothing that was granted before counts for it
    async with trio.open_nursery() as nursery:
        sent = stage.sent(f"{name}a", session)
        nursery.start_soon(stage.ask, Plan(rounds=((DARE,),)), f"{name}a", session)
        nursery.start_soon(partial(stage.answer, sent, "allow", "one", always=True))
        nursery.start_soon(partial(stage.answer, sent, "deny", "two"))
    async with trio.open_nursery() as nursery:
        sent = stage.sent(f"{name}b", session, after=f"{name}a")
        plan = Plan(rounds=((DARE,),))
        nursery.start_soon(
            partial(stage.ask, plan, f"{name}b", session, after=f"{name}a")
        )
        nursery.start_soon(stage.answer, sent, "deny")


@scenario()
async def leave_taken_back(stage: Stage, name: str) -> None:
    """What a person has allowed for good is taken back: the next time is asked again."""
    session, script = key(name, "wary"), stage.folder / "script"
    script.write_text(name)
    async with trio.open_nursery() as nursery:
        sent = stage.sent(f"{name}a", session)
        nursery.start_soon(stage.ask, Plan(rounds=((DARE,),)), f"{name}a", session)
        nursery.start_soon(partial(stage.answer, sent, "allow", always=True))
    while held := await _granted(stage):
        for row in held:
            await _asked(stage, "revoke", id=row["id"], by="owner")
    async with trio.open_nursery() as nursery:
        sent = stage.sent(f"{name}b", session, after=f"{name}a")
        plan = Plan(rounds=((DARE,),))
        nursery.start_soon(
            partial(stage.ask, plan, f"{name}b", session, after=f"{name}a")
        )
        nursery.start_soon(stage.answer, sent, "deny")


async def _granted(stage: Stage) -> list[dict[str, Any]]:
    return await _asked(stage, "grants")


async def _asked(stage: Stage, method: str, **params: Any) -> Any:
    """What the node says, whichever of its generations is there to say it."""
    while True:
        await stage.up.wait()
        with suppress(*LEFT):
            frame = await stage.request(method, **params)
            if "result" in frame:
                return frame["result"]
        await trio.sleep(0.01)


@scenario()
async def changed_since(stage: Stage, name: str) -> None:
    """What a person agrees to is another thing when it is to be done."""
    session, script = key(name, "wary"), stage.folder / "script"
    script.write_text(f"{name} harmless")
    async with trio.open_nursery() as nursery:
        sent = stage.sent(name, session)
        nursery.start_soon(stage.ask, Plan(rounds=((DARE,),)), name, session)
        await stage.asked(sent)
        script.write_text(f"{name} harmful")
        await stage.answer(sent, "allow")


# --- messages that come meanwhile


BUSY = Plan(rounds=((("look", {"seconds": 0.1}),),))
STOPPED = ("ok", "aborted")


def _busy_until(go: str) -> Plan:
    """A turn whose tool goes on until the file *go* is there, however slow the machine."""
    return Plan(rounds=((("look", {"until": go}),),))


async def _meanwhile(stage: Stage, name: str, mode: str, *more: str) -> None:
    first, session, go = f"{name}a", key(name), f"{name}-go"
    outcomes = STOPPED if mode == "interrupt" else ("ok",)
    async with trio.open_nursery() as nursery:
        ask = partial(stage.ask, mode=mode, outcomes=outcomes)
        sent = await nursery.start(ask, _busy_until(go), first, session)
        await stage.called(sent)
        before = first
        for each in more:
            marker = f"{name}{each}"
            then = partial(stage.ask, mode=mode, after=before)
            await nursery.start(then, Plan(), marker, session)
            before = marker
        (stage.folder / go).touch()


@scenario()
async def steer(stage: Stage, name: str) -> None:
    """A message that the turn in progress takes."""
    await _meanwhile(stage, name, "steer", "b")


@scenario()
async def steer_apart(stage: Stage, name: str) -> None:
    """A message that wants another model than the turn in progress, and one behind it."""
    session, go = key(name), f"{name}-go"
    async with trio.open_nursery() as nursery:
        ask = partial(stage.ask, mode="steer")
        first = await nursery.start(ask, _busy_until(go), f"{name}a", session)
        await stage.called(first)
        ask = partial(ask, model="openai/large", after=first.marker)
        apart = await nursery.start(ask, Plan(), f"{name}b", session)
        ask = partial(stage.ask, mode="steer", after=apart.marker)
        await nursery.start(ask, Plan(), f"{name}c", session)
        (stage.folder / go).touch()


@scenario()
async def followup(stage: Stage, name: str) -> None:
    """A message that waits for a turn of its own."""
    await _meanwhile(stage, name, "followup", "b")


@scenario()
async def collect(stage: Stage, name: str) -> None:
    """Messages that wait for one turn together."""
    await _meanwhile(stage, name, "collect", "b", "c")


@scenario()
async def interrupt(stage: Stage, name: str) -> None:
    """A message that stops the turn in progress."""
    await _meanwhile(stage, name, "interrupt", "b")


@scenario()
async def stop_in_tool(stage: Stage, name: str) -> None:
    """A turn is stopped while a tool works."""
    slow = ("send", {"until": f"{name}-go", "says": f"{name}-begun"})
    await _stopped(stage, name, Plan(rounds=((slow,),)), in_tool=True)


@scenario()
async def stop_in_answer(stage: Stage, name: str) -> None:
    """A turn is stopped while the model answers."""
    await _stopped(stage, name, Plan(words=100, gap=0.03))


async def _stopped(
    stage: Stage, name: str, plan: Plan, *, in_tool: bool = False
) -> None:
    async with trio.open_nursery() as nursery:
        ask = partial(stage.ask, outcomes=STOPPED)
        sent = await nursery.start(ask, plan, name, key(name))
        await stage.called(sent, answered=in_tool)
        if in_tool:
            await stage.begun(sent, f"{name}-begun")
        await stage.stop(sent)
        (stage.folder / f"{name}-go").touch()


@scenario()
async def stop_in_queue(stage: Stage, name: str) -> None:
    """A message is stopped that waits for the turn before it."""
    session, go = key(name), f"{name}-go"
    async with trio.open_nursery() as nursery:
        first = await nursery.start(stage.ask, _busy_until(go), f"{name}a", session)
        await stage.called(first)
        ask = partial(stage.ask, outcomes=STOPPED, after=first.marker)
        second = await nursery.start(ask, Plan(), f"{name}b", session)
        await stage.stop(second)
        (stage.folder / go).touch()


@scenario()
async def stop_joined(stage: Stage, name: str) -> None:
    """A turn is stopped by a message that it has taken, and is about by now."""
    session, go, end = key(name), f"{name}-go", f"{name}-end"
    async with trio.open_nursery() as nursery:
        ask = partial(stage.ask, outcomes=STOPPED)
        first = await nursery.start(ask, _busy_until(go), f"{name}a", session)
        await stage.called(first)
        # Whoever answers it, its turn goes on until it is stopped.
        ask = partial(
            stage.ask, mode="steer", outcomes=("aborted",), after=first.marker
        )
        second = await nursery.start(ask, _busy_until(end), f"{name}b", session)
        (stage.folder / go).touch()
        await stage.called(second)
        await stage.stop(second)
        (stage.folder / end).touch()


# --- other sessions


def _sub_agent(name: str, plan: Plan, **more: Any) -> tuple[str, Mapping[str, Any]]:
    return "spawn", {"task": plan.message(name), **more}


@scenario()
async def sub_agents(stage: Stage, name: str) -> None:
    """Two sub-agents at once, each with a tool; their results are waited for."""
    helper = Plan(rounds=(("send",),))
    both = tuple(_sub_agent(f"{name}{n}", helper, mode="wait") for n in "xy")
    await stage.ask(Plan(rounds=(both,)), name, key(name, "chief"))


@scenario()
async def sub_agent_announces(stage: Stage, name: str) -> None:
    """A sub-agent whose result comes as a message, after the turn."""
    helper = _sub_agent(f"{name}x", Plan(delay=0.05))
    await stage.ask(Plan(rounds=((helper,),)), name, key(name, "chief"))


@scenario()
async def sub_agent_stopped(stage: Stage, name: str) -> None:
    """A turn is stopped while a sub-agent works for it."""
    helper = _sub_agent(f"{name}x", Plan(words=30, gap=0.03), mode="wait")
    async with trio.open_nursery() as nursery:
        ask = partial(stage.ask, outcomes=STOPPED)
        plan = Plan(rounds=((helper,),))
        sent = await nursery.start(ask, plan, name, key(name, "chief"))
        await stage.called(sent, about=f"{name}x", answered=False)
        await stage.stop(sent)


@scenario()
async def sub_agent_outlives(stage: Stage, name: str) -> None:
    """A turn that is over is stopped, and so is the sub-agent that works for it still."""
    helper = _sub_agent(f"{name}x", Plan(words=100, gap=0.03))
    sent = await stage.ask(Plan(rounds=((helper,),)), name, key(name, "chief"))
    await stage.stop(sent)


@scenario()
async def handed_over(stage: Stage, name: str) -> None:
    """Another agent answers from the next message on."""
    session = key(name, "chief")
    over = Plan(rounds=((("hand_over", {"agent": "main"}),),))
    await stage.ask(over, f"{name}a", session)
    await stage.ask(Plan(), f"{name}b", session, after=f"{name}a")


@scenario()
async def told_another(stage: Stage, name: str) -> None:
    """Something is said in a session that was spawned, and its answer comes back."""
    session = key(name, "chief")
    await stage.ask(Plan(), f"{name}o", key(f"{name}o", "chief"))
    text = Plan().message(f"{name}x")
    to = {"session_key": key(f"{name}o", "chief"), "text": text}
    plan = Plan(rounds=((("tell", to),),))
    await stage.ask(plan, f"{name}a", session)


@scenario()
async def session_changed(stage: Stage, name: str) -> None:
    """A conversation is named, begun anew, taken back, put away, forked."""
    session = key(name)
    await stage.ask(Plan(), f"{name}a", session)
    await stage.order_session(session, "patch", changes={"label": f"label {name}"})
    await stage.order_session(session, "reset")
    await stage.ask(Plan(), f"{name}b", session, after=f"{name}a")
    await stage.ask(Plan(), f"{name}c", session, after=f"{name}b")
    await stage.order_session(session, "fork", new=f"{name}fork")
    await stage.order_session(session, "rewind", to=9999)  # refused, in words
    await stage.order_session(session, "rewind", to=0)
    await stage.ask(Plan(), f"{name}d", session, after=f"{name}c")
    await stage.order_session(session, "archive")
    await stage.order_session(session, "unarchive")
    await stage.ask(Plan(), f"{name}e", key(f"{name}fork"))


@scenario()
async def begun_anew(stage: Stage, name: str) -> None:
    """A message that is only the word for a new conversation, and one after it."""
    session = key(name)
    await stage.ask(Plan(), f"{name}a", session)
    await stage.ask(Plan(), f"{name}b", session, text="/new", after=f"{name}a")
    await stage.ask(Plan(), f"{name}c", session, after=f"{name}b")


@scenario()
async def handed_by_person(stage: Stage, name: str) -> None:
    """A person gives the conversation to another agent, while a turn is in progress."""
    session = key(name)
    async with trio.open_nursery() as nursery:
        first = await nursery.start(stage.ask, BUSY, f"{name}a", session)
        await stage.called(first)
        await stage.order_session(session, "hand-over", to="guest")
    await stage.ask(Plan(), f"{name}b", session, after=f"{name}a")


_ERASED = """
    SELECT 1 FROM sessions AS s LEFT JOIN events AS e ON e.session = s.id
    WHERE s.deleted_key = ? AND e.id IS NULL
"""


async def _erased(stage: Stage, session: str) -> None:
    """Until nothing of what was said there is left."""
    await stage.until(
        lambda connection: bool(connection.execute(_ERASED, [session]).fetchone())
    )


_SOON = ", idle_seconds: 0.05, retention: {every_seconds: 0.05, archived_seconds: 0.05}"


@scenario(settings={"sessions": _SOON})
async def deleted(stage: Stage, name: str) -> None:
    """A conversation is deleted, and erased."""
    session = key(name)
    await stage.ask(Plan(), name, session)
    await stage.order_session(session, "delete")
    await _erased(stage, session)


@scenario(settings={"sessions": _SOON})
async def deleted_with_command(stage: Stage, name: str) -> None:
    """A conversation is deleted whose command goes on: it is ended."""
    session = key(name, "runner")
    waits = ("exec", {"background": True, "until": "never"})
    await stage.ask(Plan(rounds=((waits,),)), name, session)
    await stage.order_session(session, "delete")
    await _erased(stage, session)


@scenario(settings={"sessions": _SOON})
async def kept_no_longer(stage: Stage, name: str) -> None:
    """A conversation that was put away is deleted when its time is over."""
    session = key(name)
    await stage.ask(Plan(), name, session)
    stage.known.unwanted.add(session)
    await stage.order_session(session, "archive")
    await _erased(stage, session)


# --- who is let in


@scenario()
async def key_revoked(stage: Stage, name: str) -> None:
    """A key for a program is made, and made void."""
    made = await _of_keys(stage, "create", name=name, scopes=["operator.read"])
    await _of_keys(stage, "revoke", id=made["key"]["id"])
    for found in await _of_keys(stage, "list"):
        known = found["revoked_at"] is not None or found["id"] != made["key"]["id"]
        assert known, "a key that was revoked is good again"
    await stage.ask(Plan(), name, key(name))


async def _of_keys(stage: Stage, method: str, **params: Any) -> Any:
    """Have it done; that a key was revoked before is in order."""
    while True:
        await stage.up.wait()
        with suppress(*LEFT):
            frame = await stage.request(f"keys.{method}", **params)
            if "result" in frame or frame["error"]["code"] == "refused":
                return frame.get("result")
        await trio.sleep(0.01)


# --- processes that die by themselves


@scenario(crash="session.tell-answer.before")
async def answer_found(stage: Stage, name: str) -> None:
    """The session dies with a person's answer that its run has not heard of."""
    await _with_answers(stage, name, "allow")


@scenario(crash="door.ring.before")
async def door_died(stage: Stage, name: str) -> None:
    """The door dies with a message that the session has not heard of."""
    await stage.ask(Plan(), name, key(name))


# --- the model


@scenario()
async def breaker(stage: Stage, name: str) -> None:
    """A provider that is left alone for a while, and answers then."""
    await stage.ask(Plan(), name, key(name, "shaky"))


_NOTED = "SELECT 1 FROM warnings WHERE key = ?"


@scenario()
async def nearly_spent(stage: Stage, name: str) -> None:
    """A conversation has spent nearly all it may; that is told, and noted."""
    session, kills = key(name, "nearly"), len(stage.known.kills)
    await stage.ask(Plan(words=4), name, session, outcomes=("ok", "limited"))
    # Who is killed before has nobody left who would look.
    await stage.until(
        lambda connection: (
            len(stage.known.kills) > kills
            or bool(connection.execute(_NOTED, [session]).fetchone())
        )
    )


@scenario()
async def summed_up(stage: Stage, name: str) -> None:
    """A conversation that has to be summed up, twice."""
    session, before = key(name, "small"), None
    for letter in "abcdefg":
        marker = f"{name}{letter}"
        await stage.ask(Plan(filler=2600), marker, session, after=before)
        before = marker
    if len(_summaries(stage, session)) < 2:
        stage.complaints.append(f"{name}: not summed up twice")


def _summaries(stage: Stage, session: str) -> list[Row]:
    return [
        event
        for event in read_book(stage.ledger).of_kind("compacted")
        if event["key"] == session
    ]


@scenario()
async def shortened_by_order(stage: Stage, name: str) -> None:
    """A client has a conversation made shorter that would go on as it is."""
    session = key(name)
    await stage.ask(Plan(filler=2600), f"{name}a", session)
    await stage.ask(Plan(), f"{name}b", session, after=f"{name}a")
    await order(stage, "sessions.compact", {"key": session})
    if not _summaries(stage, session):
        stage.complaints.append(f"{name}: made shorter, and nothing was summed up")
    await stage.ask(Plan(), f"{name}c", session, after=f"{name}b")


@scenario()
async def fallback(stage: Stage, name: str) -> None:
    """The first model fails, the second one answers."""
    await stage.ask(Plan(), name, key(name, "spare"))


@scenario()
async def budget(stage: Stage, name: str) -> None:
    """A turn that goes on until its conversation has nothing left to spend."""
    plan = Plan(rounds=(("put",),), forever=True)
    await stage.ask(plan, name, key(name, "dear"), outcomes=("limited",))


# --- beginnings


@scenario(empty=True, settings={"token": ""})
async def first_start(stage: Stage, name: str) -> None:
    """A node that has never run, and its first command."""
    plan = Plan(rounds=((("exec", {"seconds": 0.02}),),))
    await stage.ask(plan, name, key(name, "runner"))


@scenario(first=Orders(kill="tool.effect.after"))
async def taken_up_again(stage: Stage, name: str) -> None:
    """A node that takes up a turn with tools which a kill has cut."""
    await stage.ask(Plan(rounds=ALL), name, key(name))


@scenario(first=Orders(kill="provider.request.before"))
async def asked_again(stage: Stage, name: str) -> None:
    """A node that takes up a turn whose model call a kill has cut, and one behind it."""
    session = key(name)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.ask, Plan(), f"{name}a", session)
        then = partial(stage.ask, after=f"{name}a")
        await nursery.start(then, Plan(), f"{name}b", session)


def _without_guest(stage: Stage) -> None:
    config = stage.folder / "beamclaw.yaml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "guest:" not in line))


@scenario(
    empty=True,
    first=Orders(kill="edge.accept.after"),
    between=_without_guest,
)
async def agent_gone(stage: Stage, name: str) -> None:
    """A message whose agent is not there any more when its turn would begin."""
    await stage.ask(Plan(), name, key(name, "guest"), outcomes=("error",))


def _lose_results(stage: Stage) -> None:
    """Damage what forked conversations begin with: results of no call any more."""
    connection = sqlite3.connect(stage.ledger)
    with closing(connection), connection:
        rows = connection.execute("SELECT id, body FROM events WHERE kind = 'forked'")
        for id_, body in rows.fetchall():
            forked = orjson.loads(body)
            for message in forked["messages"]:
                for part in message["parts"] if message["role"] == "tool" else ():
                    part["id"] = "nobody"
            changed = (orjson.dumps(forked), id_)
            connection.execute("UPDATE events SET body = ? WHERE id = ?", changed)


@scenario(first=Orders(kill="session.order-done.after"), between=_lose_results)
async def mended(stage: Stage, name: str) -> None:
    """A conversation that somebody else has damaged is made whole."""
    session = key(name)
    await stage.ask(Plan(rounds=(("look",),)), f"{name}a", session)
    await stage.order_session(session, "fork", new=f"{name}fork")
    await stage.ask(Plan(), f"{name}b", key(f"{name}fork"))


_HISTORIES = itertools.count()


@scenario(empty=True)
async def config_written(stage: Stage, name: str) -> None:
    """The configuration file is changed; whoever dies leaves the old one or the new."""
    # A turn first: whoever has its end has all of the node's first start behind it.
    await stage.ask(Plan(), name, key(name))
    with suppress(*LEFT):
        await stage.request("config.write", how="patch", text="{no_such_key: 1}")
    await stage.up.wait()
    wanted = 2 + next(_HISTORIES) % 1000
    while not await _config_says(stage, wanted):
        with suppress(*LEFT):
            spare = f"{{api: demo, max_attempts: {1 + wanted % 9}}}"
            text = f"{{config: {{history: {wanted}}}, providers: {{spare: {spare}}}}}"
            answer = await stage.request("config.write", how="patch", text=text)
            if answer.get("error", {}).get("code", "unavailable") != "unavailable":
                stage.complaints.append(f"a change was refused: {answer}")
        await stage.up.wait()


async def _config_says(stage: Stage, wanted: int) -> bool:
    await stage.up.wait()
    try:
        answer = await stage.request("config")
    except LEFT:
        return False
    document = answer.get("result")
    if document is None:  # that part of the node is not up
        return False
    if document["issues"]:
        stage.complaints.append(f"the configuration is broken: {document['issues']}")
    said = document["parsed"].get("config", {}).get("history")
    return said == wanted
