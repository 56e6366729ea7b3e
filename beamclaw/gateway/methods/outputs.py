"""What a tool has said and its model was not told, for who looks at a conversation."""

from typing import Annotated, Final

from beamclaw.arguments import Range
from beamclaw.contracts.ledger_reads import ReadOutput
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Context, Text, Whole, method
from beamclaw.gateway.methods._sessions import ledger_of
from beamclaw.gateway.methods.looking import as_json
from beamclaw.values import frozen

# Characters in one answer.
MOST: Final = 250_000


@frozen(kw_only=True)
class OutputParams:
    """Which output, as its model was told of it, and which part of it."""

    output: Text
    offset: Whole = 0
    limit: Annotated[int, Range(1, MOST)] = 50_000


@method("beamclaw.output", scope=READ, params=OutputParams, published=False)
async def output(context: Context, params: OutputParams) -> object:
    """What a tool said at length, a part at a time; ``nextOffset`` where there is more."""
    read = ReadOutput(params.output, params.offset, params.limit)
    found = await context.bus.call(ledger_of(context), read, timeout=None)
    if found is None:
        raise invalid("no such output is kept", reason="not_found")
    end = found.offset + len(found.text)
    answer = {
        "output": params.output,
        "sessionKey": found.session_key,
        "runId": found.run_id,
        "offset": found.offset,
        "text": found.text,
        "length": found.length,
        "kept": found.kept,
    }
    return as_json(answer if end >= found.kept else {**answer, "nextOffset": end})


METHODS: Final = (output,)
