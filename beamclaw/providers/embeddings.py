"""OpenAI-compatible embeddings, as client: the request, and the vectors in the answer.

Servers differ here, too: some know no base64 and send lists whatever was asked for, some
say nothing of what they bill, some send the vectors in another order.
"""

import base64
import binascii
import math
from array import array
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, cast

import orjson

from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    End,
    ProviderEvent,
    Vectors,
)
from beamclaw.providers._json import count, fields, loads_object, objects
from beamclaw.providers.errors import Failures
from beamclaw.providers.sse import ServerSentEvent

_FLOAT: Final = 4  # bytes of a number in base64


def embedding_body(request: EmbeddingRequest) -> dict[str, Any]:
    """The body of the request."""
    optional = {"dimensions": request.dimensions, "user": request.user}
    return {
        "model": request.model,
        "input": list(request.inputs),
        "encoding_format": "base64" if request.base64 else "float",
        **{name: value for name, value in optional.items() if value is not None},
    }


class EmbeddingParser:
    """Takes the one answer; it is read when somebody wants it.

    See :class:`beamclaw.providers._wire.Parser`.
    """

    complete = False

    def __init__(self, failures: Failures, request: EmbeddingRequest) -> None:
        self._failures = failures
        self._request = request

    def feed(self, event: ServerSentEvent) -> Iterable[ProviderEvent]:
        """Refuse it: nobody asked for a stream."""
        del event
        raise self._failures.garbled("a stream in place of vectors")

    def finish(self) -> Iterable[ProviderEvent]:
        """Refuse it: an answer has come whole, or none has."""
        raise self._failures.garbled("no vectors")

    def whole(self, body: bytes) -> Iterable[ProviderEvent]:
        """Take the answer."""
        read = partial(read_vectors, body, self._request, self._failures)
        return (Vectors(read), End("stop"))


def read_vectors(
    body: bytes, request: EmbeddingRequest, failures: Failures
) -> tuple[bytes, Usage | None]:
    """The vectors in *body*, as a JSON list in the order of the inputs; and the bill.

    Raises:
        ProviderError: They are not what was asked for.
    """
    answer = loads_object(body)
    if answer is None:
        raise failures.garbled("an answer that is no JSON object")
    if answer.get("error"):
        raise failures.event(answer, request.model)
    found: dict[object, object] = {}
    for place, each in enumerate(objects(answer.get("data"))):
        found.setdefault(each.get("index", place), each.get("embedding"))
    places = range(len(request.inputs))
    if found.keys() != set(places):
        raise failures.garbled(f"{len(found)} vectors for {len(places)} texts")
    try:
        vectors = [_vector(found[place], as_text=request.base64) for place in places]
    except ValueError as error:
        raise failures.garbled(f"a vector that is none: {error}") from None
    return orjson.dumps(vectors), _usage(answer.get("usage"))


def _vector(value: object, *, as_text: bool) -> str | list[float]:
    """A vector in the form that was asked for, whichever it came in."""
    numbers = _numbers(value)
    if not as_text:
        return list(numbers)
    return value if isinstance(value, str) else _text(numbers)


def _numbers(value: object) -> "array[float]":
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("no base64") from None
        if not raw or len(raw) % _FLOAT:
            raise ValueError("no whole numbers in it")
        numbers = array("f", raw)
    elif isinstance(value, list) and value:
        given = cast("list[object]", value)
        if any(type(number) not in (int, float) for number in given):
            raise ValueError("not only numbers in it")
        numbers = array("d", cast("list[float]", given))
    else:
        raise ValueError("neither a list nor text")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number in it is none")
    return numbers


def _text(numbers: "array[float]") -> str:
    return base64.b64encode(array("f", numbers).tobytes()).decode()


def _usage(given: object) -> Usage | None:
    usage = fields(given)
    billed = count(usage.get("prompt_tokens")) or count(usage.get("total_tokens"))
    return Usage(billed, 0) if billed else None
