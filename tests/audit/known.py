"""What everybody knows: the values that the auditor judges by.

What clients sent and got (:class:`Sent`), what the model provider was asked
(:class:`Call`), what the tools did (:class:`Effect`), and the ledger read with plain
SQLite (:class:`~tests.audit.book.Book`), at the end and after each kill. Whoever plays
fills these in: fakes and clients of the real program, or those of a simulated world.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
import orjson

from tests.audit.book import Book

UNSAFE = ("send", "ask", "dare", "exec", "process")
TOOLS = ("look", "put", "order", "send", "ask", "dare", "exec")
ONCE = (
    "put",
    "order",
    "send",
    "ask",
    "exec",
)  # tools with effects that may be seen once at most
OF_CLIENTS = ("weather",)  # what a client has said that it can do itself
FINE = ("ok", "limited")


@attrs.frozen
class End:
    """An end of a turn as a client was told it, and what it had been shown by then."""

    outcome: str
    text: str
    shown: str = ""


@attrs.define(kw_only=True)
class Sent:
    """One message of a client, and what the client saw; times are monotonic.

    Attributes:
        marker: Stands in the message, so that it is found again everywhere.
        acked: When the client was told that the message is kept.
        texts: Each answer that came in whole: the first, and what joins brought.
        errors: Each end of the turn in words of failure that it was told.
        ends: Each end, where a client is told it in so many words.
        outcomes: Which ends are in order for it.
        after: The marker of the message that was acknowledged before this one was sent
            in the same session.
        run_id: As the client was told.
        stopped: What the client was told when it stopped the turn, if it did.
        fresh: It was to begin a new conversation.
    """

    marker: str
    session: str
    at: float
    acked: float | None = None
    finished: float | None = None
    texts: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    ends: list[End] = attrs.field(factory=list)
    outcomes: tuple[str, ...] = ("ok",)
    after: str | None = None
    run_id: str | None = None
    stopped: bool | None = None
    fresh: bool = False


@attrs.frozen(kw_only=True)
class Verdict:
    """A person's answer to a question, and what the person was told: did it count.

    None: the person never heard; it may have.
    """

    wait_id: str
    verdict: str
    by: str
    counts: bool | None


@attrs.frozen(kw_only=True)
class Effect:
    """Something that a tool did; *text* says for which call of which message.

    *script* is what it carried out, *what* names that; None: nobody has to agree to it.
    """

    tool: str
    key: str
    text: str
    script: str | None = None
    what: str = ""


@attrs.define(kw_only=True)
class Program:
    """A command, by its own word: what it has said so far, and how it has ended.

    Attributes:
        said: None: nobody else knows.
        code: With which it ended by itself.
        signal: Of which it died.
    """

    said: str | None = ""
    code: int | None = None
    signal: int | None = None


@attrs.frozen(kw_only=True)
class Call:
    """One call of the model as the provider saw it.

    Attributes:
        marker: Of the last message of a person in the prompt.
        summary: It is about a summary, not an answer.
        billed: Tokens in and out; None where the provider bills nothing.
        messages: Of the prompt, as they were sent.
        said: What the provider has answered so far; None: nobody looked.
        life: Of the node, the first is 1: which one has called, by its own word. *at* is
            when somebody read of it, and that may be later than the death of who called.
            None: by *at*, where the two are the same.
        agent: Who asks, as far as the provider can tell.
    """

    marker: str
    at: float
    model: str = ""
    summary: bool = False
    billed: tuple[int, int] | None = None
    whole: bool = True
    messages: tuple[Mapping[str, Any], ...] = ()
    breaches: tuple[str, ...] = ()
    said: str | None = None
    life: int | None = None
    agent: str = ""


@attrs.frozen(kw_only=True)
class Embedding:
    """One call for vectors as the provider saw it.

    Attributes:
        marker: Of the client's request that it is for.
        billed: Tokens; 0: nothing was worked.
        counts: The provider has said what it bills.
        vectors: In the order of the texts; none: it has given none.
    """

    marker: str
    at: float
    model: str
    billed: int = 0
    counts: bool = True
    vectors: tuple[tuple[float, ...], ...] = ()


@attrs.define(kw_only=True)
class Wanted:
    """One request of a client for vectors, and what the client got.

    Attributes:
        vectors: In the order of the texts; None: there were none.
        billed: Tokens, as it was told.
        codes: Each refusal that it was told.
        codes_explained: Those that what was done explains.
        left: It did not wait any more.
        cut: The connection was at its end before the answer.
        broken: That was the network's doing.
    """

    marker: str
    vectors: tuple[tuple[float, ...], ...] | None = None
    billed: int = 0
    codes: list[str] = attrs.field(factory=list)
    codes_explained: frozenset[str] = frozenset()
    left: bool = False
    cut: bool = False
    broken: bool = False

    @property
    def ends(self) -> int:
        """How many ends it has had."""
        return (self.vectors is not None) + len(self.codes) + self.left + self.cut


@attrs.frozen(kw_only=True)
class Served:
    """One request to a site, and what it was answered.

    Attributes:
        place: The last part of its path, which says which call it is for.
        address: At which it came in.
        words: What stands there, and nowhere else.
    """

    place: str
    url: str
    address: str
    at: float
    status: int
    words: str


@attrs.frozen
class Kill:
    """A kill -9: when, the ledger as it lay there, how many effects there had been."""

    at: float
    book: Book
    effects: int = 0


@attrs.frozen
class Done:
    """What somebody was told is done to a session: it is, by these words.

    Attributes:
        verb: ``rewind`` or ``fork``.
        to: Behind which event it was to go on.
        fork: The key of the session that was to begin there.
    """

    verb: str
    session: str
    to: int = 0
    fork: str = ""


@attrs.frozen
class Cap:
    """No more than *limit* out of the purses of this scope."""

    scope: str
    measure: str
    limit: int


@attrs.define(kw_only=True)
class Known:
    """All that anybody knows.

    Attributes:
        cuts: How often something else than the node was killed or failed, so that work
            may have been done in vain; None: nobody counted.
        family: What a turn may use with all who work for it (``turn``), and how many work
            at once, in a session or altogether, and how far below one another
            (``children``).
        terse: The model may answer with nothing.
        unwanted: Keys of conversations that somebody wants deleted.
        orders: What else somebody was told is done to a conversation.
        files: What is in those that agents work on, by their paths, when all is over;
            None: nobody has looked.
        programs: The commands, by the marks in their lines; None: nobody has looked.
        pages: The pages that were served as a whole; None: nobody has looked.
        served: What sites were asked for and have answered; None: nobody has looked.
        reached: The addresses that somebody began to connect to for a page.
        embeddings: Calls for vectors, in the order in which they were made.
        wanted: Requests for vectors.
    """

    book: Book = attrs.field(factory=Book)
    sent: dict[str, Sent] = attrs.field(factory=dict)
    kills: list[Kill] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    effects: list[Effect] = attrs.field(factory=list)
    verdicts: list[Verdict] = attrs.field(factory=list)
    caps: tuple[Cap, ...] = ()
    family: tuple[Cap, ...] = ()
    cuts: int | None = None
    terse: bool = False
    unwanted: set[str] = attrs.field(factory=set)
    orders: list[Done] = attrs.field(factory=list)
    files: Mapping[str, str] | None = None
    programs: Mapping[str, Program] | None = None
    pages: AbstractSet[str] | None = None
    served: list[Served] | None = None
    reached: list[str] = attrs.field(factory=list)
    embeddings: list[Embedding] = attrs.field(factory=list)
    wanted: list[Wanted] = attrs.field(factory=list)

    def life_at(self, at: float) -> int:
        """Which life of the node a client has heard from at that time.

        Exact for clients: a death is only written down when all have noticed it.
        """
        return 1 + sum(kill.at < at for kill in self.kills)

    def life_of(self, call: Call) -> int:
        """Which life of the node has called."""
        return self.life_at(call.at) if call.life is None else call.life

    def is_deleted(self, book: Book, marker: str) -> bool:
        """Whether a message was said in a conversation that is deleted in *book*.

        What the node says there about a command is marked by the call that began it.
        """
        begun = marker.removeprefix("re:").partition("/")[0]
        sent = self.sent.get(marker) or self.sent.get(begun)
        return sent is not None and sent.session in book.deleted


Rule = Callable[[Known], Iterable[str]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Enter a rule into the table, under its name."""
    RULES[function.__name__] = function
    return function


def effects_of(lines: bytes) -> list[Effect]:
    """What the world of the tools wrote down."""
    return [_effect(row) for row in map(orjson.loads, lines.splitlines())]


def programs_of(lines: bytes) -> dict[str, Program]:
    """The commands that have told there how they were about to end."""
    rows = [orjson.loads(line) for line in lines.splitlines()]
    typed = defaultdict[str, list[str]](list)
    for row in rows:
        if row["tool"] == "typed":
            typed[row["key"]].append(row["arguments"]["text"])
    return {
        row["arguments"]["text"]: _program(row["arguments"], typed[row["key"]])
        for row in rows
        if row["tool"] == "exec"
    }


def _program(given: dict[str, Any], typed: list[str]) -> Program:
    lines = [f"<<{given['text']}>>", *(f"got {line}" for line in typed), "done", ""]
    signal = given.get("signal")
    return Program(
        # A terminal writes what is typed, too.
        said=None if given.get("pty") else "\n".join(lines),
        code=None if signal else given.get("code", 0),
        signal=signal,
    )


def _effect(row: dict[str, Any]) -> Effect:
    text = row["arguments"].get("text", "")
    return Effect(
        tool=row["tool"],
        key=row["key"],
        text=text,
        script=row.get("script"),
        what=row["arguments"].get("what", text),
    )
