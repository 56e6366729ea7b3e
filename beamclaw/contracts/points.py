"""Points: the places in the program at which a test may look in, or end it.

Around each step that others rely on (a commit, a sync, a rename, something sent, an
acknowledgement, the beginning and the end of an effect) stands ``with point(name):``.
It does nothing, unless a test has put a hook in: the crash tests kill the process there,
the simulation orders events by them. Nothing in the program itself can put one in, and
no setting can.

Each name below has two points, ``<name>.before`` and ``<name>.after``. *After* is
reached when the step has worked; not when it was refused.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

Hook = Callable[[str], object]

POINTS: Final[Mapping[str, str]] = {
    # --- files
    "folder.make": "a folder of the data folder is made",
    "token.sync": "the gateway's token is written out",
    "token.link": "the token gets its name",
    "config.folder": "a folder for configurations is made",
    "config.sync": "a new configuration, or the one it replaces, is written out",
    "config.keep": "the configuration that is replaced gets its place in the history",
    "config.replace": "the configuration file is replaced",
    "config.sync-folder": "the folder that names the new configuration is written out",
    "config.touched": "who holds the configuration is told that its file is another one",
    "config.begin-provider": "a provider whose settings have changed is begun anew",
    "config.refuse": "who wants to change the configuration hears why not",
    "storage.commit": "a transaction of the ledger or node.db is made durable",
    "storage.migrate": "one step of a file's schema is made durable",
    "storage.own": "the ledger learns its new owner epoch",
    "storage.sync": "a new file, or a folder with a new name in it, is written out",
    "storage.rename": "a new file gets its name",
    "tenant.claim": "a tenant's ledger asks node.db for a new owner epoch",
    "skill.write": "a file of a skill that is installed is written out",
    "skill.folder": "a folder for it is made",
    "skill.place": "the skill, whole, gets its place",
    "skill.sync-lock": "what is installed is written out, beside its place",
    "skill.lock": "what is installed counts from here on",
    "skill.sync-folder": "the folder that holds the new name is written out",
    "skill.clear": "what is not installed any more is deleted",
    "path.folder": "a folder that is missing on the way to a file is made",
    "path.sync": "the folder that names it is written out",
    "workspace.folder": "a folder of a new workspace is made",
    "workspace.sync": "a file that a workspace begins with is written out",
    "workspace.seed": "such a file gets its name",
    "workspace.write": "what a client puts into such a file is written out, beside it",
    "workspace.replace": "such a file is replaced for a client",
    "workspace.sync-folder": "the folder with its name in it is written out",
    "file.sync-receipt": "what an edit or a patch has decided, or done, is written out",
    "file.receipt": "what it has decided gets its name: from here on it counts",
    "file.sync-receipts": "the folder with that name in it is written out",
    "file.sync": "the new content of a file is written out, beside its place",
    "file.rename": "a file is replaced by its new content, or taken away",
    "file.sync-folder": "the folder with the new name in it is written out",
    "file.close": "an edit or a patch is over, and its new contents are let go",
    "file.forget": "what it has done stands in the journal, and is let go here",
    # --- the edge
    "edge.accept": "a message is put into the inbox",
    "http.accepted": "the first byte of a stream: the acknowledgement",
    "http.stream": "words of the answer go to the client",
    "http.end": "the end of a stream goes to the client",
    "http.answer": "the answer in one piece, or the error in its place",
    "http.send": "anything at all goes to a client over HTTP",
    "shell.accepted": "the acknowledgement on the node's socket",
    "shell.send": "a frame goes to a command",
    # --- who is let in
    "devices.load": "the rows of devices and keys are taken into the table",
    "devices.write": "a change of devices or keys is made durable",
    # --- ledger and door
    "ledger.ring": "the door is told of a message in the inbox",
    "ledger.reply": "whoever has committed or read hears of it",
    "store.reply": "whoever has claimed a tenant hears of it",
    "door.start": "a session's process is begun",
    "door.ring": "the session is told of its message",
    "door.rouse": "a session that lives is told that another one has written for it",
    "door.look": "a session that lives is told to look into its inbox",
    # --- a session
    "session.take": "a message is taken, and its run opened",
    "session.run": "the process of a run is begun",
    "session.revive": "a revival is counted, before it is tried",
    "session.steer": "a message is given to the run in progress",
    "session.interrupt": "a run is stopped for the message behind it",
    "session.stop": "a run is stopped for a person",
    "session.stop-call": "a tool call of a turn that is over is stopped",
    "session.stopped": "who has stopped a run hears that it is over",
    "session.stopped-now": "who has stopped a turn without a run hears of it",
    "session.close": "the end of a turn is written in its run's place",
    "session.withdraw": "a message that waited is stopped",
    "session.refuse": "a message that can have no run is taken, with the reason",
    "session.answer": "a person's answer is written down",
    "session.answered": "the person hears that the answer counts",
    "session.answer-late": "the person hears that the answer does not count",
    "session.tell-answer": "the run hears of the answer",
    "session.hand-over": "another agent gets the session",
    "session.handed-over": "who wanted that hears of it",
    "session.stop-children": "the sub-agents of a turn that is over are stopped",
    "session.rouse": "another session is told to look at what this one has written",
    "session.tell-result": "the run hears what a sub-agent has come to",
    "session.tell-found": "a run that was found hears of an answer",
    "session.mend": "a damaged conversation is made whole",
    "session.keep": "the state of a journal is handed over, for a snapshot",
    "snapshot.put": "a snapshot is written",
    "session.renew": "a message that only begins a new conversation is taken",
    "session.set": "what is set for a session is written, or that it is put away or gone",
    "session.reset": "a new conversation begins under the key of the last",
    "session.note": "words of the node become part of a conversation",
    "socket.accepted": "a client of the gateway is told that its message is kept",
    "socket.answer": "a client of the gateway is told what came of its request",
    "session.rewind": "a conversation goes back to an event",
    "session.fork": "another session begins with what this one has come to",
    "session.erase": "the clean-up hears that a session was deleted",
    "session.order-done": "who wants something done with a session hears that it is",
    "session.order-refused": "who wants that hears why it is not",
    "cleanup.delete": "a session whose time is over is deleted",
    "cleanup.erase": "a little of what deleted sessions held is erased",
    "grant.revoke": "what was allowed for good is taken back",
    # --- a run
    "run.take-over": "a successor claims the run's next epoch",
    "run.rouse": "another session is told to look at what the run has written",
    "run.take-messages": "messages that came during a turn are taken into it",
    "run.commit": "a run writes what it has decided: a call of the model, intents, "
    "results, questions, the end",
    "run.act": "a call that concerns sessions is written down, with all that it means",
    "run.budget": "a run ends because its next call would be too dear",
    "run.retry": "a failed call of the model is written down, before the next one",
    "run.reserve-time": "a run is about to reserve time to go on for",
    "run.reserve-summary": "a summary is about to be asked for",
    "run.expire": "nobody has answered in time",
    "run.steered": "the session hears which messages are in the journal",
    "run.clear": "a tool is asked whether a person has to agree to a call",
    "run.call": "a tool call is begun",
    "run.collect": "a tool call is asked for its output",
    "run.drop-call": "a tool call that takes too long is stopped",
    "run.dismiss": "a tool call hears that its result is in the journal",
    "run.summary": "the process that asks for a summary is begun",
    "run.drop-summary": "the process that asked for a summary is ended",
    "limits.note": "of which cap was warned is written down",
    "permit.acquire": "leave to call the provider is asked for",
    "permit.grant": "leave is given",
    "permit.alive": "others hear that the provider answers again",
    "permit.release": "leave is given back",
    "embedding.begin": "the process is begun that has vectors made, or a model tried",
    "embedding.write": "what that may take is reserved, or what it did take written down",
    "embedding.paid": "who warns of caps hears that something was paid",
    "embedding.answer": "who wants the vectors gets them, or hears how the model did",
    "embedding.refuse": "who wants that hears that it cannot be paid for now",
    "embedding.cut": "who wants that hears that the process has died",
    "provider.request": "the request goes to the provider, its head comes back",
    # --- a tool call
    "tool.begin": "the process of a tool call is begun",
    "tool.check": "a tool is asked what became of an earlier beginning",
    "tool.clear": "a tool is asked that again, right before it works",
    "tool.run": "a tool works",
    "tool.effect": "a tool has its effect (those of `beamclaw.testing.world`)",
    "tool.done": "the run gets the output",
    # --- a page of the internet
    "web.request": "a page is asked for",
    # --- a command
    "workspace.make": "the folder is made in which an agent works",
    "launcher.start": "what starts commands is started itself",
    "launcher.watch": "the process that waits for its death is begun",
    "launcher.lost": "its death is told",
    "launcher.refuse": "who wants a command hears why there is none",
    "command.begin": "the process that holds a command is begun",
    "command.hold": "a process that reads, waits or writes for it is begun",
    "command.launch": "a command is handed to the launcher",
    "command.step": "what has happened to a command is told to who holds it",
    "command.type": "a command gets something to read",
    "command.refuse": "who wants to give it that hears why it gets nothing",
    "command.answer": "who asks how a command stands hears it",
    "command.end": "a command is ended, with all that it has started",
    "command.let-go": "those who worked for a command that is over are ended",
    "command.over": "who is to tell of a command's end hears of it",
    "command.finished": "the door hears that a command that is kept is over",
    "command.done": "the call that has waited for a command lets go of it",
    "command.clear": "a model wants a command forgotten",
    "command.forget": "a command that is over, or a deleted session's, is forgotten",
    "command.unread": "the door hears that the session of its commands is deleted",
    "notice.note": "that a command goes on in the background is written down",
    "notice.refuse": "a call hears that its command cannot go on without it",
    "notice.ask": "a command is asked whether it is over",
    "notice.tell": "its end is put into its session's inbox",
    "notice.rouse": "that session is told to look into its inbox",
    "notice.drop": "that this was told is written down",
    "sandbox.refuse": "who asks what can be isolated hears that nobody can try it now",
    "command.drop": "a command that somebody has waited for is let go, or ended",
}
"""What happens between the two points of each name."""

SIDES: Final = ("before", "after")

_hook: Hook | None = None


class _Between:
    """Reaches the points of a name around a block."""

    __slots__ = ("_after", "_before")

    def __init__(self, name: str) -> None:
        self._before, self._after = (f"{name}.{side}" for side in SIDES)

    def __enter__(self) -> None:
        if _hook is not None:
            _hook(self._before)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and _hook is not None:
            _hook(self._after)


_BETWEEN: Final = {name: _Between(name) for name in POINTS}


def point(name: str) -> AbstractContextManager[None, None]:
    """What stands in the block happens at *name*: costs next to nothing without a hook.

    With one, what the hook raises is raised here. It may be used in the threads of the
    databases, too.
    """
    return _BETWEEN[name]


def names() -> tuple[str, ...]:
    """All points, in the order of the table."""
    return tuple(f"{name}.{side}" for name in POINTS for side in SIDES)


@contextmanager
def hooked(hook: Hook) -> Generator[None]:
    """Put *hook* in while the block lasts. For ``beamclaw.testing`` and tests alone.

    Raises:
        RuntimeError: There is one already.
    """
    global _hook  # noqa: PLW0603 -- there is one program, and threads ask, too
    if _hook is not None:
        raise RuntimeError("a hook is in place already")
    _hook = hook
    try:
        yield
    finally:
        _hook = None
