"""Journals that nobody would write by hand."""

import attrs
from hypothesis import strategies as st

from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    ClockMoved,
    Compacted,
    InboundTaken,
    Noted,
    Revived,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.ledger import NewEvent
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    ModelParams,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.transcript import Fact, Transcript, advance


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
bodies = st.one_of(
    st.builds(
        InboundTaken,
        messages=st.lists(messages, max_size=2).map(tuple),
        inbox_id=counts,
    ),
    st.builds(
        RunStarted,
        epoch=counts,
        agent=texts,
        definition=texts,
        params=st.builds(ModelParams, max_tokens=st.none() | counts),
        retractable=st.booleans(),
    ),
    st.builds(Asked, attempt=counts, provider=texts, model=texts),
    st.builds(
        AttemptFailed, attempt=counts, kind=st.sampled_from(["network"]), error=texts
    ),
    st.builds(
        Answered,
        attempt=counts,
        message=messages,
        stop_reason=st.sampled_from(["stop", "aborted"]),
        usage=st.builds(Usage, counts, counts, counts, st.booleans()),
    ),
    st.builds(
        ToolBegun,
        call_id=st.sampled_from(["", "0", "1"]),
        tool=texts,
        effect=st.sampled_from(["pure", "unsafe"]),
        key=texts,
        attempt=counts,
    ),
    st.builds(
        ToolEnded,
        outcome=st.sampled_from(["ok", "unknown"]),
        result=st.builds(ToolResult, st.sampled_from(["", "0", "1"]), texts),
        digest=texts,
        size=counts,
    ),
    st.builds(Noted, text=texts),
    st.builds(ClockMoved, by=st.floats(-1e9, 1e9)),
    st.builds(Revived),
    st.builds(
        WaitBegun,
        wait_id=st.sampled_from(["v", "w"]),
        call_id=st.sampled_from(["", "0", "1"]),
        question=texts,
        expires_at=st.floats(0, 1e9),
    ),
    st.builds(
        WaitOver,
        wait_id=st.sampled_from(["v", "w"]),
        verdict=st.sampled_from(["allow", "deny"]),
        by=texts,
        text=texts,
    ),
    st.builds(
        RunOver, outcome=st.sampled_from(["ok", "error"]), stop_reason=st.just("stop")
    ),
)


facts = st.builds(Fact, bodies, st.sampled_from([None, "r", "s"]), st.floats(0, 1e9))


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> list[Fact]:
    """Facts in any order; what is compacted was there, and was not covered before."""
    history: list[Fact] = []
    covered = 0
    for fact in draw(st.lists(facts, max_size=most)):
        if len(history) > covered + 1 and draw(st.integers(0, 7)) == 0:
            last = draw(st.integers(covered + 1, len(history) - 1))
            body = Compacted(
                first=covered + 1,
                last=last,
                summary=draw(texts),
                method="trim",
                before=9,
            )
            history.append(Fact(body, fact.run_id, fact.at))
            covered = last
        elif draw(st.integers(0, 7)) == 0:
            found = repaired(advance(Transcript(), history))
            if found is not None:
                history.append(Fact(found))
        history.append(fact)
    return history
