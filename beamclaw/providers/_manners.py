"""Asking once more where a model has refused something that can be said otherwise."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from beamclaw.contracts.providers import ProviderError, ProviderEvent

M = TypeVar("M")
Asked = AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]


@asynccontextmanager
async def in_some_manner(
    manner: M,
    ask: Callable[[M], Asked],
    otherwise: Callable[[M, str], M],
    found: Callable[[M], None],
) -> AsyncGenerator[AsyncIterator[ProviderEvent], None]:
    """The answer of a model that is asked in one manner after the other, none twice.

    Args:
        manner: The first one; has to be hashable.
        ask: Asks in a manner.
        otherwise: How to ask after a refusal with these words; as before, if they are
            about something else.
        found: Is told the manner that was not refused.

    Raises:
        ProviderError: The call failed, or nothing is left to try.
    """
    async with AsyncExitStack() as stack:
        tried = {manner}
        while True:
            try:
                events = await stack.enter_async_context(ask(manner))
            except ProviderError as error:
                if error.kind != "invalid":
                    raise
                manner = otherwise(manner, error.message)
                if manner in tried:
                    raise
                tried.add(manner)
            else:
                break
        found(manner)
        yield events
