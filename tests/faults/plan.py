"""What the model does about a message stands in the message: both sides read it there.

A message is ``<<marker>> {...}``: which tools to ask for in which round, how the last
answer comes. The fake provider plays it, whichever node asks, however often.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import orjson

from beamclaw.testing.fake_openai import Fault, Reply, Tool
from tests.audit.book import mark

# Tools that take no argument but their own.
WHOLE = frozenset({"write", "edit", "apply_patch", "web_fetch"})
_COMMAND = re.compile(r"background: session (cmd-\w+)")
FILLER = "so and so it goes on "


@attrs.frozen(kw_only=True)
class Plan:
    """What is done about one message.

    Attributes:
        rounds: Tools that are asked for, answer by answer; each a name, or a name and
            more arguments.
        forever: The last round is asked for again and again.
        words: Of the last answer.
        gap: Seconds between its words.
        delay: Seconds before each answer.
        filler: Characters that the message has beside.
    """

    rounds: tuple[tuple[str | tuple[str, Mapping[str, Any]], ...], ...] = ()
    forever: bool = False
    words: int = 3
    gap: float = 0.0
    delay: float = 0.0
    filler: int = 0

    def message(self, marker: str) -> str:
        """What a client says."""
        said = orjson.dumps(attrs.asdict(self)).decode()
        padding = FILLER * (self.filler // len(FILLER))
        return f"<<{marker}>> {said}{padding and ' ' + padding}"

    @classmethod
    def of(cls, text: str) -> "Plan":
        """Read it again; what has none is answered at once."""
        if not text.startswith("<<"):
            return cls()
        raw = text.partition(">> ")[2]
        end = raw.find("} " + FILLER)
        return cls(**orjson.loads(raw if end < 0 else raw[: end + 1]))


def last_words(marker: str, plan: Plan) -> tuple[str, ...]:
    """The last answer, in pieces: the same for every attempt."""
    return (f"answer to <<{marker}>>", *(f" w{n}" for n in range(1, plan.words)))


def of_prompt(body: Mapping[str, Any]) -> tuple[str, str, int]:
    """Marker and text of the last message of a person, and rounds of tools since."""
    marker, text, rounds = "", "", 0
    for message in body["messages"]:
        content = message.get("content")
        if message["role"] == "user" and mark(str(content)):
            marker, text, rounds = mark(content), content, 0
        elif message["role"] == "assistant" and message.get("tool_calls"):
            rounds += 1
    return marker, text, rounds


def is_summary(body: Mapping[str, Any]) -> bool:
    """Whether a summary is wanted, not an answer."""
    first = body["messages"][0]
    return first["role"] == "system" and "too long to go on" in str(first["content"])


BROKEN = "broken"  # a model that never answers
SHAKY = "shaky"  # one that fails when it is asked about a message for the first time


def billed(body: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens in and out that the provider takes for a whole answer.

    About four bytes are a token, and each message and tool has some of its own.
    """
    read = sum(map(_size, body["messages"]))
    for tool in body.get("tools") or ():
        read += 8 + sum(len(_json(part)) // 4 for part in tool["function"].values())
    return read, _reply(body, itertools.count()).tokens


def _json(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _size(message: Mapping[str, Any]) -> int:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    said = str(message.get("content") or "")
    return 4 + sum(
        len(text) // 4 for text in (said, *(c["name"] + c["arguments"] for c in calls))
    )


def model() -> Callable[[Mapping[str, Any]], Reply]:
    """The answers of a provider: what the plan in the prompt says."""
    numbers = itertools.count(1)
    asked = set[str]()

    def answer(body: Mapping[str, Any]) -> Reply:
        marker = of_prompt(body)[0]
        if body["model"] == SHAKY and marker not in asked:
            asked.add(marker)
            return Reply(text="", fault=Fault(status=500))
        return attrs.evolve(_reply(body, numbers), usage=billed(body))

    return answer


def _reply(body: Mapping[str, Any], numbers: Iterator[int]) -> Reply:
    if body["model"] == BROKEN:
        return Reply(text="", fault=Fault(status=500))
    if is_summary(body):
        return Reply(text="they spoke of this and that")
    marker, text, rounds = of_prompt(body)
    plan = Plan.of(text)
    wanted = _round(plan, rounds)
    if wanted is None:
        pieces = last_words(marker, plan)
        return Reply(pieces=pieces, gap=plan.gap, delay=plan.delay)
    tools = tuple(_tools(marker, rounds, _filled(wanted, body), numbers))
    return Reply(text="let me see", tools=tools, delay=plan.delay)


def _round(plan: Plan, done: int) -> tuple[Any, ...] | None:
    if done < len(plan.rounds):
        return plan.rounds[done]
    return plan.rounds[-1] if plan.forever else None


def _filled(wanted: tuple[Any, ...], body: Mapping[str, Any]) -> tuple[Any, ...]:
    """With the command that was begun last in place of ``{session}``."""
    said = orjson.dumps(body["messages"]).decode()
    session = (["cmd-none", *_COMMAND.findall(said)])[-1]
    return tuple(
        each if isinstance(each, str) else (each[0], _replaced(each[1], session))
        for each in wanted
    )


def _replaced(given: Mapping[str, Any], session: str) -> Mapping[str, Any]:
    wished = given.get("sessionId") == "{session}"
    return {**given, "sessionId": session} if wished else given


def _tools(
    marker: str, done: int, wanted: tuple[Any, ...], numbers: Iterator[int]
) -> Iterator[Tool]:
    for place, each in enumerate(wanted):
        name, more = (each, {}) if isinstance(each, str) else each
        named = {} if name in WHOLE else {"text": f"{marker}/{done}.{place}"}
        arguments = {**named, **more}
        if "data" in arguments:
            arguments["data"] = arguments["data"].replace("{text}", arguments["text"])
        if "literal" in arguments:
            arguments["literal"] = arguments["text"]
        said = orjson.dumps(arguments).decode()
        yield Tool(id=f"call_{next(numbers)}", name=name, arguments=(said,))
