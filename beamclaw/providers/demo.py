r"""A provider inside the node, which needs no key and no network.

It shows a newcomer a whole turn, and gives tests and demonstrations one that is always
the same. Without a script it repeats what it was told and says how to get a model;
with one it follows it:

.. code-block:: yaml

    - match: weather in (\w+)     # a regular expression, looked for in what was said
      reply: It rains in \1.      # with its groups
      delay: 0.1                  # seconds between words; providers.demo.delay without it
    - reply: I have nothing to say about that.   # no match: fits everything
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
)
from pathlib import Path
from typing import Any, cast

import attrs
import trio

from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    UsageReport,
)

_HELLO = """\
You said: {said}

I am BeamClaw's demo: I repeat what I am told, and no model is asked. For a real model \
set OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server) or ANTHROPIC_API_KEY, \
and start the node again."""
_QUOTED = 2_000


@attrs.frozen
class Scene:
    """One entry of a script: what to answer where *match* is found."""

    match: re.Pattern[str] | None
    reply: str
    delay: float | None = None

    def answer(self, said: str) -> str | None:
        """The reply to *said*; ``None`` if this entry is not about it."""
        if self.match is None:
            return self.reply
        found = self.match.search(said)
        return None if found is None else found.expand(self.reply)


class ScriptError(ValueError):
    """The script cannot be used; says which entry and why."""


def read_script(path: Path) -> tuple[Scene, ...]:
    """The script in *path*.

    Raises:
        ScriptError: It cannot be read or is no script: the person's mistake, in words.
    """
    import yaml  # noqa: PLC0415 - a start without a script does not need it

    try:
        entries: object = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScriptError(f"{path}: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ScriptError(f"{path}: a list of entries with match and reply is wanted")
    listed = cast("list[object]", entries)
    return tuple(_scene(f"{path}, entry {n}", e) for n, e in enumerate(listed, 1))


def _scene(where: str, entry: object) -> Scene:
    if not isinstance(entry, dict):
        raise ScriptError(f"{where}: not a mapping with match, reply and delay")
    given = cast("dict[str, Any]", entry)
    if unknown := given.keys() - {"match", "reply", "delay"}:
        names = ", ".join(sorted(map(str, unknown)))
        raise ScriptError(f"{where}: unknown key {names} (match, reply, delay)")
    reply, match, delay = given.get("reply"), given.get("match"), given.get("delay")
    if not isinstance(reply, str) or not reply.strip():
        raise ScriptError(f"{where}: reply has to be text")
    if match is not None and not isinstance(match, str):
        raise ScriptError(f"{where}: match has to be a regular expression, as text")
    if delay is not None and (
        not isinstance(delay, int | float) or isinstance(delay, bool) or delay < 0
    ):
        raise ScriptError(f"{where}: delay has to be seconds, 0 or more")
    try:
        pattern = None if match is None else re.compile(match, re.IGNORECASE)
        scene = Scene(pattern, reply, delay)
        if pattern is not None:
            re.sub(pattern, reply, "")  # groups of the reply that do not exist
    except re.error as error:
        raise ScriptError(f"{where}: {error}") from None
    return scene


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
        reply, delay = self._reply(said)
        sent = sum(len(message.text.split()) for message in request.messages)
        limit = request.params.max_tokens
        async with aclosing(_speak(reply, delay, sent, limit)) as events:
            yield events

    def _reply(self, said: str) -> tuple[str, float]:
        if self._scenes is None:
            assert self._script is not None
            try:
                self._scenes = read_script(self._script)
            except ScriptError as error:
                msg = f"provider {self._name}: its script cannot be used: {error}"
                raise ProviderError("invalid", msg) from None
        for scene in self._scenes:
            answer = scene.answer(said)
            if answer is not None:
                return answer, self._delay if scene.delay is None else scene.delay
        return _HELLO.format(said=said[:_QUOTED]), self._delay


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
