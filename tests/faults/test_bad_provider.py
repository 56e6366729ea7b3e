"""A model provider that does everything wrong: each turn ends well, or says why not.

A whole node, real sockets on both sides. What is expected stands in the tables: of a
provider that goes wrong once, and of one that always does.
"""

import itertools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import attrs
import orjson
import pytest
import trio

import supervision
from beamclaw.config.schema import (
    BudgetConfig,
    LimitsConfig,
    ProviderConfig,
    TurnLimitsConfig,
)
from beamclaw.contracts.secret import Secret
from beamclaw.testing.fake_openai import Reply, Tool
from beamclaw.testing.rogue import (
    Channel,
    Trick,
    chunked,
    flood,
    head,
    refuse,
    send,
)
from beamclaw.testing.world import World
from tests.support.pressed import (
    ANSWER,
    APIS,
    Api,
    Pressed,
    holds,
    last_text,
    open_pressed,
    recorded,
)

# Seconds of real time each, and there are two hundred.
pytestmark = pytest.mark.slow

HEAD = head()
# Bytes from one cut of a stream to the next.
CUTS_EVERY = int(os.environ.get("BEAMCLAW_CUTS_EVERY", "8"))


@pytest.fixture
def patient(autojump_clock):
    """A clock that jumps, but not while bytes are on their way through the kernel."""
    autojump_clock.autojump_threshold = 0.02
    return autojump_clock


def whole(api: Api) -> bytes:
    """A response that is as it should be."""
    return HEAD + b"".join(recorded(api))


def well(api: Api) -> Trick:
    return send(whole(api))


def up_to(api: Api, events: int) -> bytes:
    """The same, only so many events of it."""
    return HEAD + b"".join(recorded(api)[:events])


def event(api: Api, data: object, name: str = "") -> bytes:
    """One server-sent event."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    named = f"event: {name}\n".encode() if name else b""
    return named + b"data: " + body + b"\n\n"


def words(api: Api, text: str) -> bytes:
    """The event that says *text*."""
    if api == "openai":
        return event(api, {"choices": [{"index": 0, "delta": {"content": text}}]})
    delta = {"type": "text_delta", "text": text}
    return event(api, {"type": "content_block_delta", "index": 0, "delta": delta})


def thought(api: Api) -> bytes:
    if api == "openai":
        delta = {"reasoning_content": "hmm " * 20}
        return event(api, {"choices": [{"index": 0, "delta": delta}]})
    delta = {"type": "thinking_delta", "thinking": "hmm " * 20}
    return event(api, {"type": "content_block_delta", "index": 0, "delta": delta})


def wish(api: Api) -> bytes:
    """A piece of a tool call that never ends; the first one begins it."""
    if api == "openai":
        call = {"index": 0, "id": "t", "function": {"name": "look", "arguments": "[["}}
        delta = {"tool_calls": [call]}
        return event(api, {"choices": [{"index": 0, "delta": delta}]})
    block = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    start = {"type": "content_block_start", "index": 1, "content_block": block}
    delta = {"type": "input_json_delta", "partial_json": "[[" * 20}
    more = {"type": "content_block_delta", "index": 1, "delta": delta}
    return event(api, start) + event(api, more)


# --- once, and always

THREE = "given up after 3 attempts"
CUT = f"broke off in the middle.*{THREE}"
UNREACHABLE = f"cannot be reached.*{THREE}"
SILENT = f"sent nothing for 60 s.*{THREE}"


@attrs.frozen
class Row:
    """What is done wrong, and what comes of it.

    Attributes:
        trick: Made for an API.
        always: Words of the error, where it always happens; none: there is an answer.
        asked: How often the provider is asked then.
        once: Whether a turn to which it happens once is answered all the same.
        only: The API that can do this wrong; None: both.
    """

    trick: Callable[[Api], Trick]
    always: str | None
    asked: int = 3
    once: bool = True
    only: Api | None = None


def garbled(data: bytes) -> Callable[[Api], Trick]:
    return lambda api: send(up_to(api, 2) + data + b"\n\n")


AT_ONCE: Mapping[str, Row] = {
    "429": Row(lambda _: refuse(429), f"limits the rate.*{THREE}"),
    "500": Row(lambda _: refuse(500), f"failed .500..*{THREE}"),
    "502 with a page": Row(lambda _: refuse(502, b"<html>"), f"failed .502..*{THREE}"),
    "503": Row(lambda _: refuse(503), f"overloaded .503..*{THREE}"),
    "529": Row(lambda _: refuse(529), f"overloaded .529..*{THREE}"),
    "400": Row(lambda _: refuse(400), "does not accept the request", 1, once=False),
    "401": Row(lambda _: refuse(401), "refused the key", 1, once=False),
    "402": Row(lambda _: refuse(402), "no credit left", 1, once=False),
    "a status that is none": Row(
        lambda _: send(head(status="999 Whatever")), f"failed .999..*{THREE}"
    ),
    "a page": Row(
        lambda _: send(head("text/html") + b"<html>"), "no model provider", 1,
        once=False,
    ),
    "no HTTP": Row(lambda _: send(b"220 mail.example.org ESMTP\r\n"), UNREACHABLE),
    "nothing at all": Row(lambda _: send(b""), UNREACHABLE),
    "half a head": Row(lambda _: send(HEAD[:30]), UNREACHABLE),
    "a head without end": Row(
        lambda _: flood(HEAD[:-2], b"x-more: " + b"y" * 100 + b"\r\n"), UNREACHABLE
    ),
    "a head and no body": Row(lambda _: send(HEAD), CUT),
    "cut in the middle": Row(lambda api: send(up_to(api, 3)), CUT),
    "cut in a chunk": Row(
        lambda api: send(chunked(*recorded(api))[:400]), CUT
    ),
    "a chunk whose size is none": Row(
        lambda api: send(chunked(recorded(api)[0])[:-5] + b"zz\r\nx\r\n"), CUT
    ),
    "compressed though nobody asked": Row(
        lambda api: send(head(headers={"content-encoding": "gzip"}) + b"\x1f\x8b"),
        f"a compressed stream.*{THREE}",
    ),
    "no JSON": Row(garbled(b"data: {oops"), f"no JSON object.*{THREE}"),
    "JSON that is no object": Row(garbled(b"data: [1]"), f"no JSON object.*{THREE}"),
    "broken UTF-8": Row(garbled(b'data: {"a":"\xff\xfe"}'), f"no JSON.*{THREE}"),
    "noughts": Row(garbled(b"data: \0\0\0"), f"no JSON object.*{THREE}"),
    "JSON nested for ever": Row(
        garbled(b"data: " + b"[" * 100_000), f"no JSON object.*{THREE}"
    ),
    "a line of 17 megabytes": Row(
        lambda api: send(up_to(api, 2) + b"data: " + b"x" * 17_000_000),
        f"longer than 16777216 bytes.*{THREE}",
    ),
    "a line without end": Row(
        lambda api: flood(up_to(api, 2) + b"data: ", b"x" * 1000),
        f"longer than 16777216 bytes.*{THREE}",
    ),
    "an event of many lines without end": Row(
        lambda api: flood(up_to(api, 2), b"data: " + b"x" * 1000 + b"\n"),
        f"longer than 16777216 bytes.*{THREE}",
    ),
    "an error in the middle": Row(
        lambda api: send(
            up_to(api, 3) + event(api, {"type": "error", "error": {"message": "no"}})
        ),
        f"it says: no.*{THREE}",
    ),
    "the answer after its end is not the answer": Row(
        lambda api: send(whole(api) + words(api, " and more")), None, 1
    ),
    "twice the end": Row(
        lambda api: send(whole(api) + recorded(api)[-1] * 2), None, 1
    ),
    "an unknown event": Row(
        lambda api: send(
            HEAD + event(api, {"type": "surprise", "choices": 7}) + whole(api)[len(HEAD) :]
        ),
        None, 1,
    ),
    "everything is null": Row(
        lambda api: send(
            HEAD
            + event(api, {"type": "message_delta", "delta": None, "usage": None})
            + event(api, {"choices": [{"index": 0, "delta": None}], "usage": None})
            + whole(api)[len(HEAD) :]
        ),
        None, 1,
    ),
    "everything is of another type": Row(
        lambda api: send(
            HEAD
            + event(api, {"type": "content_block_delta", "index": [], "delta": "x"})
            + event(api, {"type": "content_block_start", "content_block": 3})
            + event(api, {"type": "message_delta", "delta": 1, "usage": []})
            + event(api, {"type": "message_start", "message": 1})
            + event(api, {"choices": ["x", 1, None, [], {"delta": [1]}], "usage": 3})
            + event(api, {"choices": {"a": 1}})
            + whole(api)[len(HEAD) :]
        ),
        None, 1,
    ),
    "the text is no text": Row(
        lambda api: send(
            HEAD
            + words(api, 7)  # pyright: ignore[reportArgumentType] -- that is the point
            + words(api, {"a": 1})  # pyright: ignore[reportArgumentType]
            + whole(api)[len(HEAD) :]
        ),
        None, 1,
    ),
    "a tool call in pieces of other types": Row(
        lambda api: send(
            HEAD
            + event(api, {"choices": [{"delta": {"tool_calls": [7, None, "x"]}}]})
            + event(
                api,
                {
                    "type": "content_block_delta",
                    "index": 9,
                    "delta": {"type": "input_json_delta", "partial_json": 7},
                },
            )
            + whole(api)[len(HEAD) :]
        ),
        None, 1, only="anthropic",
    ),
    "no end, though all was said": Row(
        lambda api: send(HEAD + b"".join(recorded(api)[:-1])), None, 1, only="openai"
    ),
    "no end, though all was said, elsewhere": Row(
        lambda api: send(HEAD + b"".join(recorded(api)[:-1])), CUT, only="anthropic"
    ),
    "the end before the answer": Row(
        lambda api: send(HEAD + recorded(api)[-1] + words(api, ANSWER)), None, 1,
    ),
}  # fmt: skip

SLOWLY: Mapping[str, Row] = {
    "silence before the head": Row(lambda _: send(b"", then="stall"), SILENT),
    "silence in the head": Row(lambda _: send(HEAD[:30], then="stall"), SILENT),
    "silence after the head": Row(lambda _: send(HEAD, then="stall"), SILENT),
    "silence in the middle": Row(
        lambda api: send(up_to(api, 3), then="stall"), SILENT
    ),
    "silence inside of an event": Row(
        lambda api: send(up_to(api, 3) + b"data: {", then="stall"), SILENT
    ),
    "silence after the last word": Row(
        lambda api: send(HEAD + b"".join(recorded(api)[:-1]), then="stall"),
        None, 1, only="openai",
    ),
    "silence after the last word, elsewhere": Row(
        lambda api: send(HEAD + b"".join(recorded(api)[:-1]), then="stall"),
        SILENT, only="anthropic",
    ),
    "silence after the end": Row(
        lambda api: send(whole(api), then="stall"), None, 1
    ),
    "comments for ever": Row(
        lambda api: flood(up_to(api, 2), b": still here\n\n", gap=30.0),
        f"longer than 100 s for one answer.*{THREE}",
    ),
    "words without a word": Row(
        lambda api: flood(up_to(api, 2), words(api, ""), gap=30.0),
        f"longer than 100 s for one answer.*{THREE}",
    ),
    "a head drop by drop": Row(
        lambda _: flood(HEAD[:-2], b"x: y\r\n", gap=50.0),
        f"longer than 100 s for one answer.*{THREE}",
    ),
}  # fmt: skip


def cases(table: Mapping[str, Row]) -> list[object]:
    return [
        pytest.param(api, row, id=f"{name}-{api}".replace(" ", "_"))
        for name, row in table.items()
        for api in APIS
        if row.only in (None, api)
    ]


async def play(pressed: Pressed, row: Row) -> None:
    """Once and always; whole and streamed."""
    api = pressed.api
    pressed.play(row.trick(api), well(api))
    once = await pressed.ask()
    assert once.ok == row.once, once
    if row.once and row.trick is not AT_ONCE["the end before the answer"].trick:
        assert once.text == ANSWER
    pressed.play(row.trick(api))
    always = await pressed.ask()
    assert pressed.provider.requests == row.asked
    assert always.ok == (row.always is None), always
    if row.always is not None:
        assert holds(row.always, always.text), always
    pressed.play(row.trick(api))
    streamed = await pressed.stream()
    assert streamed.over
    assert streamed.whole == always.ok
    assert bool(streamed.errors) == (not always.ok)
    if streamed.text and not always.ok:
        # What left cannot be taken back: it was not begun anew.
        assert pressed.provider.requests == 1
    assert await pressed.is_settled()
    # And the next turn is as if nothing had been.
    pressed.play(well(api))
    assert (await pressed.ask()).text == ANSWER


@pytest.mark.parametrize(("api", "row"), cases(AT_ONCE))
async def test_what_goes_wrong_at_once(tmp_path: Path, api: Api, row: Row) -> None:
    async with open_pressed(tmp_path / "data", api, key_hold=0.001) as pressed:
        await play(pressed, row)


@pytest.mark.parametrize(("api", "row"), cases(SLOWLY))
async def test_what_goes_wrong_slowly(
    tmp_path: Path, patient: object, api: Api, row: Row
) -> None:
    async with open_pressed(
        tmp_path / "data", api, virtual=True, idle_timeout=60.0, max_seconds=100.0
    ) as pressed:
        await play(pressed, row)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("trick", "billed"),
    [
        (refuse(500), False),
        (refuse(429), False),
        (send(HEAD[:30]), True),
        (send(HEAD), True),
        (send(HEAD + b"data: {oops\n\n"), True),
    ],
    ids=["refused", "limited", "half a head", "no body", "garbage"],
)
async def test_what_may_be_billed_counts(
    tmp_path: Path, api: Api, trick: Trick, *, billed: bool
) -> None:
    async with open_pressed(tmp_path / "data", api) as pressed:
        pressed.play(trick)
        assert not (await pressed.ask()).ok
        (row,) = await pressed.usage()
        assert (row.usage.input > 0) == billed
        assert row.usage.output == 0


# --- many turns, each with a provider of its own


async def many(
    pressed: Pressed,
    tricks: Mapping[str, Sequence[Trick]],
    check: Callable[[str, int], Awaitable[None]],
    *,
    at_once: int = 32,
) -> None:
    """A turn for each name, with these tricks one after the other, the last for ever.

    *check* asks, and looks at what came; it is given the name.
    """
    seen: dict[str, int] = dict.fromkeys(tricks, 0)

    async def by_name(channel: Channel, body: bytes) -> None:
        name = last_text(body)
        mine = tricks[name]
        number = min(seen[name], len(mine) - 1)
        seen[name] += 1
        await mine[number](channel, body)

    pressed.play(by_name)
    room = trio.CapacityLimiter(at_once)

    async def one(name: str) -> None:
        async with room:
            await check(name, 0)

    async with trio.open_nursery() as nursery:
        for name in tricks:
            nursery.start_soon(one, name)
    pressed.asked = seen


FAILURES = (429, 500, 529, 503)
ORDERS = [
    order
    for length in range(1, len(FAILURES) + 1)
    for order in itertools.permutations(FAILURES, length)
]


@pytest.mark.parametrize("api", APIS)
async def test_failures_in_every_order(tmp_path: Path, api: Api) -> None:
    tricks = {
        " ".join(map(str, order)): [*map(refuse, order), well(api)] for order in ORDERS
    }
    async with open_pressed(tmp_path / "data", api, max_attempts=4) as pressed:

        async def check(name: str, _: int) -> None:
            found = await pressed.ask(name)
            if len(name.split()) < 4:
                assert found.text == ANSWER
            else:
                assert not found.ok
                assert holds("given up after 4 attempts", found.text)

        await many(pressed, tricks, check)
        assert len(tricks) == 64
        for name, asked in pressed.asked.items():
            assert asked == min(4, len(name.split()) + 1)
        assert await pressed.is_settled()


def framings(api: Api) -> dict[str, bytes]:
    return {"until closed": whole(api), "in chunks": chunked(*recorded(api))}


async def cut_everywhere(tmp_path: Path, api: Api, step: int) -> None:
    responses = {
        f"{framing} {place}": response[:place]
        for framing, response in framings(api).items()
        for place in range(0, len(response), step)
    }
    tricks = {name: [send(data), well(api)] for name, data in responses.items()}
    async with open_pressed(tmp_path / "data", api) as pressed:

        async def taken_back(name: str, _: int) -> None:
            found = await pressed.ask(name)
            assert found.text == ANSWER, name

        await many(pressed, tricks, taken_back)
        assert set(pressed.asked.values()) == {1, 2}

        async def left(name: str, _: int) -> None:
            reader = await pressed.stream(name)
            if reader.whole:
                assert reader.text == ANSWER, name
            else:
                assert reader.text, name
                assert ANSWER.startswith(reader.text), name
                (error,) = reader.errors
                assert "part of the answer had left" in str(error)

        await many(pressed, tricks, left)
        assert await pressed.is_settled()


@pytest.mark.parametrize("api", APIS)
async def test_cut_at_every_place(tmp_path: Path, api: Api) -> None:
    await cut_everywhere(tmp_path, api, CUTS_EVERY)


BOM = b"\xef\xbb\xbf"


def dialects(api: Api) -> dict[str, bytes]:
    """The same stream in every way in which it may be written."""
    plain = b"".join(recorded(api))
    lines = plain.replace(b"data: {", b"data:{")
    # JSON may be broken into lines where it has white space.
    folded = plain.replace(b'data: {"', b'data: {\ndata: "')
    noisy = plain.replace(b"data: {", b": noise\nid: 7\nretry: 10\nunknown\ndata: {")
    return {
        "plain": plain,
        "without blanks": lines,
        "with CRLF": plain.replace(b"\n", b"\r\n"),
        "with CR": plain.replace(b"\n", b"\r"),
        "with all of them": plain.replace(b"\n\n", b"\r\n\r"),
        "with a mark at its beginning": BOM + plain,
        "data of several lines": folded,
        "with comments and fields": noisy,
        "with empty lines": b"\n\n\n" + plain.replace(b"\n\n", b"\n\n\n\n"),
    }


@pytest.mark.parametrize("api", APIS)
async def test_split_at_every_byte_and_in_every_dialect(
    tmp_path: Path, api: Api
) -> None:
    tricks: dict[str, list[Trick]] = {}
    for name, stream in dialects(api).items():
        tricks[name] = [send(HEAD + stream)]
        tricks[f"{name}, byte by byte"] = [send(HEAD + stream, split=1)]
    async with open_pressed(tmp_path / "data", api) as pressed:

        async def check(name: str, _: int) -> None:
            assert (await pressed.ask(name)).text == ANSWER, name

        await many(pressed, tricks, check)
        assert set(pressed.asked.values()) == {1}


# --- without end


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("piece", [words, thought, wish])
async def test_an_answer_without_end_is_broken_off(
    tmp_path: Path, api: Api, piece: Callable[..., bytes]
) -> None:
    more = piece(api, "for ever ") if piece is words else piece(api)
    async with open_pressed(tmp_path / "data", api, max_tokens=50) as pressed:
        pressed.play(flood(up_to(api, 2), more))
        found = await pressed.ask()
        assert found.ok
        assert found.finish == "length"
        assert len(found.text) < 100_000
        assert pressed.provider.requests == 1
        (row,) = await pressed.usage()
        # What nobody counts is all that was reserved, at least.
        assert row.usage.output >= 50
        assert row.usage.estimated
        pressed.play(well(api))
        assert (await pressed.ask()).text == ANSWER


@pytest.mark.parametrize("api", APIS)
async def test_a_model_that_wants_the_same_for_ever_is_stopped_in_words(
    tmp_path: Path, api: Api
) -> None:
    world = World(tmp_path / "world")
    reply = Reply(tools=(Tool(id="t1", name="put", arguments=('{"text":"x"}',)),))
    limits = LimitsConfig(turn=TurnLimitsConfig(repeats=4))
    async with open_pressed(
        tmp_path / "data", api, toolbox=lambda _: world.tools(), limits=limits
    ) as pressed:
        pressed.play(send(HEAD + b"".join(recorded(api, reply))))
        found = await pressed.ask()
        assert found.ok
        assert "limits.turn.repeats" in found.text
        assert pressed.provider.requests == 4
        assert len(world.effects("put")) == 4


@pytest.mark.parametrize("api", APIS)
async def test_tools_asked_for_in_ways_that_cannot_be(tmp_path: Path, api: Api) -> None:
    """The model is told what was wrong with each, and the turn goes on."""
    world = World(tmp_path / "world")
    tools = (
        Tool(id="same", name="put", arguments=('{"text":"a"}',)),
        Tool(id="same", name="put", arguments=('{"text":"b"}',)),
        Tool(id="", name="put", arguments=('{"text":"c"}',)),
        Tool(id="t 4/🦀", name="put", arguments=("[1]",)),
        Tool(id="t5", name="put", arguments=('{"text":',)),
        Tool(id="t6", name="nobody knows this", arguments=("{}",)),
        Tool(id="t7", name="", arguments=("",)),
    )
    async with open_pressed(
        tmp_path / "data", api, toolbox=lambda _: world.tools()
    ) as pressed:
        pressed.play(
            send(HEAD + b"".join(recorded(api, Reply(tools=tools)))), well(api)
        )
        found = await pressed.ask()
        assert found.text == ANSWER
        said = pressed.provider.bodies[1].decode()
        assert "no JSON" in said
        assert "have to be a JSON object" in said
        assert "there is no tool" in said
        done = {one["arguments"]["text"] for one in world.effects("put")}
        assert {"a", "b", "c"} >= done
        assert done


# --- leaving it alone

WAITS: Mapping[str, tuple[Mapping[str, str], float]] = {
    "seconds": ({"retry-after": "7"}, 7.0),
    "fractions": ({"retry-after": "7.5"}, 7.5),
    "milliseconds": ({"retry-after-ms": "6500", "retry-after": "60"}, 6.5),
    "a date": (
        {
            "retry-after": "Sat, 21 Nov 2026 10:00:09 GMT",
            "date": "Sat, 21 Nov 2026 10:00:00 GMT",
        },
        9.0,
    ),
    "a date that is over": (
        {
            "retry-after": "Sat, 21 Nov 2026 09:00:00 GMT",
            "date": "Sat, 21 Nov 2026 10:00:00 GMT",
        },
        0.0,
    ),
    "nothing that can be read": ({"retry-after": "soon"}, 0.0),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("case", WAITS)
@pytest.mark.parametrize("status", [429, 503, 529])
async def test_a_provider_that_asks_to_wait_is_obeyed(
    tmp_path: Path, patient: object, api: Api, case: str, status: int
) -> None:
    headers, seconds = WAITS[case]
    async with open_pressed(tmp_path / "data", api, virtual=True) as pressed:
        pressed.play(refuse(status, headers=headers), well(api))
        began = trio.current_time()
        assert (await pressed.ask()).text == ANSWER
        assert trio.current_time() - began == pytest.approx(seconds, abs=0.5)
        assert pressed.provider.requests == 2


@pytest.mark.parametrize("api", APIS)
async def test_a_provider_that_is_down_is_left_alone_and_the_turns_wait(
    tmp_path: Path, patient: object, api: Api
) -> None:
    async with open_pressed(
        tmp_path / "data", api, virtual=True, breaker_failures=3, breaker_first=10.0
    ) as pressed:
        pressed.play(refuse(500))
        assert THREE in (await pressed.ask()).text
        assert supervision.state(f"providers/{api}")["breaker"] == "open"
        # Three turns come; one of them is the probe, and all are answered.
        pressed.play(well(api))
        began, ends = trio.current_time(), list[float]()

        async def one() -> None:
            assert (await pressed.ask()).text == ANSWER
            ends.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
        assert ends == pytest.approx([7.5] * 3, abs=0.5)
        assert pressed.provider.requests == 3
        assert await pressed.is_settled()


@pytest.mark.parametrize("api", APIS)
async def test_a_provider_that_stays_down_is_asked_less_and_less(
    tmp_path: Path, patient: object, api: Api
) -> None:
    async with open_pressed(
        tmp_path / "data",
        api,
        virtual=True,
        breaker_failures=3,
        breaker_first=10.0,
        breaker_most=40.0,
    ) as pressed:
        pressed.play(refuse(500))

        async def one() -> None:
            found = await pressed.ask()
            assert not found.ok
            assert holds("failed .500.", found.text)

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
        # Twenty turns with three attempts each would be sixty: those under way when it
        # was left alone, and a probe now and then.
        assert pressed.provider.requests < 35
        assert trio.current_time() - began < 600
        assert await pressed.is_settled()


@pytest.mark.parametrize("api", APIS)
async def test_who_has_another_model_does_not_wait_for_one_that_is_down(
    tmp_path: Path, patient: object, api: Api
) -> None:
    async with open_pressed(
        tmp_path / "data",
        api,
        virtual=True,
        breaker_failures=3,
        breaker_first=100.0,
        fallbacks=("demo/demo",),
        more={"demo": ProviderConfig(api="demo", delay=0.0)},
    ) as pressed:
        pressed.play(refuse(529))
        assert holds("hello", (await pressed.ask()).text)
        assert pressed.provider.requests == 3
        began = trio.current_time()
        assert holds("hello", (await pressed.ask()).text)
        assert trio.current_time() - began < 1
        assert pressed.provider.requests == 3


# --- several keys

KEYS = (Secret("key-one-of-the-test"), Secret("key-two-of-the-test"))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "refusal",
    [refuse(401), refuse(402), refuse(429, headers={"retry-after": "60"})],
    ids=["refused", "without credit", "limited"],
)
async def test_a_key_that_is_no_good_is_passed_over(
    tmp_path: Path, patient: object, api: Api, refusal: Trick
) -> None:
    async with open_pressed(
        tmp_path / "data", api, virtual=True, api_key=KEYS
    ) as pressed:
        pressed.play(refusal, well(api))
        began = trio.current_time()
        assert (await pressed.ask()).text == ANSWER
        assert trio.current_time() - began < 1
        bad, good = pressed.provider.keys
        assert {bad, good} == {key.reveal() for key in KEYS}
        for _ in range(5):
            assert (await pressed.ask()).text == ANSWER
        assert set(pressed.provider.keys[1:]) == {good}


@pytest.mark.parametrize("api", APIS)
async def test_a_conversation_stays_with_its_key(tmp_path: Path, api: Api) -> None:
    async with open_pressed(tmp_path / "data", api, api_key=KEYS) as pressed:
        pressed.play(well(api))
        used: set[str] = set()
        for number in range(8):
            pressed.provider.keys.clear()
            for _ in range(2):
                await pressed.ask(session=f"agent:main:s{number}")
            assert len(set(pressed.provider.keys)) == 1
            used.update(pressed.provider.keys)
        assert len(used) == 2


@pytest.mark.parametrize("api", APIS)
async def test_when_no_key_is_any_good_it_says_so(tmp_path: Path, api: Api) -> None:
    async with open_pressed(tmp_path / "data", api, api_key=KEYS) as pressed:
        pressed.play(refuse(401))
        found = await pressed.ask()
        assert holds("refused the key .401. from .*api_key .key . of 2", found.text)
        assert len(set(pressed.provider.keys)) == 2
        again = await pressed.ask()
        assert holds("left alone and asked again in", again.text)
        assert pressed.provider.requests == 2


# --- what it bills


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("billed", [10**6, 10**18, 2**63, 2**64 - 1])
async def test_who_bills_more_than_was_reserved_is_told_of_and_stopped(
    tmp_path: Path, api: Api, billed: int
) -> None:
    limits = LimitsConfig(day=BudgetConfig(tokens=50_000))
    async with open_pressed(
        tmp_path / "data", api, limits=limits, max_tokens=100
    ) as pressed:
        stream = b"".join(recorded(api, Reply(text=ANSWER, usage=(7777, 7777))))
        pressed.play(send(HEAD + stream.replace(b"7777", str(billed).encode())))
        assert (await pressed.ask()).text == ANSWER
        again = await pressed.ask()
        assert "limits.day.tokens" in again.text
        assert pressed.provider.requests == 1


@pytest.mark.parametrize(
    "billed", ["-5", "0.5", '"many"', "null", "true", "1e400", "[]"]
)
@pytest.mark.parametrize("api", APIS)
async def test_figures_that_are_none(tmp_path: Path, api: Api, billed: str) -> None:
    stream = b"".join(recorded(api, Reply(text=ANSWER, usage=(7777, 7777))))
    async with open_pressed(tmp_path / "data", api) as pressed:
        pressed.play(send(HEAD + stream.replace(b"7777", billed.encode())))
        found = await pressed.ask()
        if billed == "1e400":  # which is no JSON
            assert not found.ok
        else:
            assert found.text == ANSWER
        assert await pressed.is_settled()
