"""``POST /v1/embeddings``: read, handed to the tenant, answered."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

import trio
from quart import Response, request
from quart_trio import QuartTrio

import supervision
from beamclaw.config.schema import Config
from beamclaw.contracts.embeddings import Embedded, NotEmbedded, embed
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.openai import embeddings
from beamclaw.gateway.openai.embeddings import Limits, Wanted
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.replies import as_json
from beamclaw.gateway.rest.routes import Rest
from beamclaw.gateway.turns import UNAVAILABLE, refused
from beamclaw.values import frozen

PATH: Final = "/v1/embeddings"
# Waits between tries while that part of the node is down.
PAUSES: Final = (0.05, 0.2, 0.8)


def add_route(app: QuartTrio, rest: Rest) -> None:
    """Add the path to *app*."""
    app.add_url_rule(PATH, PATH, _Door(rest).serve, methods=["POST"])


@frozen
class _Door:
    rest: Rest

    async def serve(self) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        wanted = await self._read(scope["beamclaw.body"], asked.headers)
        if isinstance(wanted, Problem):
            return as_json(wanted)
        made = await self._made(wanted, scope["beamclaw.principal"].tenant)
        if isinstance(made, Problem):
            return as_json(made)
        if isinstance(made, NotEmbedded):
            return as_json(embeddings.failed(made))
        # There may be hundreds of thousands of numbers in it.
        work = partial(embeddings.answer, wanted, made)
        return as_json(await self.rest.node.reader.run(work))

    async def _read(self, body: bytes, headers: Mapping[str, str]) -> Wanted | Problem:
        value = await self.rest.turns.read(body)
        if isinstance(value, Problem):
            return value
        config = self.rest.node.config
        return embeddings.read(value, headers, config, limits_of(config))

    async def _made(
        self, wanted: Wanted, tenant: str
    ) -> Embedded | NotEmbedded | Problem:
        for pause in PAUSES:
            try:
                return await embed(self.rest.bus, tenant, wanted.order)
            except supervision.NoProcess:  # nobody has begun anything
                await trio.sleep(pause)
            except supervision.CallFailed:
                return UNAVAILABLE
            except LedgerError as error:
                return refused(error)
        return UNAVAILABLE


def limits_of(config: Config) -> Limits:
    """How much one request may ask for."""
    own = config.gateway.embeddings
    return Limits(
        texts=own.max_texts, text_chars=own.max_chars, all_chars=own.max_all_chars
    )
