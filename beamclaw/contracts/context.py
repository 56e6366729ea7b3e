"""What fits into a model's window, and where a conversation may be cut.

Decisions without I/O: how many tokens a prompt has, whether it has to be compacted, what
a compaction covers, and the summary that needs no model.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from beamclaw.contracts import tokens
from beamclaw.contracts.conversation import packed
from beamclaw.contracts.messages import (
    File,
    Image,
    Media,
    Message,
    ToolCall,
    ToolResult,
)
from beamclaw.contracts.results import shortened
from beamclaw.contracts.transcript import SUMMARY, Transcript
from beamclaw.values import frozen


@frozen(kw_only=True)
class Window:
    """The room that a prompt has.

    Attributes:
        tokens: What the model reads and writes at most.
        output: Of that, what its answer may need.
        overhead: Tokens of the system's words and of the tools.
        keep: Tokens of the latest messages that a compaction leaves as they are.
        system: Of the overhead, the system's words.
        model: Whose it is, ``provider/model``.
    """

    tokens: int
    output: int
    overhead: int
    keep: int
    system: int = 0
    model: str = ""

    @property
    def tools(self) -> int:
        """Of the overhead, what the tools take."""
        return self.overhead - self.system

    @property
    def key(self) -> str:
        """The key of the configuration that says what is known of the model."""
        provider, _, model = self.model.partition("/")
        return f"providers.{provider}.models.{model}"

    @property
    def room(self) -> int:
        """Tokens that messages may have; a twentieth is kept for bad estimates."""
        return max(0, self.tokens - self.tokens // 20 - self.output - self.overhead)


@frozen(kw_only=True)
class Share:
    """What a model's window is used for, in tokens; what nobody has counted is estimated.

    Attributes:
        window: The whole of it.
        system: The system's words; *tools*: what the model is told of its tools.
        summary: What stands for the messages that were summed up.
        messages: All others.
        answer: What is left free for the answer; *margin*: for bad estimates.
    """

    window: int
    system: int
    tools: int
    summary: int
    messages: int
    answer: int
    margin: int

    @property
    def free(self) -> int:
        """What messages may still take; below nought: a compaction is due."""
        used = self.system + self.tools + self.summary + self.messages
        return self.window - used - self.answer - self.margin


def share(state: Transcript, window: Window) -> Share:
    """How the prompt of *state* would use *window*."""
    summary = state.sums[0] if _has_summary(state) else 0
    return Share(
        window=window.tokens,
        system=window.system,
        tools=window.tools,
        summary=summary,
        messages=max(0, size(state, window.overhead) - summary),
        answer=window.output,
        margin=window.tokens // 20,
    )


def size(state: Transcript, overhead: int) -> int:
    """Tokens of the messages: as the provider counted them, the rest estimated."""
    upto, counted = state.counted
    if not upto:
        return state.tokens
    return max(0, counted - overhead) + state.tokens - state.sums[upto - 1]


def most(state: Transcript, model: str, overhead: int, *, same: bool) -> int:
    """Tokens that *model* (``provider/model``) may count for the prompt at most.

    What it has billed for already keeps its figure; only what is new since is counted by
    its bytes. *overhead* is the bound for the system's words and the tools, *same* says
    that they are those that were billed along.
    """
    whole = state.most + overhead
    billed = state.billed
    if billed.model != model:
        return whole
    since = billed.tokens + state.most - billed.most
    return min(whole, since if same else since + overhead)


def _has_summary(state: Transcript) -> bool:
    """Whether the first message stands for others."""
    return state.covered > 0 and bool(state.seqs) and state.seqs[0] <= state.covered


# --- what a compaction leaves

SUMMARY_TOKENS: Final = 2_000
"""What a summary may have, where there is room."""

# In fewer tokens no model says anything: there, the summary needs none.
_LEAST_SUMMARY = 150


@frozen(kw_only=True)
class Left:
    """What a compaction leaves of a conversation, in tokens.

    Attributes:
        summary: Of the summary, at most.
        keep: Of the latest messages before the last one.
        most: Of all latest messages, the last one included, whatever *keep* is.
    """

    summary: int
    keep: int
    most: int

    def is_worth(self, covered: int) -> bool:
        """Whether a model is paid to sum up *covered* tokens that nobody has summed up.

        Never for what is hardly longer than what it writes. Since nothing is covered
        twice, this also bounds how many summaries a conversation of some length pays.
        """
        return self.summary > _LEAST_SUMMARY and covered >= 2 * self.summary


def left(keep: int, room: int) -> Left:
    """What a compaction leaves where *keep* tokens are wanted and *room* can be had.

    At most half of the room is taken behind it, a third of that by the summary: so the
    next one is far away. Only a last message that needs more by itself gets more.
    """
    summary = max(_LEAST_SUMMARY, min(SUMMARY_TOKENS, room // 6))
    return Left(summary=summary, keep=keep, most=max(0, room // 2 - summary))


def to_share(state: Transcript, window: Window, *, refused: bool = False) -> int:
    """The room that there is, in tokens as they are estimated here.

    A provider that counts more of them for the same has less room. One that has refused
    the prompt as too long has less than that took, whatever is known of its window.
    """
    counted = size(state, window.overhead)
    room = min(window.room, counted) if refused else window.room
    return room * state.tokens // counted if counted > state.tokens else room


def cut(state: Transcript, leaves: Left) -> int | None:
    """How many of the first messages a compaction covers; None: none can be.

    At least the last message stays, and of those before what *leaves* says. A cut never
    parts a tool call from its result: where the call and its results are too long to
    stay, they are covered whole. What a summary stands for already is not worth one.
    """
    places = list(_places(state))
    if not places:
        return None
    sums, last = state.sums, len(state.messages) - 1
    wanted = bisect_left(sums, sums[last - 1] - leaves.keep, 0, last) + 1
    needed = bisect_left(sums, sums[last] - leaves.most, 0, last) + 1
    fitting = [place for place in places if place >= needed]
    if not fitting:
        return places[-1]
    return max((place for place in fitting if place <= wanted), default=fitting[0])


def fresh(state: Transcript, at: int) -> int:
    """Tokens of the first *at* messages without those that a summary stands for."""
    return state.sums[at - 1] - (state.sums[0] if _has_summary(state) else 0)


def keeps_all(state: Transcript, keep: int) -> bool:
    """Whether all messages are among the latest *keep* tokens and the last message."""
    return len(state.messages) < 2 or state.sums[-2] <= keep  # noqa: PLR2004 -- and one more


def _places(state: Transcript) -> Iterator[int]:
    """How many messages are before each place where a cut may be."""
    open_calls: set[str] = set()
    for index, message in enumerate(packed(state.messages)):
        before = state.seqs[index - 1] if index else state.covered
        if before > state.covered and not open_calls and before != state.seqs[index]:
            yield index
        parts = () if isinstance(message, str) else message.parts
        for part in parts:
            if isinstance(part, ToolCall):
                open_calls.add(part.id)
            elif isinstance(part, ToolResult):
                open_calls.discard(part.id)


# --- what stands for what was covered

_LAST = "\n\n[What was asked for last]\n"
# Tokens of what is written around a summary.
_AROUND = 40


def standing_for(
    state: Transcript, at: int, most: int, words: str = "", *, quotes: bool = True
) -> str:
    """What stands for the first *at* messages, in at most *most* tokens.

    Args:
        state: What is made shorter.
        at: How many messages are covered.
        most: Tokens, as they are estimated.
        words: What a model has written; without, it is how each message began, behind
            the summary that there was.
        quotes: Whether the last words of a person are added when they are covered, too:
            who goes on with a turn has to know what is wanted, literally.
    """
    allowed = (most - _AROUND) * tokens.BYTES_PER_TOKEN
    covered = state.messages[:at]
    before, asked = "", ""
    if _has_summary(state):
        said, mark, quoted = covered[0].text.rpartition(_LAST)
        before, asked = (said, quoted) if mark else (quoted, "")
        before, covered = before.removeprefix(SUMMARY), covered[1:]
    by_persons = (message for message in reversed(covered) if message.role == "user")
    asked = next(map(_words, by_persons), asked)
    if not quotes or any(each.role == "user" for each in state.messages[at:]):
        asked = ""
    asked = _within(asked, allowed // 2)
    allowed -= _bytes(asked)
    text = _within(words, allowed) if words else trimmed(covered, allowed, before)
    return f"{text}{_LAST}{asked}" if asked else text


_LINE = 200
_TRIMMED = 4_000


def trimmed(
    messages: Sequence[Message], allowed: int = _TRIMMED, before: str = ""
) -> str:
    """A summary that needs no model: how each message begins, the latest ones at least.

    The summary *before* goes first: somebody was paid for it. All of it has *allowed*
    bytes at most.
    """
    lines: list[str] = []
    for message in messages:
        text = " ".join(_words(message).split())
        if text:
            short = text if len(text) <= _LINE else f"{text[:_LINE]} …"
            lines.append(f"{message.role}: {short}")
    # A third is for what is new, at least.
    room = min(_TRIMMED, max(allowed - _bytes(before), allowed // 3))
    kept: list[str] = []
    length = _bytes(_left_out(len(lines)))
    for line in reversed(lines):
        length += _bytes(line) + 1
        if length > room:
            kept.append(_left_out(len(lines) - len(kept)))
            break
        kept.append(line)
    new = "\n".join(reversed(kept))
    old = _within(before, allowed - _bytes(new) - 1)
    return "\n".join(filter(None, (old, new)))


def _left_out(count: int) -> str:
    return f"… {count} messages before are left out"


def _within(text: str, allowed: int) -> str:
    """*text*, or its beginning and end with a note between them, in *allowed* bytes."""
    short, most = text, len(text)
    while _bytes(short) > allowed and most:
        most = most * 4 // 5
        short = shortened(text, most)
    return short


def _words(message: Message) -> str:
    words: list[str] = []
    for part in message.parts:
        match part:
            case ToolCall(name=name, arguments=arguments):
                words.append(f"calls {name}({arguments})")
            case ToolResult(text=text, media=media):
                words += (text, *map(_shown, media))
            case Image() | File():
                words.append(_shown(part))
            case _:
                pass
    return " ".join([message.text, *words])


def _shown(part: Media) -> str:
    return f"(the file {part.name})" if isinstance(part, File) else "(an image)"


def script(messages: Sequence[Message], room: int) -> str:
    """*messages* as text for a model that is to sum them up, within *room* tokens.

    What is too long is shortened in its middle: first the long ones, then all.
    """
    texts = [f"{message.role}: {_words(message)}" for message in messages]
    allowed = room * tokens.BYTES_PER_TOKEN
    longest = max(map(len, texts), default=0)
    while longest > _LINE and sum(map(_bytes, texts)) > allowed:
        longest //= 2
        texts = [shortened(text, longest) for text in texts]
    whole = "\n\n".join(texts)
    return whole if _bytes(whole) <= allowed else shortened(whole, allowed // 4)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
