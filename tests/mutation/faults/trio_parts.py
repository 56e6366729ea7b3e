"""Faults of what stands on Trio, and of what OTP does otherwise."""

from tests.mutation.fault import Fault

FAULTS = (
    Fault(
        "children-live-at-home",
        "_engine.py",
        "        begin(here.nursery, context,",
        "        assert home.nursery is not None\n        begin(home.nursery, context,",
        "children do not live in the nursery of their supervisor",
        ("T1",),
    ),
    Fault(
        "crash-reaches-the-nursery",
        "_life.py",
        "            self.home.fail(ending)\n        return None",
        "            self.home.fail(ending)\n        return error",
        "the exception of a process goes on to its nursery",
        ("T2",),
    ),
    Fault(
        "last-reason-wins",
        "_life.py",
        "        if self.reason is not None and (reason is not KILLED or self.reason is KILLED):",
        "        if self.reason is KILLED:",
        "a second signal replaces the reason of the first",
        ("T3",),
    ),
    Fault(
        "cancelled-outside-is-a-crash",
        "_life.py",
        "            self.finish(self.reason or SHUTDOWN)\n            return error",
        "            self.finish(self.reason or Crash(error))\n            return error",
        "a process whose nursery is cancelled has crashed",
        ("T3",),
    ),
    Fault(
        "unkillable-is-not-reported",
        "_engine.py",
        "                report_unkillable(process)\n",
        "                pass\n",
        "a child that cannot be ended is not reported",
        ("T4",),
    ),
    Fault(
        "terminate-without-a-shield",
        "_ending.py",
        "CancelScope(shield=True, relative_deadline=seconds)",
        "CancelScope(shield=False, relative_deadline=seconds)",
        "what terminate awaits is cancelled with everything else",
        ("T5",),
    ),
    Fault(
        "terminate-has-for-ever",
        "_ending.py",
        "CancelScope(shield=True, relative_deadline=seconds)",
        "CancelScope(shield=True, relative_deadline=3600)",
        "terminate has an hour, whatever the shutdown of the child is",
        ("T5",),
    ),
    Fault(
        "trapped-signal-cancels",
        "_life.py",
        "            self.deliver(Exit(sender, reason))\n",
        "            self.deliver(Exit(sender, reason))\n            self.cancel()\n",
        "a process that traps exits is cancelled by a signal",
        ("T6",),
    ),
    Fault(
        "swallowed-is-normal",
        "_life.py",
        "            self.finish(self.reason or NORMAL)\n",
        "            self.finish(NORMAL)\n",
        "a process that swallows its cancellation has ended normally",
        ("T7",),
    ),
    Fault(
        "group-of-one-stays",
        "_signals.py",
        "    if len(left) <= 1:\n        return left[0] if left else None\n",
        "    if not left:\n        return None\n",
        "an exception in a nursery of the process is a crash with a group of one",
        ("T8",),
    ),
    Fault(
        "cancelled-stays-in-the-group",
        "_signals.py",
        "    left = [kept for kept in reduced if kept is not None]\n",
        "    left = [e for e, kept in zip(group.exceptions, reduced, strict=True) if kept]\n"
        "    left = left and list(group.exceptions)\n",
        "cancellations stay in the group of a crash",
        ("T8",),
    ),
    Fault(
        "orphans",
        "_engine.py",
        "        await self.end_all(left, tell, min(max(graces), 60.0), interruptible=False)",
        "        await self.end_all(left, tell, 3600.0, interruptible=False)",
        "a killed supervisor waits for ever for a child that traps exits",
        ("61", "T9", "Q5"),
    ),
    Fault(
        "init-is-not-waited-for",
        "_server.py",
        '    first = cast("object", await server.init())\n',
        '    process.status = "running"\n    first = cast("object", await server.init())\n',
        "in which order children are initialised is left to Trio",
        ("T10",),
    ),
    Fault(
        "cast-goes-over-the-token",
        "_calls.py",
        "        server.deliver(Cast(message))",
        "        trio.lowlevel.current_trio_token().run_sync_soon(\n"
        "            server.deliver, Cast(message)\n"
        "        )",
        "a cast is not in the mailbox when it returns",
        ("T11",),
    ),
    Fault(
        "exit-goes-over-the-token",
        "_links.py",
        "    target.signal(here.pid if here is not None else target.home.pid, signalled)",
        "    from trio.lowlevel import current_trio_token\n\n"
        "    sender = here.pid if here is not None else target.home.pid\n"
        "    current_trio_token().run_sync_soon(target.signal, sender, signalled)",
        "an exit signal is not there when exit returns",
        ("T11",),
        by_erlang=True,
    ),
    Fault(
        "receive-never-yields",
        "_timers.py",
        "        await trio.lowlevel.checkpoint()\n        here.take_turn()\n",
        "        here.take_turn()\n",
        "a process with a full mailbox keeps all others waiting",
        ("T12",),
    ),
    Fault(
        "down-comes-later",
        "_life.py",
        "                fire(ref, pid, reason)",
        "                trio.lowlevel.current_trio_token().run_sync_soon(\n"
        "                    fire, ref, pid, reason\n"
        "                )",
        "monitors hear of a death some time after links do",
        ("T13",),
    ),
    Fault(
        "cancelled-call-stays",
        "_signals.py",
        "        self.task = None\n        self.server.pending.discard(self)\n"
        "        return trio",
        "        self.task = None\n        return trio",
        "the server remembers a caller that was cancelled",
        ("T14",),
    ),
    Fault(
        "reply-wakes-the-cancelled",
        "_signals.py",
        "        self.task = None\n        self.server.pending.discard(self)\n"
        "        return trio",
        "        self.server.pending.discard(self)\n        return trio",
        "a reply wakes a task that does not wait for it",
        ("T14",),
    ),
    Fault(
        "call-opens-a-scope",
        "_calls.py",
        """\
    timer = timers().at(trio.current_time() + timeout, slot.expire)
    try:
        await wait_task_rescheduled(slot.abort)
    finally:
        timer.cancel()
""",
        """\
    with trio.move_on_after(timeout):
        await wait_task_rescheduled(slot.abort)
""",
        "each call with a time-out opens a cancel scope",
        ("T15",),
    ),
    Fault(
        "restart-has-the-context-of-the-dead",
        "_engine.py",
        "        context = here.task.context.copy()",
        "        context = trio.lowlevel.current_task().context.copy()",
        "a restarted child has the context variables of the one that died",
        ("T16", "T18"),
    ),
    Fault(
        "restart-in-the-same-task",
        "_life.py",
        "            error = caught\n",
        """\
            error = caught
            if isinstance(caught, Exception) and self.status is RUNNING:
                try:
                    await start(*args)
                except BaseException as again:
                    error = again
""",
        "a second incarnation runs in the task of the first",
        ("T16", "T17"),
    ),
    Fault(
        "window-on-the-wall-clock",
        "_engine.py",
        "            return 0.0 if self.window.admit(trio.current_time()) else None",
        '            return 0.0 if self.window.admit(__import__("time").time()) else None',
        "the window of restarts is on the wall clock",
        ("T19",),
    ),
    Fault(
        "interrupt-ends-one-process",
        "_life.py",
        "            self.home.fail(ending)\n        return None",
        "            pass\n        return None",
        "a SystemExit in a process ends that process alone",
        ("T20",),
    ),
    # --- Q. what OTP does and we do not
    Fault(
        "window-remembers-all",
        "_restarts.py",
        "            lambda self: deque[float](maxlen=self.max_restarts + 1),",
        "            lambda self: deque[float](),",
        "a window remembers every restart",
        ("Q1",),
    ),
    Fault(
        "ignored-dynamic-child-is-tried-again",
        "_dynamic_supervisor.py",
        "        return child.status is not IGNORED and entry.restarts > 0",
        "        return entry.restarts > 0",
        "a dynamic child that chose not to run is tried again",
        ("Q2",),
    ),
)
