"""Rows of node.db in memory, for who is let in."""

from typing import Any

import attrs

import supervision
from beamclaw.contracts.store import (
    AccessRows,
    ChangeAccess,
    DataFolderError,
    DeviceRow,
    DropDevice,
    DropKey,
    KeyRow,
    ReadAccess,
    TokenRow,
)


@attrs.define(eq=False)
class Rows:
    """What a store keeps, whatever dies. *full*: nothing more can be written."""

    devices: dict[str, DeviceRow] = attrs.field(factory=dict)
    tokens: dict[tuple[str, str], TokenRow] = attrs.field(factory=dict)
    keys: dict[str, KeyRow] = attrs.field(factory=dict)
    full: bool = False
    written: int = 0

    def write(self, change: ChangeAccess) -> None:
        self.written += 1
        for op in change.ops:
            match op:
                case DeviceRow(id):
                    self.devices[id] = op
                case TokenRow(device, role):
                    self.tokens[device, role] = op
                case KeyRow(id):
                    self.keys[id] = op
                case DropDevice(id):
                    self.devices.pop(id, None)
                    for key in [key for key in self.tokens if key[0] == id]:
                        del self.tokens[key]
                case DropKey(id):
                    self.keys.pop(id, None)

    def read(self) -> AccessRows:
        return AccessRows(
            devices=tuple(self.devices.values()),
            tokens=tuple(self.tokens.values()),
            keys=tuple(self.keys.values()),
        )


class MemoryStore(supervision.Server):
    """The process ``store``, over *rows*."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        if isinstance(request, ReadAccess):
            return self.rows.read()
        assert isinstance(request, ChangeAccess)
        if self.rows.full:
            supervision.reply_error(sender, DataFolderError("the disk is full"))
            return supervision.NO_REPLY
        self.rows.write(request)
        return None
