"""The process ``config``: holds the node's configuration, and writes its file.

What is held was read once, before the tree started; whoever wants to know looks at the
registry's value and waits for nobody: ``supervision.lookup("config").value``. What is
written holds at the next start.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

import supervision
from beamclaw.config.reference import plain
from beamclaw.config.schema import Config
from beamclaw.config.writing.documents import (
    Change,
    Document,
    Entry,
    Order,
    Refusal,
    Written,
)
from beamclaw.config.writing.writer import Writer, default_file
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point

NAME: Final = "config"
TOPIC: Final = "node/config"
"""Where the bus tells of each :class:`Changed`."""
WRITTEN: Final = "beamclaw.config.written"
NOT_WRITTEN: Final = "beamclaw.config.refused"


@attrs.frozen
class GetDocument(supervision.Call[Document]):
    """The file as it stands; raises :class:`Refusal` if it cannot be read."""


@attrs.frozen
class Write(supervision.Call[Written]):
    """Change the file; raises :class:`Refusal`, and then nothing was changed."""

    order: Order


@attrs.frozen
class GetHistory(supervision.Call[Sequence[Entry]]):
    """The files that were replaced, the newest first."""


@attrs.frozen
class GetChanges(supervision.Call[Sequence[Change]]):
    """What the file said otherwise before it was replaced as entry *number*."""

    number: int


@attrs.frozen
class Changed:
    """The file was replaced; *hash* is of what is there now."""

    path: str
    hash: str
    paths: Sequence[str]


@attrs.frozen(kw_only=True)
class Origin:
    """Where the configuration of this node came from.

    Attributes:
        config: As it was read, before anything was added to it.
        variables: The environment that counted, *options* those of the command line.
    """

    config: Config
    variables: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    options: Mapping[str, str] = attrs.field(factory=dict[str, str])


class ConfigServer(supervision.Server):
    """See the module. Takes its configuration with it into every new life.

    An order is carried out in a thread, one after the other. Killed meanwhile, it leaves
    the file as it was or as it was to be; who has asked reads it again.
    """

    def __init__(
        self, config: Config, bus: Bus, outside: Outside, origin: Origin | None = None
    ) -> None:
        origin = origin or Origin(config=config)
        self._config = config
        self._bus = bus
        self._worker = outside.worker()
        self._writer = Writer(
            running=origin.config,
            file=config.file or default_file(config.data),
            data=config.data,
            variables=origin.variables,
            options=origin.options,
            wall=outside.wall,
        )

    async def init(self) -> None:
        """Publish the configuration under the process's name."""
        supervision.update_value(NAME, self._config)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See the requests."""
        writer = self._writer
        try:
            match request:
                case GetDocument():
                    return await self._worker.run(writer.document)
                case Write(order):
                    written = await self._worker.run(partial(writer.write, order))
                    if not order.dry:
                        self._tell(order, written)
                    return written
                case GetHistory():
                    return await self._worker.run(writer.history)
                case GetChanges(number):
                    return await self._worker.run(partial(writer.changes_since, number))
                case _:
                    return await super().handle_call(request, sender)
        except Refusal as refusal:
            supervision.emit(NOT_WRITTEN, {}, {"code": refusal.code})
            with point("config.refuse"):
                supervision.reply_error(sender, refusal)
            return supervision.NO_REPLY

    def _tell(self, order: Order, written: Written) -> None:
        paths = [change.path for change in written.changes]
        supervision.emit(
            WRITTEN,
            {"changes": len(paths)},
            {"by": order.by, "how": order.how, "paths": paths, "entry": written.entry},
        )
        self._bus.publish(TOPIC, Changed(written.path, written.hash, paths))

    def describe(self) -> Mapping[str, object]:
        """The configuration, secrets left out."""
        return plain(self._config)
