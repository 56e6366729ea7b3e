"""A bus that proves what the real one only promises: all that crosses it is a value.

Everything handed over is encoded to JSON bytes and decoded again, the replies and the
published values too. A pid, a callable or a channel does not survive that, and a class
whose fields lose their types comes out different: both are errors here.
"""

from typing import Any, TypeVar, cast

import supervision
from beamclaw.bus import LocalBus
from beamclaw.contracts.codec import decode, encode

T = TypeVar("T")


class NotAValueError(TypeError):
    """Something was handed to the bus that another node could not have received."""


def through_the_wire(value: Any) -> Any:
    """*value* as another node would get it.

    Raises:
        NotAValueError: It cannot be encoded, or comes out different.
    """
    if value is None:
        return None
    kind = cast("type[Any]", type(value))
    try:
        received: Any = decode(encode(value), kind)
    except Exception as error:
        raise NotAValueError(f"{value!r} does not cross the bus: {error}") from error
    if received != value:
        raise NotAValueError(f"{value!r} comes out of the bus as {received!r}")
    return received


class StrictBus(LocalBus):
    """In place of :class:`beamclaw.bus.LocalBus` in tests; much slower."""

    async def call(
        self,
        endpoint: str,
        request: supervision.Call[T],
        *,
        timeout: float | None = 5.0,
    ) -> T:
        """Encode the request; the reply must survive as its own type."""
        reply: Any = await super().call(
            endpoint, through_the_wire(request), timeout=timeout
        )
        return _reply(reply)

    def cast(self, endpoint: str, message: object) -> None:
        """Encode the message."""
        super().cast(endpoint, through_the_wire(message))

    def publish(self, topic: str, value: object) -> int:
        """Encode the value, whether anybody listens or not."""
        return super().publish(topic, through_the_wire(value))


def _reply(reply: Any) -> Any:
    if isinstance(reply, tuple):
        items = cast("tuple[Any, ...]", reply)
        return tuple(_reply(item) for item in items)
    return through_the_wire(reply)
