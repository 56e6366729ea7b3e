"""Journals that nobody would write by hand.

What an event may say is read off its class, so that a new kind, or a new field of one, is in
them without anybody remembering. By hand are only those whose values have to fit the
conversation before them: :data:`FITTED`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
from hypothesis import strategies as st

from beamclaw.contracts.journal import Body, Compacted, Forked, Repaired, Rewound, event
from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.transcript import Fact, Transcript, evolve


def stored(new: NewEvent, seq: int) -> Event:
    fields = attrs.asdict(new, recurse=False)
    return Event(seq=seq, **fields)


texts = st.text(max_size=8)
kinds = st.sampled_from(
    ["", "image/png", "image/tiff", "application/pdf", "text/plain", "text/csv"]
)
urls = st.sampled_from([None, "", "https://example.org/x", "ftp://example.org/x"])
data = st.sampled_from([None, "", "aGk=", "IA==", "no base64"])
media = st.one_of(
    st.builds(Image, urls, data, st.none() | kinds),
    st.builds(File, texts, kinds, urls, data),
)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Thinking, texts, st.none() | texts, st.none() | texts),
    st.builds(ToolCall, texts, texts, texts),
    media,
    st.builds(
        ToolResult, texts, texts, st.booleans(), st.lists(media, max_size=2).map(tuple)
    ),
)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system", "tool"]),
    st.lists(parts, max_size=3).map(tuple),
)
counts = st.integers(0, 9)


# --- what a class may say, by its types

# So few that they meet.
CALLS: Final = st.sampled_from(["", "0", "1"])
NAMED: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "call_id": CALLS,
    "wait_id": st.sampled_from(["v", "w"]),
}
"""Values of fields of these names, in whatever class."""

PLAIN: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    str: texts,
    int: counts,
    bool: st.booleans(),
    float: st.floats(0, 1e9),
    NoneType: st.none(),
    Any: st.none() | st.booleans() | counts | texts,
    Message: messages,
    ToolResult: st.builds(
        ToolResult, CALLS, texts, st.booleans(), st.lists(media, max_size=2).map(tuple)
    ),
}


def of_type(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 -- a table
    """Values of a type, as those of journals are: small, and of plain parts."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of_type(inner[0])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*map(of_type, inner))
    if origin is tuple and inner[-1] is ...:
        return st.lists(of_type(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_type, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(*map(of_type, inner), max_size=2)
    if attrs.has(kind):
        return of_class(kind)
    raise TypeError(f"tests/support/journals.py does not know what a {kind} may be")


def of_class(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Values of an attrs class."""
    types = get_type_hints(cls, include_extras=True)
    fields = {
        field.name: NAMED.get(field.name, of_type(types[field.name]))
        for field in attrs.fields(cls)
    }
    return st.builds(cls, **fields)


# --- what has to fit what was before

States = Sequence[Transcript]
"""What a journal had come to behind each of its events; the first is before all."""


def _compacted(draw: st.DrawFn, states: States) -> Body | None:
    """It stands for events that were there, and that no other stands for."""
    now = states[-1]
    if now.seq <= now.covered + 1:
        return None
    last = draw(st.integers(now.covered + 1, now.seq - 1))
    drawn = draw(of_class(Compacted))
    return attrs.evolve(drawn, first=now.covered + 1, last=last)


def _repaired(draw: st.DrawFn, states: States) -> Body | None:
    """What is found at the messages, if anything is."""
    return repaired(states[-1])


def _rewound(draw: st.DrawFn, states: States) -> Body | None:
    return Rewound(to=draw(st.integers(0, states[-1].seq)))


def _forked(draw: st.DrawFn, states: States) -> Body | None:
    """Each message is from an event of the other journal that no summary stands for."""
    drawn = draw(of_class(Forked))
    seq = draw(st.integers(0, 9))
    covered = draw(st.integers(0, seq))
    some = st.integers(min(covered + 1, seq), seq)
    seqs = sorted(draw(st.tuples(*(some for _ in drawn.messages))))
    counted = draw(st.integers(0, len(seqs))), drawn.counted[1]
    return attrs.evolve(
        drawn, seq=seq, covered=covered, seqs=tuple(seqs), counted=counted
    )


FITTED: Final[Mapping[type, Callable[[st.DrawFn, States], Body | None]]] = {
    Compacted: _compacted,
    Repaired: _repaired,
    Rewound: _rewound,
    Forked: _forked,
}
"""Those that depend on the journal so far; None: it cannot be there now."""


# --- journals

runs = st.sampled_from([None, "r", "s"])


def bodies(kinds: Sequence[type]) -> st.SearchStrategy[Body | type]:
    """Of each kind of event what it may say; the class itself where that has to fit."""
    return st.one_of(
        *(st.just(kind) if kind in FITTED else of_class(kind) for kind in kinds)
    )


drawn_bodies = bodies(get_args(Body))


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> list[Fact]:
    """Facts in any order, each of which could have come there."""
    states = [Transcript()]
    history: list[Fact] = []
    for drawn in draw(st.lists(drawn_bodies, max_size=most)):
        body = FITTED[drawn](draw, states) if isinstance(drawn, type) else drawn
        if body is not None:
            fact = Fact(body, draw(runs), draw(st.floats(0, 1e9)))
            history.append(fact)
            states.append(followed(states, fact))
    return history


def followed(states: States, fact: Fact) -> Transcript:
    """What a session comes to with *fact*, event by event, as it keeps it."""
    body = fact.body
    before = states[body.to] if isinstance(body, Rewound) else states[-1]
    return evolve(before, len(states), fact)


def states_of(history: Sequence[Fact], known: States = ()) -> list[Transcript]:
    """What it comes to behind each event; *known* are the first of them."""
    found = [*known] or [Transcript()]
    for fact in history[len(found) - 1 :]:
        found.append(followed(found, fact))
    return found


def journal_of(history: Sequence[Fact]) -> list[Event]:
    """*history* as it is stored."""
    return [
        stored(event(fact.body, at=fact.at, run_id=fact.run_id), seq)
        for seq, fact in enumerate(history, 1)
    ]
