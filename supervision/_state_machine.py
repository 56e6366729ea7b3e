"""The loop that runs a state machine.

The order of events, postponing and time-outs are decided in `_state_events`. Here is what
needs a task: calling the callbacks, answering, the mailbox, and the timers, which are
entries in the heap that all calls use, too. No cancel scope is opened per event.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CoroutineType
from typing import Any, Final, TypeAlias, cast

import trio
from trio.lowlevel import wait_task_rescheduled

from ._attributes import attributes, replace_attributes
from ._ending import Stopping, reason_to_terminate, terminate
from ._errors import BadReturn
from ._process import BURST, IN_LOOP, Process, driven_by
from ._reasons import ProcessExit
from ._signals import Cast, Exit, From, Signal, SystemMessage
from ._state_events import EventQueue, StartTimer, TimerOrder, Transition
from ._state_values import (
    Action,
    CallEvent,
    CastEvent,
    ChangeCallback,
    InfoEvent,
    KeepState,
    Key,
    NextState,
    PopCallback,
    PushCallback,
    RepeatState,
    ReplyTo,
    StateEvent,
    StopAndReply,
)
from ._timers import Alarm, timers
from .abc import (
    Ignore,
    StateMachine,
    Stop,
    enter_function,
    result_of,
    state_function,
)

_Machine: TypeAlias = StateMachine[Any]
_NO_REPLY: Final = Stop().reply
_HANDLE_EVENT: Final[Any] = _Machine.handle_event
_ENTER: Final[Any] = _Machine.enter
_TERMINATE: Final[Any] = _Machine.terminate


async def run_machine(process: Process, machine: _Machine) -> None:
    """Run *machine* as *process*, from its ``init`` to its ``terminate``."""
    process.kind = "state_machine"
    process.trapping = machine.trap_exit
    first = cast("object", await machine.init())
    if isinstance(first, Ignore):
        process.ignore()
        return
    if isinstance(first, Stop):
        raise ProcessExit(first.reason)
    if not isinstance(first, NextState):
        raise BadReturn("init", first)
    if process.reason is not None:
        # It was ended before it was there, and must not be said to have started.
        raise ProcessExit(process.reason)
    loop = process.loop = _Loop(process, machine, cast("NextState[Any]", first))
    process.acknowledge()
    try:
        await loop.run()
    except Stopping as stopping:
        await terminate(process, loop.cleaning(), stopping.reason)
        raise ProcessExit(stopping.reason) from None
    except BaseException as error:
        reason = reason_to_terminate(process, error)
        if reason is not None:
            await terminate(process, loop.cleaning(), reason)
        raise
    finally:
        loop.cancel_timers()


class _Elapsed(Signal):
    """A time-out on its way: called by the timer heap, then a message to the machine."""

    __slots__ = ("alarm", "key", "process")

    timer: Alarm

    def __init__(self, key: Key, process: Process) -> None:
        self.key = key
        self.process = process

    def __call__(self) -> None:
        self.process.deliver(self)

    def cancel(self) -> None:
        """Take it back, wherever it is by now."""
        if self.alarm.fire is not None:
            self.alarm.cancel()
        elif self.process.mailbox is not None:
            self.process.mailbox.discard(lambda message: message is self)


class _Loop:
    """Takes events and calls callbacks, until something raises."""

    __slots__ = ("_callbacks", "_events", "_first", "_process", "_timers", "state")

    def __init__(
        self, process: Process, machine: _Machine, first: NextState[Any]
    ) -> None:
        self._process = process
        # The last one is used.
        self._callbacks = [machine]
        self._first = first
        self._events: EventQueue[Any] = EventQueue(first.state)
        # Invariant: one per time-out that runs or has just passed, not yet handled.
        self._timers: dict[Key, _Elapsed] = {}
        # What callbacks see; ahead of that of the queue while a state is entered.
        self.state: Any = first.state
        self._use(machine)

    def _use(self, machine: _Machine) -> None:
        machine._cell = self  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._process.behaviour = machine

    def cleaning(self) -> _Machine | None:
        """The machine whose ``terminate`` has to be called, if it has any."""
        machine = self._callbacks[-1]
        inherited = type(machine).terminate is _TERMINATE
        return None if inherited else machine

    def cancel_timers(self) -> None:
        """Take all time-outs back."""
        while self._timers:
            self._timers.popitem()[1].cancel()

    def stop_if_idle(self) -> bool:
        """Free the name and accept nothing more, if no event waits anywhere."""
        process = self._process
        if process.mailbox or not self._events.idle:
            return False
        process.home.runtime.free_names(process)
        process.leave_tables()
        process.pid.process = None
        return True

    # --- events

    async def run(self) -> None:
        """Enter the first state, then handle one event after the other."""
        transition = Transition(self.state)
        self._do(self._first.actions, transition, "init", entering=False)
        # There is no event that could be postponed.
        transition.postpone = False
        await self._enter(transition)
        self._settle(None, transition)
        taken = 0
        while True:
            event = self._events.take()
            if event is None:
                event = await self._receive()
            elif self._process.reason is not None:
                raise ProcessExit(self._process.reason)
            taken += 1
            if not taken % BURST:
                await trio.lowlevel.checkpoint()
            transition = Transition(self.state)
            if self._take(await self._call(event), transition, entering=False):
                await self._enter(transition)
            self._settle(event, transition)

    async def _call(self, event: StateEvent) -> object:
        machine = self._callbacks[-1]
        if type(machine).handle_event is not _HANDLE_EVENT:
            return await machine.handle_event(event)
        result = state_function(machine)(event)
        if isinstance(result, CoroutineType):
            # Not result_of, because every coroutine in between costs.
            return await cast("CoroutineType[Any, Any, object]", result)
        return result

    async def _enter(self, transition: Transition[Any]) -> None:
        """Call ``enter`` of the next state, once more for each `RepeatState`."""
        again = True
        while again:
            self.state = transition.state
            machine = self._callbacks[-1]
            old = self._events.state
            try:
                if type(machine).enter is not _ENTER:
                    result = cast("object", await machine.enter(old))
                else:
                    function = enter_function(machine)
                    result = (
                        None if function is None else await result_of(function(old))
                    )
            except BaseException:
                # It never came into the new state.
                self.state = old
                raise
            again = self._take(result, transition, entering=True)

    def _settle(self, event: StateEvent | None, transition: Transition[Any]) -> None:
        self.state = transition.state
        for order in self._events.settle(event, transition):
            self._set_timer(order)

    def _set_timer(self, order: TimerOrder) -> None:
        running = self._timers.pop(order.key, None)
        if running is not None:
            running.cancel()
        if isinstance(order, StartTimer):
            elapsed = self._timers[order.key] = _Elapsed(order.key, self._process)
            start = 0.0 if order.absolute else trio.current_time()
            elapsed.alarm = timers().at(start + order.seconds, elapsed)

    # --- messages

    async def _receive(self) -> StateEvent:
        """Wait for a message that is an event, or for the signal that ends us."""
        process = self._process
        while True:
            if process.reason is not None:
                raise ProcessExit(process.reason)
            mailbox = process.mailbox
            if mailbox:
                if not process.suspended:
                    event = self._event_of(mailbox.popleft())
                    if event is not None:
                        return event
                    continue
                found, message = mailbox.take(self._passes_suspension)
                if found:
                    self._event_of(message)
                    continue
            # Process.park, here because every coroutine in between costs.
            process.accept = None
            process.waiting = IN_LOOP
            await wait_task_rescheduled(process.abort)

    def _passes_suspension(self, message: object) -> bool:
        return isinstance(message, SystemMessage) or self._is_parents_exit(message)

    def _is_parents_exit(self, message: object) -> bool:
        return isinstance(message, Exit) and message.pid is self._process.parent_pid

    def _event_of(self, message: object) -> StateEvent | None:
        """Make an event of a message; ``None`` when it was for the loop."""
        process = self._process
        process.count()
        if process.debug is not None:
            process.debug("in", message)
        match message:
            case From():
                return CallEvent(message.request, message)
            case Cast():
                return CastEvent(message.message)
            case _Elapsed():
                del self._timers[message.key]
                return self._events.fired(message.key)
            case SystemMessage():
                reason = message.handle(process)
                if reason is not None:
                    raise Stopping(reason)
                return None
            case Exit(reason=reason) if self._is_parents_exit(message):
                raise Stopping(reason)
            case _:
                return InfoEvent(message)

    # --- what supervision.sys asks for

    def get_state(self) -> tuple[object, dict[str, object]]:
        """Return the state, and the attributes of the machine."""
        return self.state, attributes(self._callbacks[-1])

    def replace_state(self, state: tuple[object, Mapping[str, object]]) -> None:
        """Be in another state, with other attributes; nothing is entered or retried."""
        name, data = state
        replace_attributes(self._callbacks[-1], data)
        self.state = self._events.state = name

    def change_code(self, behaviour: object) -> None:
        """Go on with the callbacks of another machine."""
        if not isinstance(behaviour, StateMachine):
            raise TypeError(f"a state machine goes on as one, not as {behaviour!r}")
        self._change_callback(ChangeCallback(behaviour))

    # --- what callbacks return

    def _take(
        self, result: object, transition: Transition[Any], *, entering: bool
    ) -> bool:
        """Do what a callback asked for; returns whether a state has to be entered."""
        callback = "enter" if entering else f"handle_event in {self.state!r}"
        returned: Any = result
        again = False
        match result:
            case KeepState(actions):
                pass
            case NextState():
                actions: tuple[Action, ...] = returned.actions
                again = bool(returned.state != transition.state)
                if again and entering:
                    raise BadReturn(callback, returned)
                transition.state = returned.state
            case RepeatState(actions):
                again = True
            case None if entering:
                return False
            case Stop(reason, reply) if reply is _NO_REPLY:
                raise Stopping(reason)
            case StopAndReply(reason, replies):
                for reply in replies:
                    self._reply(reply, callback)
                raise Stopping(reason)
            case _:
                raise BadReturn(callback, result)
        if actions:
            self._do(actions, transition, callback, entering=entering)
        return again

    def _do(
        self,
        actions: tuple[Action, ...],
        transition: Transition[Any],
        callback: str,
        *,
        entering: bool,
    ) -> None:
        """Do actions in their order; what came before a bad one has been done."""
        self.state = transition.state
        for action in actions:
            if isinstance(action, ReplyTo):
                self._reply(action, callback)
            elif not entering and self._change_callback(action):
                pass
            elif not transition.note(action, entering=entering):
                raise BadReturn(callback, action)

    def _reply(self, reply: object, callback: str) -> None:
        if not isinstance(reply, ReplyTo):
            raise BadReturn(callback, reply)
        if self._process.debug is not None:
            self._process.debug("out", (reply.sender, reply.value))
        reply.sender.settle(From.REPLIED, reply.value)

    def _change_callback(self, action: Action) -> bool:
        """Change the callbacks if that is what *action* is about."""
        match action:
            case ChangeCallback(machine):
                self._callbacks[-1] = machine
            case PushCallback(machine):
                self._callbacks.append(machine)
            case PopCallback() if len(self._callbacks) > 1:
                self._callbacks.pop()
            case _:
                return False
        self._use(self._callbacks[-1])
        return True


driven_by(StateMachine, run_machine)
