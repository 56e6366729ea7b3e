"""A provider of a world behind HTTP: what a model says, in bytes of its protocol.

The server is the one of the fakes, on the network in memory. What is asked is checked by
the rules of the strict fakes; what is answered, and when, is up to the world's models.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, cast

import attrs
import orjson
import trio

from beamclaw.contracts.providers import ProviderError
from beamclaw.testing._http import Channel, Cut, HTTPRequest, serving
from beamclaw.testing._provider import Refused
from beamclaw.testing.fake_openai import EMBEDDINGS
from tests.simulation.model import Models
from tests.simulation.network import Socket
from tests.simulation.speech import Dialect, Speech, speech
from tests.simulation.vectors import Vectors

# Where each provider is.
HOSTS: Mapping[str, str] = {"a.world": "10.0.0.1", "b.world": "10.0.0.2"}
_STREAM = "text/event-stream; charset=utf-8"


@asynccontextmanager
async def serving_models(
    models: Models, vectors: Vectors, dialects: tuple[Dialect, ...]
) -> AsyncGenerator[None]:
    """Have both providers listen while the block lasts."""
    async with AsyncExitStack() as stack:
        for (host, address), dialect in zip(HOSTS.items(), dialects, strict=True):
            name = host.partition(".")[0]
            provider = Provider(models, vectors, name, speech(dialect))
            await stack.enter_async_context(
                serving(provider.handle, host=address, port=80)
            )
        yield


@attrs.define(eq=False)
class Provider:
    """One of them."""

    models: Models
    vectors: Vectors
    name: str
    speech: Speech

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        """Answer one request."""
        body = orjson.loads(request.body)
        speech = self.speech
        found = [str(refused) for refused in speech.fake.check(request, body)]
        self.models.wrong += [f"{self.name} refuses it: {why}" for why in found]
        if request.path == EMBEDDINGS:
            await self._embed(body, channel)
            return
        asked, out = speech.read(body), speech.answer(body["model"])
        call = self.models.begin(self.name, asked, sent_at(channel))
        began = False
        async with aclosing(self.models.answer(call, asked)) as events:
            try:
                async for event in events:
                    if not began:
                        began = True
                        await channel.begin(_STREAM)
                    if data := out.said(event):
                        await channel.chunk(data)
            except ProviderError as error:
                if began or speech.failures[error.kind] is None:
                    raise Cut from None
                await self._refuse(channel, error)
                return
        await channel.end()

    async def _embed(self, body: Mapping[str, Any], channel: Channel) -> None:
        call = self.vectors.begin(body["input"], sent_at(channel))
        try:
            answer = await self.vectors.answer(call, body["encoding_format"])
        except ProviderError as error:
            if self.speech.failures[error.kind] is None:
                raise Cut from None
            await self._refuse(channel, error)
            return
        await channel.respond(200, answer)

    async def _refuse(self, channel: Channel, error: ProviderError) -> None:
        found = self.speech.failures[error.kind]
        assert found is not None
        headers = {}
        if error.retry_after is not None:
            headers["retry-after"] = f"{error.retry_after:g}"
        refused = Refused(*found, str(error))
        await channel.respond(
            found[0], self.speech.fake.error(refused), headers=headers
        )


def sent_at(channel: Channel) -> float:
    """When a request was sent, which is when it counts: who sent it may be dead by now."""
    socket = cast("trio.SocketStream", channel._stream).socket
    return cast("Socket", socket).heard
