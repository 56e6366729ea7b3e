"""A picture of a conversation, for who looks at it: histories leave them out."""

from typing import Annotated, Final

from beamclaw.arguments import Length, Range
from beamclaw.contracts import journal, names
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.messages import pictures
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.values import frozen

# Of one message there are no more.
MOST: Final = 1_000


@frozen(kw_only=True)
class PictureParams:
    """Which message, as ``chat.history`` calls it, and which of its pictures, from 0."""

    session_key: Text
    message_id: Annotated[str, Length(1, 40)]
    place: Annotated[int, Range(0, MOST)] = 0


@method("beamclaw.picture", scope=READ, params=PictureParams, published=False)
async def picture(context: Context, params: PictureParams) -> object:
    """What one picture of a message shows, in base64."""
    where = talking.place(context, params.session_key, None, writes=False)
    seq, _, row = params.message_id.partition(".")
    if not _is_number(seq) or not (_is_number(row) or not row):
        raise invalid("there is no such message", reason="not_found")
    ledger = names.of_tenant(context.tenant, "ledger")
    read = ReadSession(where.key, int(seq) - 1)
    found = await context.bus.call(ledger, read, timeout=None)
    event = next((each for each in found.events if each.seq == int(seq)), None)
    if event is not None:
        shown = pictures(journal.read(event), int(row or 0))
        image = shown[params.place] if params.place < len(shown) else None
        if image is not None and image.data is not None:
            return {"mimeType": image.media_type or "image/png", "data": image.data}
    raise invalid("there is no such picture", reason="not_found")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 15 and int(text) >= 0  # noqa: PLR2004 -- digits


METHODS: Final = (picture,)
