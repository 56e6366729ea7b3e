"""What a fake provider answers, and what goes wrong with it: values, nothing is sent."""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs

from beamclaw.values import frozen

Body = dict[str, Any]


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong with one request. Counts are of events sent before.

    Attributes:
        status: Answer with this HTTP error, in the platform's own words.
        retry_after: Seconds, sent as ``retry-after`` with *status*.
        headers: More headers to send along.
        code: The error's code (or type) in place of the usual one of *status*.
        message: Its sentence.
        html: Answer with a web page, as proxies do (with *status*, or 200).
        redirect: Answer with a redirect to this address.
        hang: Never answer; ``True`` before the head of the response.
        error_after: An error event inside the stream.
        cut_after: The connection is closed in the middle of the stream.
        cut_inside: As *cut_after*, but half of the next event is sent too.
        silence_after: Nothing more comes, the connection stays open.
        no_end: The formal end is left out (``[DONE]``, ``message_stop``).
        no_finish: The stop reason is left out too.
        no_usage: No figures.
        pings: Pings (comment lines, at OpenAI) before each event.
        split: Sent in pieces of so many bytes.
        newline: The line ending, ``crlf`` or ``cr`` in place of LF.
        quirks: Deviations of compatible servers, by name; see the fake.
    """

    status: int | None = None
    retry_after: float | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    code: str | None = None
    message: str | None = None
    html: bool = False
    redirect: str | None = None
    hang: bool = False
    error_after: int | None = None
    cut_after: int | None = None
    cut_inside: int | None = None
    silence_after: int | None = None
    no_end: bool = False
    no_finish: bool = False
    no_usage: bool = False
    pings: int = 0
    split: int | None = None
    newline: str = "lf"
    quirks: frozenset[str] = frozenset()


FAULTS: dict[str, Fault] = {
    "rate_limit": Fault(status=429, retry_after=1),
    "overloaded": Fault(status=529),
    "server": Fault(status=500),
    "auth": Fault(status=401),
    "model": Fault(status=404),
    "html": Fault(status=502, html=True),
    "hang": Fault(hang=True),
    "error_after": Fault(error_after=3),
    "cut": Fault(cut_after=3),
    "silence": Fault(silence_after=3),
    "no_end": Fault(no_end=True),
    "pings": Fault(pings=50),
    "split": Fault(split=1),
}
"""Those with a name on the command line."""


@frozen(kw_only=True)
class Tool:
    """A tool call in a reply; *arguments* is sent in the pieces given.

    *extra* (chat completions) comes with it as ``extra_content``, as Gemini's signatures
    do.
    """

    id: str
    name: str
    arguments: tuple[str, ...] = ("{}",)
    extra: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class Reply:
    """What to answer.

    Attributes:
        text: The answer; sent word by word, a word is a token.
        pieces: The answer in pieces of your own, in place of *text*.
        thinking: Reasoning before it, in pieces.
        signature: Of the reasoning (Anthropic).
        tools: Tool calls after it.
        stop: The stop reason in the platform's own word.
        delay: Seconds before the first token.
        gap: Seconds between tokens. With none, all is sent in one write.
        usage: Tokens in and out, in place of those counted.
        cached: Tokens of the input that came from a cache.
        fault: What goes wrong.
    """

    text: str = ""
    pieces: tuple[str, ...] | None = None
    thinking: tuple[str, ...] = ()
    signature: str | None = None
    tools: tuple[Tool, ...] = ()
    stop: str | None = None
    delay: float = 0.0
    gap: float = 0.0
    usage: tuple[int, int] | None = None
    cached: int = 0
    fault: Fault | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The text in the pieces in which it is sent."""
        if self.pieces is not None:
            return self.pieces
        return tuple(re.findall(r"\s*\S+|\s+$", self.text))

    @property
    def tokens(self) -> int:
        """Tokens of output."""
        return len(self.words) + len(self.thinking) + len(self.tools)


Answer = Callable[[Body], Reply]


def last_words(body: Body) -> str:
    """The text of the last message from the user."""
    for message in reversed(cast("list[Any]", body.get("messages") or [])):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def text_of(content: object) -> str:
    """The text of a message's content, plain or in blocks."""
    if isinstance(content, str):
        return content
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    return " ".join(str(block.get("text", "")) for block in blocks)


def echo(body: Body) -> Reply:
    """The reply of a fake that was told nothing: what was said, said back."""
    return Reply(text=f"You said: {last_words(body)}")


def counted(reply: Reply, sent: int) -> tuple[int, int]:
    """Tokens in and out of *reply*, of *sent* tokens."""
    return reply.usage or (sent, reply.tokens)


def scripted(options: Mapping[str, Any]) -> Answer:
    """An answer from settings: ``text``, ``tokens``, ``delay``, ``gap``.

    Without ``text`` the answer repeats what was said, followed by as many words as
    ``tokens`` wants.
    """
    tokens = int(options.get("tokens") or 0)
    delay, gap = float(options.get("delay") or 0), float(options.get("gap") or 0)
    text = options.get("text")
    filling = tuple(f" w{n}" for n in range(tokens))

    def answer(body: Body) -> Reply:
        said = text if isinstance(text, str) else echo(body).text
        pieces = Reply(text=said).words
        if tokens:
            pieces = (*pieces, *filling)[: max(tokens, len(pieces))]
        return Reply(pieces=pieces, delay=delay, gap=gap)

    return answer
