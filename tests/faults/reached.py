"""Which scenario of the matrix is sure to reach which points.

A scenario reaches many more, some of them only sometimes. Here each name stands once, so
that a point which nobody reaches is noticed before a node is started.
"""

from collections.abc import Iterable, Iterator, Mapping

from beamclaw.contracts.points import SIDES

REACHED: Mapping[str, tuple[str, ...]] = {
    "budget": (
        "run.budget",
        "run.call",
        "run.collect",
        "tool.begin",
        "run.dismiss",
        "tool.run",
        "tool.effect",
        "tool.done",
    ),
    "first-start": (
        "launcher.start",
        "launcher.watch",
        "folder.make",
        "token.sync",
        "token.link",
        "workspace.folder",
        "workspace.sync",
        "workspace.seed",
        "storage.commit",
        "storage.migrate",
        "storage.own",
        "storage.sync",
        "storage.rename",
        "tenant.claim",
        "edge.accept",
        "http.accepted",
        "http.stream",
        "http.end",
        "store.reply",
        "devices.load",
    ),
    "config-written": (
        "config.touched",
        "config.begin-provider",
        "config.folder",
        "config.sync",
        "config.keep",
        "config.refuse",
        "config.replace",
        "config.sync-folder",
    ),
    "agent-accepted": ("socket.accepted", "socket.answer"),
    "noted": ("session.note",),
    "file-set": (
        "workspace.write",
        "workspace.replace",
        "workspace.sync-folder",
    ),
    "embedded": (
        "embedding.begin",
        "embedding.write",
        "embedding.paid",
        "embedding.answer",
    ),
    "key-revoked": ("devices.write",),
    "agent-gone": ("session.refuse",),
    "mended": (
        "session.mend",
        "session.keep",
        "snapshot.put",
    ),
    "taken-up-again": ("tool.check",),
    "files-changed": (
        "path.folder",
        "path.sync",
        "file.sync-receipt",
        "file.receipt",
        "file.sync-receipts",
        "file.sync",
        "file.rename",
        "file.sync-folder",
        "file.close",
        "file.forget",
    ),
    "asked-again": (
        "session.revive",
        "run.take-over",
    ),
    "fallback": ("run.retry",),
    "summed-up": (
        "run.reserve-summary",
        "run.summary",
        "run.drop-summary",
    ),
    "nearly-spent": ("limits.note",),
    "door-died": ("door.look",),
    "breaker": ("permit.alive",),
    "answer-found": ("session.tell-found",),
    "kept-no-longer": (
        "session.set",
        "session.order-done",
        "cleanup.delete",
    ),
    "deleted": ("session.erase", "cleanup.erase", "command.unread"),
    "begun-anew": ("session.renew",),
    "handed-by-person": (
        "session.hand-over",
        "session.handed-over",
    ),
    "told-another": (
        "door.rouse",
        "run.rouse",
        "run.act",
    ),
    "session-changed": (
        "session.reset",
        "session.rewind",
        "session.fork",
        "session.order-refused",
    ),
    "sub-agent-outlives": (
        "session.stopped-now",
        "session.stop-children",
        "session.rouse",
    ),
    "sub-agents": ("session.tell-result",),
    "stop-in-tool": ("session.stop-call",),
    "stop-in-answer": (
        "session.stop",
        "session.stopped",
        "session.close",
    ),
    "interrupt": ("session.interrupt",),
    "stop-in-queue": ("session.withdraw",),
    "steer": (
        "session.steer",
        "run.take-messages",
        "run.steered",
    ),
    "two-answer": (
        "session.answer",
        "session.answered",
        "session.answer-late",
        "session.tell-answer",
    ),
    "leave-for-good": ("run.clear",),
    "leave-taken-back": ("grant.revoke",),
    "changed-since": ("tool.clear", "run.reserve-time"),
    "nobody-answers": ("run.expire",),
    "tool-too-slow": ("run.drop-call",),
    "command": (
        "workspace.make",
        "command.begin",
        "command.hold",
        "command.launch",
        "command.type",
        "command.step",
        "command.answer",
        "command.let-go",
        "command.done",
    ),
    "command-in-background": (
        "notice.note",
        "notice.ask",
        "notice.tell",
        "notice.rouse",
        "notice.drop",
        "command.over",
        "command.finished",
    ),
    "pages-fetched": (
        "command.drop",
        "web.request",
    ),
    "command-used": ("command.clear",),
    "command-refuses": ("command.refuse",),
    "terminal": ("command.end",),
    "deleted-with-command": ("command.forget",),
    "plain-terminal": (
        "shell.accepted",
        "shell.send",
        "ledger.ring",
        "ledger.reply",
        "door.start",
        "door.ring",
        "session.take",
        "session.run",
        "run.commit",
        "permit.acquire",
        "permit.grant",
        "permit.release",
        "provider.request",
    ),
    "plain-whole": (
        "http.answer",
        "http.send",
    ),
}

_SKILLS = "skills are installed by a command, beside the node"
_COMMANDS = "on the way of a fault that no scenario has"
# Names in parts that stand by themselves so far: nothing in the tree of a node calls them,
# so no kill can come there. Whoever wires one in gives it a scenario above; the matrix
# complains when one of these is reached.
NOT_IN_A_NODE: Mapping[str, str] = {
    "skill.write": _SKILLS,
    "skill.folder": _SKILLS,
    "skill.place": _SKILLS,
    "skill.sync-lock": _SKILLS,
    "skill.lock": _SKILLS,
    "skill.sync-folder": _SKILLS,
    "skill.clear": _SKILLS,
    "notice.refuse": _COMMANDS,
    "sandbox.refuse": _COMMANDS,
    "launcher.lost": _COMMANDS,
    "launcher.refuse": _COMMANDS,
    "embedding.refuse": _COMMANDS,
    "embedding.cut": _COMMANDS,
}


def points_of(scenario: str) -> Iterator[str]:
    """The points that a play of *scenario* without a kill has to reach."""
    yield from _sides(REACHED.get(scenario, ()))


def points_nowhere() -> Iterator[str]:
    """The points that no node reaches."""
    yield from _sides(NOT_IN_A_NODE)


def _sides(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        for side in SIDES:
            yield f"{name}.{side}"
