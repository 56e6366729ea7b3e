"""Faults of what one may ask of a supervisor."""

from tests.mutation.fault import Fault

FAULTS = (
    Fault(
        "failed-start-is-kept",
        "_supervisor.py",
        """\
        if reason is not None:
            self._children.remove(child)
            _raise_start_failure""",
        """\
        if reason is not None:
            _raise_start_failure""",
        "a child whose start failed stays among the children",
        ("66",),
        by_erlang=True,
    ),
    Fault(
        "new-child-is-the-first",
        "_supervisor.py",
        "        self._children.append(child)\n        reason =",
        "        self._children.insert(0, child)\n        reason =",
        "start_child puts the child before the others",
        ("66",),
        by_erlang=True,
    ),
    Fault(
        "present-is-started",
        "_supervisor.py",
        '            raise AlreadyPresent(f"child {spec.id!r} is known but not running")\n',
        "            self._children.remove(child)\n            break\n",
        "start_child replaces a child that does not run",
        ("66",),
        by_erlang=True,
    ),
    Fault(
        "restart-by-hand-counts",
        "_supervisor.py",
        "        child = self._resting(key)\n        reason",
        "        child = self._resting(key)\n        self.admit(child)\n        reason",
        "restart_child counts as a restart",
        ("68",),
        by_erlang=True,
    ),
    Fault(
        "restarting-can-be-restarted",
        "_supervisor.py",
        '        if child.status != "undefined":\n',
        '        if child.status == "cooling-down":\n',
        "a child that is about to be started can be started and deleted by hand",
        ("68", "69"),
        by_erlang=True,
    ),
    Fault(
        "running-can-be-deleted",
        "_supervisor.py",
        "                self._children.remove(self._resting(child))",
        "                self._children.remove(self._find(child))",
        "delete_child forgets a child that runs",
        ("69",),
        by_erlang=True,
    ),
    Fault(
        "oldest-first",
        "_supervisor.py",
        "            case WhichChildren():\n"
        "                return [child.info() for child in reversed(self._children)]",
        "            case WhichChildren():\n"
        "                return [child.info() for child in self._children]",
        "which_children lists the oldest first",
        ("70",),
        by_erlang=True,
    ),
    Fault(
        "workers-that-run",
        "_children.py",
        "        workers=len(listed) - supervisors,",
        "        workers=sum(\n"
        '            child.process is not None and child.spec.type == "worker"\n'
        "            for child in listed\n"
        "        ),",
        "count_children counts only workers that run",
        ("70",),
        by_erlang=True,
    ),
    Fault(
        "dynamic-child-is-kept",
        "_dynamic_supervisor.py",
        "entry, child, reason):\n            self._forget(entry)",
        "entry, child, reason):\n"
        '            entry.status = "undefined"\n'
        "            self._tell(entry, From.FAILED, entry)",
        "a dynamic child that is not restarted stays among the children",
        ("71",),
        by_erlang=True,
    ),
    Fault(
        "no-spec-by-pid",
        "_supervisor.py",
        "            if key in (child.spec.id, child.pid):",
        "            if key == child.spec.id:",
        "a child is not found by its pid",
        ("72",),
    ),
    Fault(
        "one-child-too-many",
        "_dynamic_supervisor.py",
        "len(self._children) >= limit",
        "len(self._children) > limit",
        "a dynamic supervisor takes one child more than max_children",
        ("73",),
    ),
    Fault(
        "restarting-ones-do-not-count",
        "_dynamic_supervisor.py",
        "len(self._children) >= limit",
        "sum(child.process is not None for child in self._children) >= limit",
        "a child that is about to be started leaves room for another one",
        ("73",),
    ),
    Fault(
        "wrong-partition",
        "_partition_supervisor.py",
        "        number = checksum(key) % len(self._ids)",
        "        number = (checksum(key) + 1) % len(self._ids)",
        "the number of a partition leads to the next one",
        ("73",),
    ),
    Fault(
        "new-code-new-children",
        "_supervisor.py",
        "kept.pop(spec.id, None) or Child(spec)",
        "Child(spec)",
        "a supervisor that changes its code forgets the children that run",
        ("74",),
    ),
    Fault(
        "new-code-old-flags",
        "_supervisor.py",
        "        self.strategy = behaviour.strategy\n",
        "",
        "a supervisor that changes its code keeps its strategy",
        ("74",),
    ),
    Fault(
        "new-code-old-auto-shutdown",
        "_supervisor.py",
        "        self.auto_shutdown = behaviour.auto_shutdown\n",
        "",
        "a supervisor that changes its code keeps its automatic shutdown",
        ("74",),
    ),
)
