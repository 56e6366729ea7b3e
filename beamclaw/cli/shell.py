"""``beamclaw shell``: commands for a running node, typed one by one or given at once."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from typing import Any, Final

from beamclaw.cli.client import Connection, Gone, Refused
from beamclaw.cli.live_table import (
    Command,
    Left,
    Params,
    Wrong,
    help_of,
    parse,
    split,
)
from beamclaw.cli.output import CommandError, result, result_json, tell
from beamclaw.cli.place import Place, place

WIDE: Final = 160
LEAVE: Final = ("exit", "quit")


class Shell:
    """Runs commands on one connection, which is made when it is needed."""

    def __init__(self, place: Place, *, json: bool) -> None:
        self._place = place
        self._json = json
        self._client: Connection | None = None

    def run(self, line: str) -> bool:
        """Do what *line* says; whether it was done.

        Raises:
            Left: It was to leave.
        """
        try:
            self._do(line)
        except (Wrong, CommandError) as error:
            self._failed(error)
            return False
        except Gone:
            self.close()
            self._failed(CommandError(f"the node {self._place} stopped"))
            return False
        except KeyboardInterrupt:
            # What was asked for ends with its connection.
            self.close()
            raise
        return True

    def _do(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        if name in LEAVE:
            raise Left
        if name == "help":
            for words in help_of(rest.strip()):
                result(words)
            return
        command, params = parse(line)
        for found in self._ask(command, params):
            if self._json:
                result_json(found)
                continue
            for words in command.view(found, _width()):
                result(words)

    def _ask(self, command: Command, params: Params) -> Iterator[Any]:
        client = self.connected()
        if command.gathers is not None:
            yield command.gathers(client.events(command.method, params))
        elif command.streams:
            yield (yield from client.events(command.method, params))
        else:
            yield client.request(command.method, params)

    def names(self, typed: str) -> list[str]:
        """Names of processes that begin so; none, if nobody can say."""
        try:
            return self.connected().request("look.names", {"text": typed})
        except (CommandError, Gone):
            self.close()
            return []

    def connected(self) -> Connection:
        """The connection.

        Raises:
            CommandError: There is no node.
        """
        if self._client is None:
            self._client = self._place.connect()
        return self._client

    def close(self) -> None:
        """End the connection, and with it all that was asked for."""
        client, self._client = self._client, None
        if client is not None:
            with client:
                pass

    def _failed(self, error: Exception) -> None:
        if self._json:
            code = error.kind if isinstance(error, Refused) else "failed"
            result_json({"error": {"code": code, "message": str(error)}})
        else:
            tell(f"error: {error}")


def _width() -> int:
    if not sys.stdout.isatty():
        return WIDE
    return shutil.get_terminal_size().columns


def run(options: argparse.Namespace) -> int:
    """Run the commands that were given, or those that are typed."""
    where = place(options)
    shell = Shell(where, json=options.json)
    try:
        shell.connected()  # told before the first question
        if options.commands is not None:
            return _all(shell, split(options.commands))
        if not sys.stdin.isatty():
            return _all(shell, split(sys.stdin.read()))
        from beamclaw.cli.prompt import converse  # noqa: PLC0415 -- 0.1 s, wanted here

        return converse(shell, where.data)
    finally:
        shell.close()


def _all(shell: Shell, lines: list[str]) -> int:
    """Run all of them, also those behind one that fails; 1: one did."""
    failed = False
    try:
        for line in lines:
            failed = not shell.run(line) or failed
    except Left:
        pass
    return int(failed)
