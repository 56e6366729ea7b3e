"""What an agent reads of its tools' outputs that it did not get: from where they are kept.

A piece at a time, so an output of any length holds up nobody: the ledger reads no more
than what is asked for.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Annotated, Final

import supervision
from beamclaw.config.schema import Range
from beamclaw.contracts import names
from beamclaw.contracts.ledger_reads import OutputRead, ReadOutput
from beamclaw.contracts.results import READER
from beamclaw.toolkit import Length, Order, Output, ToolFailed, tool
from beamclaw.values import frozen

# For the line above what is read, so that the model gets it whole, too; without the id,
# in which that of a run may be as long as a client likes.
_HEAD: Final = 160
# Characters that are looked through at once, and those shown around what is found.
_CHUNK: Final = 250_000
_BEFORE: Final = 100
_BEHIND: Final = 200
_MOST_SOUGHT: Final = 200
_FAR: Final = 2**53 - 1


@frozen(kw_only=True)
class Outputs:
    """The tool of one agent.

    Attributes:
        tenant: Whose agent.
        most: Characters that the model gets of any tool.
    """

    tenant: str
    most: int

    @tool(name=READER, effect="pure", group="sessions")
    async def read_output(
        self,
        order: Order,
        *,
        output: str,
        offset: Annotated[int, Range(0, _FAR)] = 0,
        length: Annotated[int, Range(1, _FAR)] | None = None,
        match: Annotated[str, Length(1, _MOST_SOUGHT)] | None = None,
    ) -> Output:
        """Read on in an output of a tool that was too long to be shown whole here.

        Args:
            output: Which one: its id, as the note says that stands where it was cut.
            offset: The character to begin with, from 0.
            length: How many characters; without it, as many as can be shown.
            match: Show only the places behind offset where this text stands, as it is
                written, each with its offset.
        """
        room = max(1, self.most - _HEAD - len(output))
        wanted = min(length or room, room) if match is None else 0
        first = await self._read(order, output, offset, wanted)
        if match is None:
            text = _shown(output, first)
        else:
            text = await self._found(order, output, first, match, room)
        # Words of strangers stay that when they are read later, also behind a reset.
        return Output(text, untrusted=first.untrusted)

    async def _read(
        self, order: Order, output: str, offset: int, limit: int
    ) -> OutputRead:
        """A piece of it.

        Raises:
            ToolFailed: There is none of this name, or it is not this session's.
        """
        request = ReadOutput(output, offset, limit)
        found = await supervision.call(self._ledger, request, timeout=None)
        if found is None:
            raise ToolFailed(
                f"there is no output {output[:200]}: take the id from the note that says what "
                "was left out. If it is right, the output is not kept any more "
                "(tools.keep_seconds)"
            )
        if found.session_key != order.session_key:
            raise ToolFailed(
                f"output {output[:200]} is of another session, and is read there only"
            )
        return found

    async def _found(
        self, order: Order, output: str, first: OutputRead, match: str, room: int
    ) -> str:
        lines: list[str] = []
        async with aclosing(self._places(order, output, first.offset, match)) as places:
            async for place, text in places:
                line = f"{place}: {text}"
                room -= len(line) + 1
                if room < 0 and lines:
                    head = f"there are more; go on with offset {place}"
                    return "\n".join([f"[output {output}: {head}]", *lines])
                lines.append(line)
        head = "no more of it" if lines else "it is not there"
        head = f"[output {output}: {head} from {first.offset} to {first.kept}]"
        return "\n".join([head, *lines])

    async def _places(
        self, order: Order, output: str, offset: int, match: str
    ) -> AsyncGenerator[tuple[int, str], None]:
        """Where *match* stands from *offset* on, and what stands around it."""
        start, seek = offset, offset
        while True:
            found = await self._read(order, output, start, _CHUNK)
            end = found.offset + len(found.text)
            last = end >= found.kept
            # What stands at the end is looked at with what comes behind it.
            until = end if last else end - len(match) - _BEHIND
            for place, begin, stop in _in(
                found.text, match, seek - start, until - start
            ):
                yield start + place, found.text[begin:stop]
                seek = start + stop
            if last:
                return
            seek = max(seek, until)
            start = max(start, seek - _BEFORE)

    @property
    def _ledger(self) -> str:
        return names.of_tenant(self.tenant, "ledger")


def _shown(output: str, found: OutputRead) -> str:
    end = found.offset + len(found.text)
    words = f"[output {output}: characters {found.offset} to {end} of {found.kept}"
    if found.kept < found.length:
        words += f", of {found.length} only those are kept"
    words += f"; go on with offset {end}]" if end < found.kept else "; it ends here]"
    return f"{words}\n{found.text}"


def _in(text: str, match: str, seek: int, until: int) -> Iterator[tuple[int, int, int]]:
    """Where *match* begins in *text*, before *until*; from where to where it is shown.

    That is its line, or what of it is near.
    """
    while 0 <= (place := text.find(match, seek)) < until:
        end = place + len(match)
        newline = text.find("\n", end, end + _BEHIND)
        stop = end + _BEHIND if newline < 0 else newline
        begin = text.rfind("\n", max(0, place - _BEFORE), place) + 1
        begin = begin or max(0, place - _BEFORE)
        yield place, begin, stop
        seek = stop
