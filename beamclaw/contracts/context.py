"""What fits into a model's window, and where a conversation may be cut.

Decisions without I/O: how many tokens a prompt has, whether it has to be compacted, what
a compaction covers, and the summary that needs no model.
"""

from bisect import bisect_left
from collections.abc import Sequence

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
from beamclaw.contracts.transcript import Transcript
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
    """

    tokens: int
    output: int
    overhead: int
    keep: int
    system: int = 0

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
    summed_up = state.covered > 0 and state.seqs and state.seqs[0] <= state.covered
    summary = state.sums[0] if summed_up else 0
    return Share(
        window=window.tokens,
        system=window.system,
        tools=window.overhead - window.system,
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


def cut(state: Transcript, keep: int) -> int | None:
    """How many of the first messages a compaction covers; None: none can be.

    The latest *keep* tokens stay, and at least the last message. A cut never parts a
    tool call from its result. What a summary stands for already is not worth one.
    """
    messages = state.messages
    if not messages:
        return None
    # Of the messages before the last, those that fit into *keep* stay, too.
    last = len(messages) - 1
    before = state.sums[last - 1] if last else 0
    at = max(bisect_left(state.sums, before - keep, 0, last) + 1, 1)
    open_calls: set[str] = set()
    best = None
    for index, message in enumerate(packed(messages)):
        if index and not open_calls and state.seqs[index - 1] != state.seqs[index]:
            covers = state.seqs[index - 1] > state.covered
            if covers and (index <= at or best is None):
                best = index
        parts = () if isinstance(message, str) else message.parts
        for part in parts:
            if isinstance(part, ToolCall):
                open_calls.add(part.id)
            elif isinstance(part, ToolResult):
                open_calls.discard(part.id)
    return best


_LINE = 200
_TRIMMED = 4_000


def trimmed(messages: Sequence[Message]) -> str:
    """A summary that needs no model: how each message begins, the latest ones at least."""
    lines: list[str] = []
    for message in messages:
        text = " ".join(_words(message).split())
        if text:
            short = text if len(text) <= _LINE else f"{text[:_LINE]} …"
            lines.append(f"{message.role}: {short}")
    kept: list[str] = []
    length = 0
    for line in reversed(lines):
        length += len(line) + 1
        if length > _TRIMMED:
            kept.append(f"… {len(lines) - len(kept)} messages before are left out")
            break
        kept.append(line)
    return "\n".join(reversed(kept))


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
