r"""A provider inside the node, which needs no key and no network.

It shows a newcomer a whole turn, and gives tests and demonstrations one that is always
the same. Without a script it repeats what it was told and says how to get a model;
with one it follows it:

.. code-block:: yaml

    - match: weather in (\w+)     # a regular expression, looked for in what was said
      reply: It rains in \1.      # with its groups
      delay: 0.1                  # seconds between words; providers.demo.delay without it
    - match: send (\w+) to (\w+)
      calls:                      # tools, all of them at once
        - {tool: send, arguments: {text: \1, to: \2}}
      reply: Done. {results}      # when they have answered, with what they said
    - match: tidy up
      calls:                      # one after the other: a list for each time
        - [{tool: ls}]
        - [{tool: exec, arguments: {command: make clean}}, {tool: ls}]
      reply: It is tidy. {results}     # what the last ones said
    - reply: I have nothing to say about that.   # no match: fits everything
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
)
from pathlib import Path

import orjson
import trio

from beamclaw.config.script import Scene, ScriptError, Wish, read_script
from beamclaw.contracts.messages import Message, ToolCall, ToolResult, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)

_HELLO = """\
You said: {said}

I am BeamClaw's demo: I repeat what I am told, and no model is asked. For a real model \
set OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server) or ANTHROPIC_API_KEY, \
and start the node again."""
_QUOTED = 2_000


class Demo:
    """See the module.

    Args:
        name: Its name in the configuration.
        delay: Seconds between two words.
        script: A file with what to answer; read at the first call. One that cannot be
            used fails each call as ``invalid``, in words.
    """

    def __init__(
        self, name: str, *, delay: float = 0.02, script: Path | None = None
    ) -> None:
        self._name = name
        self._delay = delay
        self._script = script
        self._scenes: tuple[Scene, ...] | None = None if script else ()

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self._name

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """See :class:`beamclaw.contracts.providers.Provider`."""
        return self._stream(request)

    async def aclose(self) -> None:
        """There is nothing to close."""

    @asynccontextmanager
    async def _stream(
        self, request: ModelRequest
    ) -> AsyncGenerator[AsyncIterator[ProviderEvent], None]:
        said = next(
            (m.text for m in reversed(request.messages) if m.role == "user"), ""
        )
        if not said.strip():
            msg = f"provider {self._name}: there is no message with text to answer"
            raise ProviderError("invalid", msg)
        scene = self._scene(said)
        delay = self._delay if scene.delay is None else scene.delay
        sent = sum(len(message.text.split()) for message in request.messages)
        limit = request.params.max_tokens
        turn = _since_a_person(request.messages)
        done = sum(m.role == "assistant" and bool(_calls(m)) for m in turn)
        if done < len(scene.rounds):
            events = _wish(scene.rounds[done], done, sent)
        else:
            reply = scene.reply.replace("{results}", "; ".join(_results(turn)))
            events = _speak(reply, delay, sent, limit)
        async with aclosing(events) as speaking:
            yield speaking

    def _scene(self, said: str) -> Scene:
        if self._scenes is None:
            assert self._script is not None
            try:
                self._scenes = read_script(self._script)
            except ScriptError as error:
                msg = f"provider {self._name}: its script cannot be used: {error}"
                raise ProviderError("invalid", msg) from None
        for scene in self._scenes:
            found = scene.about(said)
            if found is not None:
                return found
        return Scene(None, _HELLO.format(said=said[:_QUOTED]))


def _since_a_person(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages after the last one of a person."""
    last = max(n for n, message in enumerate(messages) if message.role == "user")
    return messages[last + 1 :]


def _calls(message: Message) -> list[ToolCall]:
    return [part for part in message.parts if isinstance(part, ToolCall)]


def _results(messages: Sequence[Message]) -> list[str]:
    """What the tools that were asked last have said."""
    results: list[str] = []
    for message in messages:
        if _calls(message):
            results.clear()
        results += [part.text for part in message.parts if isinstance(part, ToolResult)]
    return results


async def _wish(
    calls: tuple[Wish, ...], before: int, sent: int
) -> AsyncGenerator[ProviderEvent, None]:
    """The tool calls of a script, of the round with so many before it."""
    for index, call in enumerate(calls):
        arguments = orjson.dumps(call.arguments).decode()
        yield ToolCallDelta(index, f"call_{before}_{index}", call.tool, arguments)
    yield UsageReport(Usage(sent, len(calls)))
    yield End("tool_calls")


async def _speak(
    reply: str, delay: float, sent: int, limit: int | None
) -> AsyncGenerator[ProviderEvent, None]:
    """*reply* word by word; a word counts as a token."""
    written = 0
    for word in _words(reply):
        if limit is not None and written >= limit:
            yield UsageReport(Usage(sent, written))
            yield End("length")
            return
        await trio.sleep(delay if written else 0)
        written += 1
        yield TextDelta(word)
    yield UsageReport(Usage(sent, written))
    yield End("stop")


def _words(text: str) -> Iterable[str]:
    """*text* cut before each word, so that the pieces together are the text."""
    return re.findall(r"\s*\S+|\s+$", text)
