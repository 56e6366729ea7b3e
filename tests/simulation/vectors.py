"""The model of a world that makes vectors: what it is asked, what it says and bills."""

import base64
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import orjson
import trio

from beamclaw.contracts.providers import ErrorKind, ProviderError
from tests.audit.known import Embedding
from tests.simulation.model import markers
from tests.simulation.trace import Trace

# What the model is called; no other one makes any.
MODEL = "vec"
_REFUSALS: tuple[ErrorKind, ...] = (
    *("rate_limit", "overloaded", "server", "network", "auth", "quota", "invalid"),
)


def vectors_in(data: Iterable[Mapping[str, Any]]) -> tuple[tuple[float, ...], ...]:
    """The vectors of an answer, in whichever form they came."""
    return tuple(tuple(_numbers(each["embedding"])) for each in data)


def _numbers(vector: str | list[float]) -> Iterable[float]:
    if not isinstance(vector, str):
        return vector
    raw = base64.b64decode(vector)
    return struct.unpack(f"<{len(raw) // 4}f", raw)


@attrs.define
class VectorCall:
    """One call, as its provider saw it.

    Attributes:
        marker: Of the request that it is for.
        billed: Tokens.
        counts: The bill stands in the answer.
        vectors: Those that it has given.
    """

    number: int
    marker: str
    at: float
    texts: tuple[str, ...]
    billed: int = 0
    counts: bool = True
    error: str = ""
    vectors: tuple[tuple[float, ...], ...] = ()

    def known(self) -> Embedding:
        """In the auditor's words."""
        return Embedding(
            marker=self.marker,
            at=self.at,
            model=MODEL,
            billed=self.billed,
            counts=self.counts,
            vectors=self.vectors,
        )


@attrs.define(eq=False)
class Vectors:
    """The model.

    Attributes:
        trouble: How likely a call fails.
        begun: Is told of each call that begins.
        due: Is called once, when the next one has been worked for.
    """

    trace: Trace
    random: random.Random
    trouble: float
    begun: Callable[[VectorCall], None]
    due: Callable[[], None] | None = None
    calls: list[VectorCall] = attrs.field(factory=list[VectorCall])

    def begin(self, texts: Iterable[str], at: float) -> VectorCall:
        """A call has come in that was made at *at*."""
        given = tuple(texts)
        marker = markers(given[0])[0]
        call = VectorCall(len(self.calls) + 1, marker, at, given)
        self.calls.append(call)
        self.trace.note("vectors", f"call {call.number} for {marker}")
        self.begun(call)
        return call

    async def answer(self, call: VectorCall, form: str) -> bytes:
        """What is said to it.

        Raises:
            ProviderError: That it fails.
        """
        rng = self.random
        trouble = rng.random() < self.trouble
        if trouble and rng.random() < 0.6:
            await self._refuse(call)
        await trio.sleep(rng.choice((0.0, 0.05, 0.3, 2.0)))
        call.billed = sum(len(text) // 4 + 1 for text in call.texts)
        call.counts = rng.random() < 0.9
        due, self.due = self.due, None
        if due is not None:
            due()
        if trouble and rng.random() < 0.5:
            await trio.sleep(rng.choice((0.0, 0.0, 400.0)))
            raise self._failed(call, "network", None)
        vectors = [_vector(call, text) for text in call.texts]
        if trouble:  # a server that loses one of them
            call.error = "server"
            return self._body(call, vectors[:-1], form)
        call.vectors = tuple(vectors)
        self.trace.note("vectors", f"call {call.number} whole")
        return self._body(call, vectors, form)

    async def _refuse(self, call: VectorCall) -> None:
        rng = self.random
        await trio.sleep(rng.choice((0.0, 0.5)))
        after = rng.choice((None, None, 1.0, 20.0))
        raise self._failed(call, rng.choice(_REFUSALS), after)

    def _failed(
        self, call: VectorCall, kind: ErrorKind, after: float | None
    ) -> ProviderError:
        call.error = kind
        self.trace.note("vectors", f"call {call.number} {kind} {after}")
        return ProviderError(kind, f"told to be {kind}", retry_after=after)

    def _body(
        self, call: VectorCall, vectors: list[tuple[float, ...]], form: str
    ) -> bytes:
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _written(vector) if form == "base64" else vector,
            }
            for index, vector in enumerate(vectors)
        ]
        self.random.shuffle(rows)
        usage = {"prompt_tokens": call.billed, "total_tokens": call.billed}
        whole = {"object": "list", "data": rows, "model": MODEL}
        return orjson.dumps({**whole, **({"usage": usage} if call.counts else {})})


def _vector(call: VectorCall, text: str) -> tuple[float, ...]:
    """Says of which text it is, and of which call; no number loses anything in base64."""
    return float(len(text)), zlib.crc32(text.encode()) % 65_536 / 4, float(call.number)


def _written(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
