"""Session keys: the grammar of the names under which conversations are kept.

The forms are OpenClaw's (``agent:<agentId>:<rest>`` and a few without an agent), so
that keys its clients hold go on working. What OpenClaw leaves open is closed here: a
key is at most :data:`MAX_KEY` characters of printable ASCII, in segments between
colons. No key contains a control character, a direction mark, a path or a name that
JavaScript objects inherit. Text of people becomes a segment by :func:`escape`, which
loses nothing; keys are compared as they are written and never unescaped.
"""

import re
from typing import Final, Literal

import attrs

from beamclaw.values import frozen

MAX_KEY: Final = 512
MAX_SEGMENT: Final = 255
MAX_AGENT: Final = 64
MAIN: Final = "main"

Kind = Literal[
    "main", "direct", "group", "channel", "subagent", "cron", "hook", "node",
    "http", "http-user", "http-response", "acp", "dashboard", "global", "named",
]  # fmt: skip

# Namespaces that only the node itself writes to; a client that names one is refused.
RESERVED: Final = frozenset({"subagent", "cron", "acp"})

_AGENT: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_AGENT - 1}}}")
# Letters, digits and what ids of platforms contain. A per cent sign only as an escape.
# Not `/` and `\`; dots alone and two leading underscores are refused below.
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~@+=!#$&*|,;-]|%[0-9A-F]{2})+")
_PLAIN: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~@+=!#$&*|,;-"
)
# What the first segments after the agent's say; the first that fits counts.
_CHATS: Final[dict[str, Kind]] = {
    "direct": "direct",
    "group": "group",
    "channel": "channel",
}
_SPACES: Final[dict[str, Kind]] = {
    "subagent": "subagent",
    "cron": "cron",
    "acp": "acp",
    "hook": "hook",
    "openai": "http",
    "openai-user": "http-user",
    "openai-response": "http-response",
    "invoke": "http",
    "embeddings": "http",
    "probe": "http",
    "dashboard": "dashboard",
}


class BadKey(ValueError):  # noqa: N818 -- a situation
    """Not a session key, or not one that this caller may name; says why."""


@frozen
class SessionKey:
    """A valid key, taken apart. ``str()`` is the key.

    Attributes:
        agent: Whose conversation; None for keys that belong to no agent.
        rest: The segments after ``agent:<id>:``, or all of them.
    """

    agent: str | None
    rest: tuple[str, ...]

    def __str__(self) -> str:
        head = () if self.agent is None else ("agent", self.agent)
        return ":".join((*head, *self.rest))

    @property
    def kind(self) -> Kind:
        """What sort of conversation it is."""
        first = self.rest[0]
        if self.agent is None:
            if first == "global":
                return "global"
            return "node" if first.startswith("node-") else _SPACES[first]
        if self.rest == (MAIN,):
            return "main"
        if len(self.rest) > 1 and first in _SPACES:
            return _SPACES[first]
        return _chat(self.rest)

    @property
    def reserved(self) -> bool:
        """Whether only the node itself may name it.

        A namespace is a word with something behind it, in whatever place and case: a
        careless reader must not see more in a key than this does.
        """
        spaces = {segment.lower() for segment in (self.rest[0], *self.rest[:-1])}
        return not RESERVED.isdisjoint(spaces)

    @property
    def thread(self) -> str | None:
        """The thread or topic in the chat, if the key names one."""
        if len(self.rest) > 2 and self.rest[-2] in ("thread", "topic"):  # noqa: PLR2004 -- chat and id before it
            return self.rest[-1]
        return None


def _chat(rest: tuple[str, ...]) -> Kind:
    # direct:<peer> | <channel>:direct:<peer> | <channel>:<account>:direct:<peer>
    for place in range(min(3, len(rest) - 1)):
        if rest[place] in _CHATS:
            return _CHATS[rest[place]]
    return "named"


# --- reading


def parse(text: str) -> SessionKey:
    """Take a full key apart.

    Raises:
        BadKey: It is none.
    """
    segments = _segments(text)
    if segments[0] != "agent":
        return _without_agent(segments)
    if len(segments) < 3:  # noqa: PLR2004 -- agent, its id, the rest
        raise BadKey("a session key of an agent is agent:<agentId>:<rest>")
    return SessionKey(check_agent(segments[1]), segments[2:])


def is_full(text: str) -> bool:
    """Whether *text* has the form of a full key (it may still be a bad one)."""
    first = text.partition(":")[0]
    return first == "agent" or text == "global" or first.startswith("node-")


def _without_agent(segments: tuple[str, ...]) -> SessionKey:
    first = segments[0]
    alone = first == "global" or (first.startswith("node-") and first != "node-")
    if alone and len(segments) == 1:
        return SessionKey(None, segments)
    if first in ("cron", "hook") and len(segments) > 1:
        return SessionKey(None, segments)
    raise BadKey("a session key begins with agent:<agentId>:")


def _segments(text: str) -> tuple[str, ...]:
    if not text:
        raise BadKey("the session key is empty")
    if len(text) > MAX_KEY:
        raise BadKey(f"a session key has at most {MAX_KEY} characters")
    segments = tuple(text.split(":"))
    for segment in segments:
        _check_segment(segment)
    return segments


def _check_segment(segment: str) -> None:
    if not segment:
        raise BadKey("a session key has nothing between two colons")
    if len(segment) > MAX_SEGMENT:
        raise BadKey(
            f"a session key has at most {MAX_SEGMENT} characters between two colons"
        )
    if _SEGMENT.fullmatch(segment) is None:
        raise BadKey(
            "a session key consists of ASCII letters, digits, colons and "
            "._~@+=!#$&*|,;- (others as %XX)"
        )
    if not segment.strip(".") or segment.startswith("__"):
        raise BadKey("a session key has no part of dots alone or beginning with __")


def check_agent(agent: str) -> str:
    """Give *agent* back if it is an agent id.

    Raises:
        BadKey: It is none.
    """
    if _AGENT.fullmatch(agent) is None:
        raise BadKey(
            f"an agent id has up to {MAX_AGENT} ASCII letters, digits, - and _, "
            "and begins with a letter or digit"
        )
    return agent


def resolve(text: str, agent: str) -> SessionKey:
    """The key that a person or client means by *text* when talking to *agent*.

    A full key is taken as it is; anything else is the rest of a key of *agent*
    (``main`` is ``agent:<agent>:main``).

    Raises:
        BadKey: Neither.
    """
    if is_full(text):
        return parse(text)
    return SessionKey(check_agent(agent), _segments(text))


def resolve_outside(text: str, agent: str) -> SessionKey:
    """As :func:`resolve`, for clients from outside, who may not name every key.

    Raises:
        BadKey: No key, or one in a namespace of the node's own.
    """
    key = resolve(text, agent)
    if key.reserved:
        raise BadKey(
            "session keys in the namespaces subagent:, cron: and acp: belong to the "
            "node itself"
        )
    return key


# --- building


def main(agent: str) -> SessionKey:
    """The main conversation of *agent*."""
    return SessionKey(check_agent(agent), (MAIN,))


def subagent(agent: str, unique: str) -> SessionKey:
    """The session of a sub-agent; the same form however far down it is."""
    return SessionKey(check_agent(agent), ("subagent", escape(unique)))


def http(agent: str, unique: str) -> SessionKey:
    """The conversation of one HTTP request."""
    return SessionKey(check_agent(agent), ("openai", escape(unique)))


def invoked(agent: str, unique: str) -> SessionKey:
    """The conversation of one tool call that a client has ordered."""
    return SessionKey(check_agent(agent), ("invoke", escape(unique)))


def embeddings(agent: str, unique: str) -> SessionKey:
    """Under which one request for vectors is paid for: no conversation."""
    return SessionKey(check_agent(agent), ("embeddings", escape(unique)))


def probe(agent: str, unique: str) -> SessionKey:
    """Under which one probe of a provider is paid for: no conversation."""
    return SessionKey(check_agent(agent), ("probe", escape(unique)))


def http_response(agent: str, unique: str) -> SessionKey:
    """The conversation of an HTTP client that may follow each of its answers."""
    return SessionKey(check_agent(agent), ("openai-response", escape(unique)))


def http_user(agent: str, user: str) -> SessionKey:
    """The lasting conversation of an HTTP client's ``user``.

    Raises:
        BadKey: *user* is empty or too long for a segment.
    """
    return SessionKey(check_agent(agent), ("openai-user", escape(user)))


def direct(
    agent: str, peer: str, *, channel: str | None = None, account: str | None = None
) -> SessionKey:
    """The conversation with one person; *account* only together with *channel*."""
    return SessionKey(
        check_agent(agent), (*_place(channel, account), "direct", escape(peer))
    )


def group(
    agent: str, channel: str, chat: str, *, kind: Literal["group", "channel"] = "group"
) -> SessionKey:
    """The conversation in a group, or in a room (*kind* ``channel``)."""
    return SessionKey(check_agent(agent), (escape(channel), kind, escape(chat)))


def in_thread(
    key: SessionKey, thread: str, *, word: Literal["thread", "topic"] = "thread"
) -> SessionKey:
    """The conversation in one thread (or topic) of *key*'s chat."""
    return attrs.evolve(key, rest=(*key.rest, word, escape(thread)))


def _place(channel: str | None, account: str | None) -> tuple[str, ...]:
    if channel is None:
        return ()
    return (escape(channel),) if account is None else (escape(channel), escape(account))


def escape(text: str) -> str:
    """*text* as one segment; different texts give different segments.

    Raises:
        BadKey: It is empty, not text, or too long.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise BadKey("a part of a session key is not valid text") from None
    segment = "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in raw)
    if segment and not segment.strip("."):
        segment = segment.replace(".", "%2E")
    elif segment.startswith("__"):
        segment = "%5F" + segment[1:]
    _check_segment(segment)
    return segment
