"""Faults of supervisors: start, restart, stop, automatic shutdown."""

from tests.mutation.fault import Fault

FAULTS = (
    # --- E. specs and start
    Fault(
        "default-intensity",
        "_supervisor.py",
        "        max_restarts: int = 3,\n",
        "        max_restarts: int = 1,\n",
        "one restart in five seconds is tolerated by default, as in Erlang",
        ("33",),
    ),
    Fault(
        "no-limits-are-checked",
        "_supervisor.py",
        "        check_limits(max_restarts, max_seconds)\n",
        "",
        "a negative intensity is accepted",
        ("33",),
    ),
    Fault(
        "default-shutdown",
        "_child_spec.py",
        "_DEFAULT_SHUTDOWN: Final = 5.0",
        "_DEFAULT_SHUTDOWN: Final = 10.0",
        "a worker has ten seconds to end by default",
        ("34",),
    ),
    Fault(
        "equal-ids",
        "_supervisor.py",
        "        check_ids(children)\n",
        "",
        "two children of one id are accepted",
        ("34",),
    ),
    Fault(
        "permanent-significant",
        "_child_spec.py",
        '    if spec.significant and spec.restart == "permanent":',
        '    if spec.significant and spec.restart == "temporary":',
        "a permanent child may be significant, a temporary one may not",
        ("35",),
    ),
    Fault(
        "significant-in-start-child",
        "_supervisor.py",
        "        check_significant(spec, self.auto_shutdown)\n",
        "",
        "start_child takes a significant child that nothing would come of",
        ("35",),
    ),
    Fault(
        "start-in-reverse",
        "_supervisor.py",
        "        for child in tuple(self._children):",
        "        for child in tuple(self._children)[::-1]:",
        "children start in the reverse order",
        ("36",),
        by_erlang=True,
    ),
    Fault(
        "start-all-at-once",
        "_server.py",
        '    first = cast("object", await server.init())\n',
        '    process.acknowledge()\n    first = cast("object", await server.init())\n',
        "a child counts as started before its init is done",
        ("27", "36"),
        by_erlang=True,
    ),
    Fault(
        "ignored-temporary-stays",
        "_supervisor.py",
        """\
            return self._start_reason
        if child.spec.restart == "temporary":
""",
        """\
            return self._start_reason
        if child.spec.restart == "transient":
""",
        "a temporary child that chose not to run keeps its spec, a transient one not",
        ("37",),
        by_erlang=True,
    ),
    Fault(
        "stop-in-order",
        "_supervisor.py",
        "        for child in reversed(children):\n",
        "        for child in children:\n",
        "children are terminated in the order of their start",
        ("38", "47", "57"),
        by_erlang=True,
    ),
    Fault(
        "failed-start-has-the-childs-reason",
        "_supervisor.py",
        "                reason = Shutdown(failed)",
        "                reason = failed.reason",
        "a supervisor whose start failed ends with the reason of its child",
        ("38",),
        by_erlang=True,
    ),
    Fault(
        "stranger-ends-the-supervisor",
        "_supervisor.py",
        "            case Exit(pid, reason) if pid is self.process.parent_pid:",
        "            case Exit(_, reason):",
        "the exit signal of a stranger ends a supervisor",
        ("40",),
        by_erlang=True,
    ),
    # --- F. a child ended
    Fault(
        "transient-restarts-at-shutdown",
        "_reasons.py",
        "    return isinstance(reason, Normal | Shutdown)",
        "    return isinstance(reason, Normal) or reason == SHUTDOWN",
        "a transient child is restarted after Shutdown with a term",
        ("41",),
        by_erlang=True,
    ),
    Fault(
        "temporary-restarts",
        "_restarts.py",
        '        case "temporary":\n            return False',
        '        case "temporary":\n            return not is_orderly(reason)',
        "a temporary child is restarted after a crash",
        ("41",),
        by_erlang=True,
    ),
    Fault(
        "permanent-ends-normally",
        "_restarts.py",
        '        case "permanent":\n            return True',
        '        case "permanent":\n            return str(reason) != "normal"',
        "a permanent child that returns is not restarted",
        ("41",),
        by_erlang=True,
    ),
    Fault(
        "transient-is-forgotten",
        "_supervisor.py",
        """\
        if child.spec.restart == "temporary":
            self._children.remove(child)
        active =""",
        """\
        if child.spec.restart != "permanent":
            self._children.remove(child)
        active =""",
        "a transient child that ended is forgotten, and cannot be restarted by hand",
        ("42",),
        by_erlang=True,
    ),
    Fault(
        "window-one-too-many",
        "_restarts.py",
        "        return len(self._times) < self.max_restarts",
        "        return len(self._times) <= self.max_restarts",
        "one restart more than max_restarts is tolerated",
        ("43",),
        by_erlang=True,
    ),
    Fault(
        "window-one-too-few",
        "_restarts.py",
        "        return len(self._times) < self.max_restarts",
        "        return len(self._times) + 1 < self.max_restarts",
        "one restart less than max_restarts is tolerated",
        ("43",),
        by_erlang=True,
    ),
    Fault(
        "gives-up-normally",
        "_supervisor.py",
        """\
            self._children.remove(child)
            return SHUTDOWN
        if delay == 0.0:""",
        """\
            self._children.remove(child)
            return NORMAL
        if delay == 0.0:""",
        "a supervisor that gives up ends with the reason normal",
        ("43",),
        by_erlang=True,
    ),
    Fault(
        "window-ends-early",
        "_restarts.py",
        "now - self._times[0] > self.max_seconds",
        "now - self._times[0] >= self.max_seconds",
        "a restart that is exactly max_seconds old does not count",
        ("44",),
    ),
    Fault(
        "window-is-too-long",
        "_restarts.py",
        "now - self._times[0] > self.max_seconds",
        "now - self._times[0] > 2 * self.max_seconds + 3",
        "restarts count long after max_seconds",
        ("43", "44"),
    ),
    Fault(
        "group-counts-each",
        "_supervisor.py",
        """\
            self.note_restart(child, child.last_reason)
            reason = await self._start(child)""",
        """\
            self.note_restart(child, child.last_reason)
            if child is not failed:
                self.admit(child)
            reason = await self._start(child)""",
        "each child of a group that is restarted counts as a restart",
        ("45",),
        by_erlang=True,
    ),
    Fault(
        "restart-goes-to-the-end",
        "_supervisor.py",
        "        child.last_reason = reason\n        self.admit(child)\n",
        """\
        child.last_reason = reason
        self._children.remove(child)
        self._children.append(child)
        self.admit(child)
""",
        "a child that is restarted is the last of the children from then on",
        ("46",),
        by_erlang=True,
    ),
    Fault(
        "rest-is-what-came-before",
        "_strategies.py",
        "            return list(children[children.index(failed) :])",
        "            return list(children[: children.index(failed) + 1])",
        "rest_for_one restarts those before the one that failed",
        ("47",),
        by_erlang=True,
    ),
    Fault(
        "group-starts-in-reverse",
        "_supervisor.py",
        "        for child in group:\n            self.note_restart",
        "        for child in reversed(group):\n            self.note_restart",
        "a group is started in the reverse order",
        ("47",),
        by_erlang=True,
    ),
    Fault(
        "resting-sibling-stays",
        "_supervisor.py",
        "        group = concerned(self.strategy, self._children, failed)\n",
        """\
        group = [
            child
            for child in concerned(self.strategy, self._children, failed)
            if child is failed or child.process is not None
        ]
""",
        "a sibling that did not run is not started with its group",
        ("48",),
        by_erlang=True,
    ),
    Fault(
        "temporary-sibling-stays",
        "_supervisor.py",
        '            if child.spec.restart == "temporary" and child in self._children:',
        '            if child.spec.restart == "transient" and child in self._children:',
        "a temporary child that was terminated keeps its spec, a transient one not",
        ("48", "67"),
        by_erlang=True,
    ),
    Fault(
        "retry-is-not-tried",
        "_supervisor.py",
        """\
                child.last_reason = reason
                self.retry_now(child)
                return
""",
        """\
                child.last_reason = reason
                return
""",
        "a restart in a group that fails is never tried again",
        ("50",),
        by_erlang=True,
    ),
    Fault(
        "retry-overtakes",
        "_engine.py",
        "        self.process.deliver(Retry(child, child.token, counted=False))",
        """\
        self.process.deliver(Retry(child, child.token, counted=False))
        if self.process.mailbox is not None:
            self.process.mailbox.rotate(1)""",
        "between two tries of a failing restart no request is served",
        ("49",),
        by_erlang=True,
    ),
    Fault(
        "failed-restart-rests",
        "_supervisor.py",
        """\
            child.last_reason = reason
            self.retry_now(child)

""",
        """\
            child.last_reason = reason

""",
        "a restart that fails is never tried again",
        ("49",),
        by_erlang=True,
    ),
    Fault(
        "group-goes-on-behind-a-failure",
        "_supervisor.py",
        """\
                self.retry_now(child)
                return

    # --- starting""",
        """\
                self.retry_now(child)
                continue

    # --- starting""",
        "the restart of a group goes on behind the child that failed",
        ("50",),
        by_erlang=True,
    ),
    Fault(
        "void-retry-is-tried",
        "_supervisor.py",
        "        if child.token is not retry.token:\n",
        "        if retry.token is None:\n",
        "a child that was terminated while it waited for its retry is started",
        ("51",),
        by_erlang=True,
    ),
    Fault(
        "ignored-restart-is-a-failure",
        "_supervisor.py",
        "        if process.status is not IGNORED:\n            child.last_reason = reason",
        "        if process.status is not None:\n            child.last_reason = reason",
        "a restart in which init chose not to run is tried again",
        ("52",),
        by_erlang=True,
    ),
    Fault(
        "old-object-is-started",
        "_engine.py",
        "        start: Callable[..., object] = spec.start\n",
        """\
        kept = self.__dict__.setdefault("kept", {})
        start: Callable[..., object] = lambda: kept.setdefault(spec, spec.start())
""",
        "a restart runs the old object again, with the old state",
        ("53",),
    ),
    Fault(
        "second-death-restarts-again",
        "_supervisor.py",
        """\
        child = self.by_process.pop(ended.process, None)
        if child is None or child.process is not ended.process:
            return None
""",
        """\
        self.by_process.pop(ended.process, None)
        named = [c for c in self._children if c.spec.id == ended.process.label]
        if not named:
            return None
        child = named[0]
""",
        "a death that was settled with its group is handled once more",
        ("54",),
        by_erlang=True,
    ),
    Fault(
        "restarts-what-it-terminated",
        "_supervisor.py",
        "        await self._stop_all([child])\n",
        """\
        if child.process is not None:
            child.process.signal(self.process.pid, SHUTDOWN)
""",
        "terminate_child is a signal like any other: a permanent child is back",
        ("55", "67"),
        by_erlang=True,
    ),
    # --- G. terminating children
    Fault(
        "one-grace-for-all",
        "_engine.py",
        "            await self.await_end([process], child.spec.shutdown)",
        "            await self.await_end([process], _GRACE_OF_KILLED)",
        "a child is killed after five seconds, whatever its shutdown value is",
        ("56",),
    ),
    Fault(
        "brutal-kill-asks",
        "_engine.py",
        """\
            process.kill()
            await self.await_end([process], UNKILLABLE_AFTER)""",
        """\
            process.signal(self.process.pid, SHUTDOWN)
            await self.await_end([process], UNKILLABLE_AFTER)""",
        "BRUTAL_KILL is a shutdown of one second",
        ("56",),
        by_erlang=True,
    ),
    Fault(
        "stop-all-at-once",
        "_supervisor.py",
        "        for child in reversed(children):\n",
        """\
        for child in children:
            if child.process is not None:
                child.process.signal(self.process.pid, SHUTDOWN)
        for child in reversed(children):
""",
        "all children are told to end before the first one has",
        ("57",),
        by_erlang=True,
    ),
    Fault(
        "asks-the-table",
        "_supervising.py",
        """\
    if isinstance(engine, StaticEngine):
        return await call(sup, WhichChildren(), timeout=None)
""",
        "",
        "a supervisor that waits for the end of a child answers",
        ("58",),
    ),
    Fault(
        "killed-is-always-an-error",
        "_engine.py",
        "        return not isinstance(spec.shutdown, BrutalKill)",
        "        return True",
        "that a child with BRUTAL_KILL was killed is reported",
        ("59",),
    ),
    Fault(
        "normal-end-of-a-permanent-is-fine",
        "_engine.py",
        '    return not (is_orderly(reason) and spec.restart != "permanent")',
        "    return not is_orderly(reason)",
        "a permanent child that returned when told to end is not reported",
        ("59",),
    ),
    Fault(
        "dynamic-one-after-the-other",
        "_dynamic_supervisor.py",
        "        await self.end_all(stopped, tell, max(graces))\n",
        """\
        for process in stopped:
            await self.end_all([process], tell, max(graces))
""",
        "each child of a dynamic supervisor has a grace of its own, one after the other",
        ("60",),
    ),
    Fault(
        "parents-reason-is-lost",
        "_supervisor.py",
        """\
            case Exit(pid, reason) if pid is self.process.parent_pid:
                return reason
""",
        """\
            case Exit(pid, reason) if pid is self.process.parent_pid:
                return SHUTDOWN
""",
        "a supervisor ends with shutdown, whatever its parent ended with",
        ("61",),
        by_erlang=True,
    ),
    Fault(
        "children-of-the-killed-shut-down",
        "_engine.py",
        "            process.signal(self.process.pid, KILLED)",
        "            process.signal(self.process.pid, SHUTDOWN)",
        "children of a killed supervisor end with shutdown in place of killed",
        ("61",),
        by_erlang=True,
    ),
    # --- H. automatic shutdown
    Fault(
        "any-waits-for-all",
        "_strategies.py",
        '        case "any_significant":\n            return significant\n',
        '        case "any_significant":\n'
        "            return significant and not significant_left\n",
        "any_significant waits for the last of them",
        ("62",),
        by_erlang=True,
    ),
    Fault(
        "any-child-ends-it",
        "_strategies.py",
        '        case "any_significant":\n            return significant\n',
        '        case "any_significant":\n            return True\n',
        "under any_significant every child takes its supervisor along",
        ("62",),
        by_erlang=True,
    ),
    Fault(
        "all-is-any",
        "_strategies.py",
        "            return significant and not significant_left",
        "            return significant",
        "all_significant waits for the first of them only",
        ("63",),
        by_erlang=True,
    ),
    Fault(
        "terminating-shuts-down",
        "_supervisor.py",
        "        await self._stop_all([child])\n",
        """\
        await self._stop_all([child])
        if child.spec.significant:
            self.process.deliver(StopOrder(SHUTDOWN))
""",
        "terminate_child of a significant child takes the supervisor along",
        ("64",),
        by_erlang=True,
    ),
    Fault(
        "automatic-shutdown-has-the-childs-reason",
        "_supervisor.py",
        """\
            significant_left=active,
        ):
            return SHUTDOWN
""",
        """\
            significant_left=active,
        ):
            return ended.reason
""",
        "a supervisor that ends itself has the reason of its child",
        ("62", "65"),
        by_erlang=True,
    ),
)
