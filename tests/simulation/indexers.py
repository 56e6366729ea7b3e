"""Programs that have texts made into vectors by the node, over HTTP.

Nothing of such a request is taken up again: who gets no vectors asks anew, and each time
is a request of its own with a marker of its own.
"""

import random
from typing import Any

import attrs
import orjson
import trio

from tests.audit.known import Wanted
from tests.simulation.network import NODE, Network, Socket
from tests.simulation.plan import Texts
from tests.simulation.trace import Trace
from tests.simulation.vectors import vectors_in
from tests.simulation.web import BROKEN, Line

TRIES = 3
# Seconds after which nobody answers: longer than all that a node may wait for.
_PATIENCE = 20_000.0


@attrs.define(eq=False)
class Indexers:
    """All of them.

    Attributes:
        wanted: Their requests, and what came of them.
    """

    network: Network
    trace: Trace
    random: random.Random
    token: str
    wanted: list[Wanted] = attrs.field(factory=list[Wanted])

    async def work(self, all_: tuple[Texts, ...]) -> None:
        """What one of them asks for, one request after the other."""
        for texts in all_:
            await trio.sleep(texts.pause)
            for number in range(TRIES):
                wanted = Wanted(marker=f"{texts.marker}.{number}")
                self.wanted.append(wanted)
                await self._ask(texts, wanted)
                if wanted.vectors is not None or wanted.left:
                    break
                await trio.sleep(self.random.choice((0.02, 0.5, 10.0)))

    async def _ask(self, texts: Texts, wanted: Wanted) -> None:
        """One request, to the end that it has for its client."""
        line = Line(Socket(self.network), _PATIENCE)
        seconds = float("inf") if texts.leaves is None else texts.leaves
        self.trace.note("indexer", f"ask {wanted.marker}")
        try:
            with trio.move_on_after(seconds) as waiting:
                await line.connect()
                await self._answered(line, texts, wanted)
            wanted.left = waiting.cancelled_caught
        except trio.TooSlowError:
            # On a line that works somebody has been forgotten, and that is no end.
            wanted.cut = wanted.broken = line.socket.is_broken
        except BROKEN:
            wanted.cut, wanted.broken = True, line.socket.is_broken
        finally:
            line.close()
        self.trace.note("indexer", f"end {wanted.marker} {_word(wanted)}")

    async def _answered(self, line: Line, texts: Texts, wanted: Wanted) -> None:
        headers = [
            ("host", f"127.0.0.1:{NODE[1]}"),
            ("authorization", f"Bearer {self.token}"),
            ("content-type", "application/json"),
        ]
        await line.send("/v1/embeddings", headers, _body(texts, wanted.marker))
        head = await line.head()
        said = orjson.loads(await line.body())
        if head.status_code != 200:
            wanted.codes.append(said["error"]["code"])
            return
        wanted.vectors = vectors_in(said["data"])
        wanted.billed = said["usage"]["prompt_tokens"]


def _body(texts: Texts, marker: str) -> bytes:
    body: dict[str, Any] = {
        "input": [
            f"<<{marker}>> {place} ".ljust(size, "x")
            for place, size in enumerate(texts.sizes)
        ]
    }
    if texts.base64:
        body["encoding_format"] = "base64"
    return orjson.dumps(body)


def _word(wanted: Wanted) -> str:
    if wanted.vectors is not None:
        return "vectors"
    if wanted.left or wanted.cut:
        return "left" if wanted.left else "cut"
    return wanted.codes[0] if wanted.codes else "nobody answers"
