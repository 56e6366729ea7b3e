"""The tool ``process``: a model looks at commands in the background, and uses them.

Names and meanings are OpenClaw's. A session uses its own commands only. What a shell or
an interpreter is given to read is as good as a command, and asked for like one.
"""

from contextlib import suppress
from typing import Annotated, Final, Literal

import attrs
import trio

import supervision
from beamclaw.commands import keys as keyboard
from beamclaw.commands import words
from beamclaw.commands.door import known
from beamclaw.commands.messages import End, Known, NotWritten, Poll, Read, Type
from beamclaw.commands.setting import Setting, ask
from beamclaw.contracts import names
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.command_policy import judge
from beamclaw.contracts.execution import Execution
from beamclaw.contracts.points import point
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.toolkit import Range, tool

MOST_POLL: Final = 30_000

Action = Literal[
    "list",
    "poll",
    "log",
    "write",
    "send-keys",
    "submit",
    "paste",
    "kill",
    "clear",
    "remove",
]
_INPUT: Final = frozenset({"write", "send-keys", "submit", "paste"})
Line = Annotated[int, Range(0, 1_000_000_000)]


@attrs.define(eq=False)
class ProcessTool:
    """``process`` of an agent."""

    _setting: Setting

    @tool(effect="unsafe", group="runtime", asks="by-call")
    async def process(  # noqa: PLR0917 -- what a model may say
        self,
        order: Order,
        action: Action,
        sessionId: str | None = None,  # noqa: N803 -- as OpenClaw calls it
        data: str | None = None,
        text: str | None = None,
        keys: tuple[str, ...] = (),
        hex: tuple[str, ...] = (),  # noqa: A002 -- as OpenClaw calls it
        literal: str | None = None,
        eof: bool = False,  # noqa: FBT001, FBT002 -- what a model may say
        bracketed: bool = True,  # noqa: FBT001, FBT002
        offset: Line | None = None,
        limit: Annotated[int, Range(1, 100_000)] | None = None,
        timeout: Annotated[int, Range(0, MOST_POLL)] = 0,
    ) -> Output:
        """Look at the commands that exec has left in the background, and use them.

        Args:
            action: list: all there are; poll: what one has said since the last time;
                log: its output by lines; write: give it data to read; send-keys: press
                keys; submit: press Enter, after data if given; paste: give it text as if
                pasted; kill: end it; clear: forget one that is over; remove: end it if
                need be, and forget it.
            sessionId: Which command, as exec has said. All but list need it.
            data: For write and submit: what it is to read.
            text: For paste: the text.
            keys: For send-keys: names of keys, as Enter, C-c, Up, Tab, Escape.
            hex: For send-keys: bytes as hexadecimal numbers.
            literal: For send-keys: text to be typed as it is.
            eof: For write: it gets no more to read after this.
            bracketed: For paste: say that it was pasted, as terminals do.
            offset: For log: the first line, from 0; without it the last lines.
            limit: For log: how many lines; without it 200.
            timeout: For poll: milliseconds to wait for something new.
        """
        if action == "list":
            return Output(words.listing(await self._mine(order), trio.current_time()))
        pid, found = self._find(order, sessionId)
        match action:
            case "poll":
                view = await ask(pid, Poll(timeout / 1000))
                return Output(words.poll(view))
            case "log":
                said = await ask(pid, Read())
                return Output(words.log(said, offset, limit))
            case "write" | "send-keys" | "submit" | "paste":
                given = _given(action, data, text, keys, hex, literal, bracketed)
                return await self._type(pid, given, eof=eof and action == "write")
            case "clear" if found.state != "over":
                raise ToolFailed(f"{sessionId} is not over; kill or remove it")
            case "kill" | "remove":
                view = await ask(pid, End())
                said = "gone" if view.ended is None else words.how(view.ended)
            case _:
                said = "forgotten"
        if action != "kill":
            with suppress(supervision.CallFailed), point("command.clear"):
                await supervision.stop(pid)
        return Output(f"{sessionId}: {said}")

    @process.clears
    async def _clear_process(  # noqa: PLR0917 -- as above
        self,
        order: Order,
        action: Action,
        sessionId: str | None = None,  # noqa: N803
        data: str | None = None,
        text: str | None = None,
        keys: tuple[str, ...] = (),
        hex: tuple[str, ...] = (),  # noqa: A002
        literal: str | None = None,
        bracketed: bool = True,  # noqa: FBT001, FBT002
    ) -> Clearance:
        """What a shell or an interpreter reads is as good as a command."""
        policy = self._setting.policy
        try:
            found = self._find(order, sessionId)[1] if action in _INPUT else None
            suspect = order.tainted and policy.after_untrusted != "allow"
            harmless = policy.mode == "on-miss" and not suspect
            if found is None or (harmless and not found.carries):
                return Clear()
            given = _given(action, data, text, keys, hex, literal, bracketed)
        except ToolFailed:
            return Clear()  # nothing will be done
        said = given.decode(errors="replace")
        execution = Execution(  # noqa: S604 -- nothing is called: it says why to ask
            tool="process",
            path=found.program,
            argv=(sessionId or "", said),
            folder=found.folder,
            shell="something to read",
            shown=f"{found.title}  <<< {said!r}",
        )
        return judge(execution, policy, tainted=order.tainted)

    async def _mine(self, order: Order) -> dict[str, Known]:
        try:
            found = await known(self._setting.tenant)
        except supervision.CallFailed:
            return {}
        return {
            id_: each for id_, each in found.items() if each.scope == order.session_key
        }

    def _find(self, order: Order, id_: str | None) -> tuple[supervision.Pid, Known]:
        """The command, if it is this session's."""
        if not id_:
            raise ToolFailed("which one? sessionId is needed for this; see list")
        entry = supervision.lookup(names.command(self._setting.tenant, id_))
        found = None if entry is None else entry.value
        if entry is None or not isinstance(found, Known):
            raise ToolFailed(f"there is no command {id_!r} (any more); see list")
        if found.scope != order.session_key:
            raise ToolFailed(f"there is no command {id_!r} (any more); see list")
        return entry.pid, found

    async def _type(self, pid: supervision.Pid, given: bytes, *, eof: bool) -> Output:
        try:
            waiting = await ask(pid, Type(given, eof))
        except NotWritten as error:
            raise ToolFailed(f"nothing was written: {error}") from None
        return Output(words.written(len(given), waiting, eof=eof))


def _given(  # noqa: PLR0917 -- what a model may say
    action: Action,
    data: str | None,
    text: str | None,
    keys: tuple[str, ...],
    codes: tuple[str, ...],
    literal: str | None,
    bracketed: bool,  # noqa: FBT001
) -> bytes:
    """What a command is given to read.

    Raises:
        ToolFailed: It is not said, or is nothing that can be given.
    """
    try:
        match action:
            case "submit":
                return f"{data or ''}\r".encode()
            case "send-keys" if keys or codes or literal:
                typed = (literal or "").encode() + keyboard.typed(keys)
                return typed + keyboard.from_hex(codes)
            case "send-keys":
                raise ToolFailed("send-keys needs keys, hex or literal")
            case "paste" if text is not None:
                return keyboard.pasted(text, bracketed=bracketed)
            case "paste":
                raise ToolFailed("paste needs text")
            case _:
                return (data or "").encode()
    except (keyboard.NoSuchKey, UnicodeEncodeError) as error:
        raise ToolFailed(str(error)) from None
