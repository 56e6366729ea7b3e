"""The tool ``exec``: a model runs a command.

Names and meanings are OpenClaw's, so that its skills work. What is different: a command
that no shell has to read is started without one, and what it leaves behind is ended.
"""

import hashlib
import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

import attrs
import trio

import supervision
from beamclaw.commands import words
from beamclaw.commands.messages import (
    AwaitBegun,
    AwaitOver,
    Forget,
    LeaveAlone,
    NoteCommand,
    Read,
    View,
)
from beamclaw.commands.resolving import NotResolved, Resolved, Wanted, resolve
from beamclaw.commands.setting import Setting, ask
from beamclaw.contracts import names
from beamclaw.contracts.approvals import (
    CHANGED,
    Clearance,
    Deny,
    Grant,
)
from beamclaw.contracts.command_policy import judge
from beamclaw.contracts.commands import CannotStart, Launch, StartCommand, start
from beamclaw.contracts.execution import carries
from beamclaw.contracts.grants import grants_of
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.points import point
from beamclaw.contracts.sandbox import CannotIsolate, Need, Trust, trust_of
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.toolkit import Range, tool

# Characters of output that are shown of a command that goes on.
TAIL: Final = 2_000
# Milliseconds that a call may wait for a command.
MOST_YIELD: Final = 600_000
# Seconds between two tries to have it noted that a command goes on.
_AGAIN: Final = 1.0

Milliseconds = Annotated[int, Range(0, MOST_YIELD)]
Seconds = Annotated[float, Range(0, 1_000_000)]


def command_id(key: str) -> str:
    """What the command of an order is called: the same one however often it is begun."""
    return f"cmd-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def _trust(order: Order) -> Trust:
    return trust_of(order.session_key, tainted=order.tainted)


@attrs.define(eq=False)
class ExecTool:
    """``exec`` of an agent."""

    _setting: Setting

    @tool(effect="unsafe", group="runtime", asks="by-call", deadline=math.inf)
    async def exec(  # noqa: PLR0917 -- what a model may say
        self,
        order: Order,
        command: str,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        yieldMs: Milliseconds | None = None,  # noqa: N803 -- as OpenClaw calls it
        background: bool = False,  # noqa: FBT001, FBT002 -- what a model may say
        timeout: Seconds | None = None,
        pty: bool = False,  # noqa: FBT001, FBT002
    ) -> Output:
        """Run a command in the workspace, and give what it says.

        A command that is not over after yieldMs goes on in the background: use process
        with the sessionId to look at it, and you are told when it is over. Whatever a
        command leaves behind when it ends is ended with it: for something that is to go
        on use background, not &. With background or pty it can be written to.

        Args:
            command: The command line. One that is only a program and its arguments is
                started without a shell; with pipes, variables and so on it is given to sh.
            workdir: The folder to work in, inside the workspace; without it the workspace.
            env: Variables to set for it.
            yieldMs: Milliseconds to wait for it; without it 10000.
            background: Do not wait for it at all.
            timeout: Seconds after which it is ended; without it 1800; 0 is never.
            pty: Give it a terminal, as programs want that are used by people.
        """
        wanted = Wanted(command, workdir, env or {}, pty)
        resolved = await self._resolve(order, wanted)
        if order.approved and resolved.execution.digest != order.approved:
            raise ToolFailed(CHANGED)
        pid = await self._start(order, resolved, timeout, writable=background or pty)
        wait = self._setting.yield_seconds if yieldMs is None else yieldMs / 1000
        await ask(pid, AwaitBegun())
        view = await self._until_over(pid, 0.0 if background else wait)
        if view is None:
            view = await self._leave_alone(pid, order, command)
        if view.state != "over":
            tail = await ask(pid, Read(TAIL))
            return Output(words.goes_on(view, tail))
        said = await ask(pid, Read())
        with point("command.done"):
            supervision.cast(pid, Forget())
        return words.result(view, said)

    @exec.clears  # noqa: A003 -- ours
    async def _clear_exec(
        self,
        order: Order,
        command: str,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        pty: bool = False,  # noqa: FBT001, FBT002
    ) -> Clearance:
        try:
            wanted = Wanted(command, workdir, env or {}, pty)
            resolved = await self._resolve(order, wanted)
            consent = await self._wants_consent(order)
        except ToolFailed as failed:
            return Deny(str(failed))
        return judge(
            resolved.execution,
            self._setting.policy,
            await self._grants(order),
            tainted=order.tainted or consent,
        )

    async def _wants_consent(self, order: Order) -> bool:
        """Whether it cannot be isolated as it should, so that nothing granted counts."""
        sandbox = self._setting.sandbox
        if sandbox is None:
            return False
        try:
            return await sandbox.wants_consent(_trust(order))
        except CannotIsolate as error:
            raise ToolFailed(str(error)) from None

    async def _grants(self, order: Order) -> tuple[Grant, ...]:
        return await grants_of(order) if self._setting.policy.mode == "on-miss" else ()

    async def _resolve(self, order: Order, wanted: Wanted) -> Resolved:
        setting, where, trust = self._setting, "", _trust(order)
        env, given = setting.env, self._given(order)
        try:
            if setting.sandbox is not None:
                where = await setting.sandbox.words(trust)
                # The first python3 may be one that is not there for the command.
                found = await setting.sandbox.search_path(env.get("PATH", ""), trust)
                env = {**env, "PATH": found}
            look = partial(resolve, wanted, setting.roots, env, where, given)
            return await setting.worker.run(look)
        except (NotResolved, CannotIsolate) as error:
            raise ToolFailed(str(error)) from None

    def _given(self, order: Order) -> Mapping[str, tuple[str, Secret]]:
        """What it gets for the skills that the turn began with: skill and value."""
        known = (
            (name, skill, self._setting.skill_value(name, skill))
            for name, skill in order.variables
        )
        return {name: (skill, value) for name, skill, value in known if value}

    async def _start(
        self, order: Order, resolved: Resolved, timeout: float | None, *, writable: bool
    ) -> supervision.Pid:
        setting = self._setting
        launch = await self._wrapped(order, resolved.launch)
        seconds = setting.timeout_seconds if timeout is None else timeout
        ordered = StartCommand(
            id=command_id(order.key),
            launch=launch,
            owner=supervision.self_pid(),
            seconds=seconds or None,
            # A filter that nobody writes to ends at once, and does not wait for ever.
            eof=not writable,
            scope=order.session_key,
            title=resolved.execution.text,
            carries=carries(resolved.execution),
            secrets=resolved.secrets,
        )
        try:
            return await start(setting.tenant, ordered)
        except CannotStart as error:
            raise ToolFailed(str(error)) from None

    async def _wrapped(self, order: Order, launch: Launch) -> Launch:
        """In its sandbox, as one is for whose words these are."""
        sandbox, roots = self._setting.sandbox, self._setting.roots
        if sandbox is None:
            return launch
        need = Need(
            trust=_trust(order),
            agreed=bool(order.approved),
            writable=tuple(
                str(each.path)
                for each in (roots.workspace, *roots.others)
                if each.writable
            ),
            readable=tuple(str(each.path) for each in roots.others),
            closed=tuple(map(str, roots.closed)),
        )
        try:
            return await sandbox.wrap(launch, need)
        except CannotIsolate as error:
            raise ToolFailed(str(error)) from None

    async def _until_over(self, pid: supervision.Pid, seconds: float) -> View | None:
        """How it came out, if it is over by then."""
        with trio.move_on_after(seconds):
            return await ask(pid, AwaitOver())
        return None

    async def _leave_alone(
        self, pid: supervision.Pid, order: Order, command: str
    ) -> View:
        """Have it go on without this call; whoever is to tell of its end knows before."""
        setting = self._setting
        teller = names.of_tenant(setting.tenant, "notices") if setting.notify else None
        note = NoteCommand(
            id=command_id(order.key),
            session_key=order.session_key,
            agent=setting.agent,
            title=command,
        )
        while teller is not None:
            try:
                await supervision.call(teller, note, timeout=None)
                break
            except LedgerError as error:
                words_ = f"it cannot go on in the background, and was ended: {error}"
                raise ToolFailed(words_) from None
            except supervision.CallFailed:
                # The ledger starts anew, for example. It may as well be over meanwhile.
                view = await self._until_over(pid, _AGAIN)
                if view is not None:
                    return view
        return await ask(pid, LeaveAlone(teller))
