"""Tells sessions how their commands in the background came to their end. Once, always.

That a command goes on stands in the ledger before anybody is told so. Its end is a
message in its session's inbox, under an id of its own; the session is woken, and only
then the row goes. Whatever dies in between, its successor does it again, and the second
message is none. A row whose command nobody holds is of one that was ended with the node,
or with what held it.
"""

from contextlib import suppress
from typing import Any, cast

import supervision
from beamclaw.commands import words
from beamclaw.commands.door import forget, known
from beamclaw.commands.messages import CommandOver, NoteCommand, TellAgain
from beamclaw.contracts import names
from beamclaw.contracts.commands import Ended, end_commands_of
from beamclaw.contracts.ledger import Claim, Commit, Owned
from beamclaw.contracts.ledger_errors import IdempotencyConflict, LedgerError
from beamclaw.contracts.ledger_ops import Deliver, DropCommand, Op, PutCommand
from beamclaw.contracts.ledger_reads import ReadCommands, ReadSessionRow
from beamclaw.contracts.ledger_rows import CommandRow
from beamclaw.contracts.messages import said
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.sessions import Inbound, Rouse, accept


class NoticeServer(supervision.Server):
    """Registered as ``<tenant>/notices``; see the module.

    Args:
        tenant: Whose.
        outside: Clock and ids.
    """

    def __init__(self, tenant: str, outside: Outside) -> None:
        self._tenant = tenant
        self._outside = outside
        self._me = names.of_tenant(tenant, "notices")
        self._ledger = names.of_tenant(tenant, "ledger")
        # What stands in the ledger, by the command's id; and who waits for which.
        self._rows = dict[str, CommandRow]()
        self._watched = dict[supervision.Ref, str]()

    async def init(self) -> supervision.Continue:
        """Nobody waits until it has read what there is to tell."""
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """Take up what stands in the ledger."""
        rows = await supervision.call(self._ledger, ReadCommands(), timeout=None)
        for row in rows:
            self._watch(row)
        await self._end_unread()

    async def _end_unread(self) -> None:
        """End commands of deleted sessions: a ledger that dies may not have said so."""
        try:
            running = await known(self._tenant)
        except supervision.CallFailed:
            return  # they end with their supervisor
        running = {id_: each for id_, each in running.items() if each.state != "over"}
        # Whose session is there has its row until it is over and that was told. One of
        # the same name may be there by now, so its name says nothing.
        gone = (id_ for id_, each in running.items() if each.noted)
        forget(self._tenant, (id_ for id_ in gone if id_ not in self._rows))
        # And those that are not to be told of have no row.
        scopes = {each.scope for each in running.values()}
        for scope in sorted(scopes - {""}):
            row = await supervision.call(
                self._ledger, ReadSessionRow(scope), timeout=None
            )
            if row is None or row.deleted_at is not None:
                end_commands_of(self._tenant, scope)

    def _watch(self, row: CommandRow) -> None:
        self._rows[row.command_id] = row
        name = names.command(self._tenant, row.command_id)
        self._watched[supervision.monitor(name)] = row.command_id
        # It may be over, and have said so to one before us.
        if supervision.whereis(name) is not None:
            with point("notice.ask"):
                supervision.cast(name, TellAgain(self._me))

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """A command goes on in the background."""
        if not isinstance(request, NoteCommand):
            return await super().handle_call(request, sender)
        row = CommandRow(
            command_id=request.id,
            session_key=request.session_key,
            agent=request.agent,
            title=request.title,
            at=self._outside.wall(),
        )
        put = PutCommand(
            command_id=row.command_id, agent=row.agent, title=row.title, at=row.at
        )
        try:
            with point("notice.note"):
                await self._commit(row, put)
        except LedgerError as error:
            with point("notice.refuse"):
                supervision.reply_error(sender, error)
            return supervision.NO_REPLY
        self._watch(row)
        return None

    async def handle_cast(self, message: object) -> None:
        """It is over."""
        match message:
            case CommandOver(id_, view, tail):
                await self._tell(id_, view.ended, tail)
            case _:
                await super().handle_cast(message)

    async def handle_info(self, message: object) -> None:
        """Nobody holds it any more: if that was not told, it will not be."""
        if not isinstance(message, supervision.Down):
            await super().handle_info(message)
        elif (id_ := self._watched.pop(message.ref, None)) is not None:
            await self._tell(id_, None, "")

    async def _tell(self, id_: str, ended: Ended | None, tail: str) -> None:
        row = self._rows.pop(id_, None)
        if row is None:
            return  # that was told
        try:
            if not row.ephemeral:  # nobody reads what is said there now
                await self._deliver(row, ended, tail)
            with point("notice.drop"):
                await self._commit(row, DropCommand(id_))
        except LedgerError as error:
            supervision.emit(
                "beamclaw.command.untold",
                {},
                {"tenant": self._tenant, "command": id_, "why": str(error)},
            )

    async def _deliver(self, row: CommandRow, ended: Ended | None, tail: str) -> None:
        inbound = self._inbound(row, ended, tail)
        # It was told by one before us, who had heard how it ended, or had not.
        with suppress(IdempotencyConflict), point("notice.tell"):
            await self._commit(row, Deliver(accept(inbound, at=self._outside.wall())))
        with point("notice.rouse"):
            door = names.of_tenant(self._tenant, "sessions")
            supervision.cast(door, Rouse(row.session_key))

    def _inbound(self, row: CommandRow, ended: Ended | None, tail: str) -> Inbound:
        text = words.news(row.command_id, row.title, ended, tail)
        return Inbound(
            tenant=self._tenant,
            source="command",
            account="node",
            conversation=row.session_key,
            # However often it is tried: the same message.
            external_id=row.command_id,
            session_key=row.session_key,
            agent=row.agent,
            messages=(said("user", text),),
            run_id=self._outside.new_id(),
            hops=1,
        )

    async def _commit(self, row: CommandRow, *ops: Op) -> None:
        entry = supervision.lookup(self._ledger)
        if entry is None:
            raise supervision.NoProcess(self._ledger)
        owned = cast("Owned", entry.value)
        claim = Claim(self._tenant, owned.owner_epoch)
        commit = Commit(
            claim=claim, session_key=row.session_key, expected_seq=None, ops=ops
        )
        await supervision.call(self._ledger, commit, timeout=None)

    def describe(self) -> dict[str, object]:
        """Whose end will be told."""
        return {"commands": sorted(self._rows)}
