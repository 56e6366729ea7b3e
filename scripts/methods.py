"""Put the table of methods anew into `docs/reference/gateway-protocol.md`; a test compares.

python -m scripts.methods
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from beamclaw.arguments.schema import camel
from beamclaw.gateway.methods._method import Method
from beamclaw.gateway.methods.table import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "gateway-protocol.md"
BEGIN = "<!-- made by python -m scripts.methods -->\n"
# Methods that OpenClaw has published, in the release whose schema the tests read.
PUBLISHED = 410


# Published methods that are not here, by why; ``x.*`` are all that begin so.
ABSENT: dict[str, str] = {
    "connect": "the first request of a connection, and none later",
    "channels.* conversations.* message.action poll send web.*": "there are no channels",
    "cron.* last-heartbeat set-heartbeats system-event": "there are no jobs by the clock",
    "node.* exec.approvals.node.* skills.bins nativeHook.* desktop.* worker.* "
    "environments.* voicewake.* attach.* device.pair.setupCode "
    "device.pair.setupStatus": "there are no nodes: machines that do something for agents",
    "device.scopes.*": "a device that wants more asks for it when it connects",
    "gateway.identity.get": "the gateway signs nothing, so it has no key",
    "memory.* doctor.memory.* migrations.*": "there is no index of memory",
    "plugins.* plugin.* mcp.* sessions.pluginPatch": "plugins have no part in the gateway",
    "talk.* tts.*": "nothing is spoken or heard",
    "board.* portal.* progressCard.* controlUi.* ui.* assistant.* push.*": "pages of "
    "OpenClaw's own, and what they show beside conversations",
    "worktrees.* projects.* sessions.diff sessions.github.* tools.github.*": "agents "
    "work in their workspace as it is",
    "users.* session.* sessions.assignOwner sessions.viewers.set "
    "sessions.observer.* sessions.companion.*": "a tenant's sessions belong to nobody in "
    "particular",
    "sessions.groups.* sessions.goal.* sessions.title.prepare chat.toolTitles": "a "
    "session has a label, and no further order",
    "sessions.dispatch sessions.reclaim sessions.recover sessions.move "
    "sessions.catalog.*": "sessions stay on this node, and others' are not looked at",
    "sessions.files.*": "commands touch files of which nobody is told, so a list of those "
    "that a session has touched would not be one; `agents.workspace.list` has all of them",
    "audit.run.inspect": "by which chain of persons, agents and grants a turn was begun "
    "is not kept as one record; `audit.list` has its tool calls, `approval.history` what "
    "persons have decided, and `beamclaw audit` what was done to the node",
    "exec.approval.request": "a question is asked by a call of a turn, which carries out "
    "exactly what was agreed to; of what a client would do with a yes of its own asking "
    "nothing here could say whether it was that",
    "question.get question.request question.resolve question.waitAnswer "
    "taskSuggestions.*": "no tool asks with answers to choose from, or suggests",
    "tasks.retry tasks.dismiss": "what is over is in its conversation",
    "terminal.*": "nobody types into a shell of the node by the gateway",
    "fs.*": "folders beside workspaces are not shown",
    "models.authLogout": "keys stand in the configuration, or where that says",
    "secrets.resolve": "it tells secrets; here no method does",
    "secrets.store.*": "the node keeps no secrets of its own: they stand in a file, a "
    "program or the system's keyring, which the configuration names",
    "skills.*": "skills are folders on the disk, put there by who runs the node "
    "(`beamclaw skills`) and switched by its configuration (`config.patch`); no registry "
    "of them is asked",
    "hooks.status": "OpenClaw's hooks are programs that its events start; there are none "
    "here, and what comes by `/hooks/*` stands in the configuration",
    "diagnostics.*": "what they tell is of OpenClaw's own queues; a running node is looked "
    "at with `beamclaw shell`, also over the gateway (`beamclaw.shell`)",
    "gateway.restart.* gateway.suspend.* update.* wizard.* openclaw.* "
    "config.openFile": "a node is started, stopped and changed by who runs it",
}


def why_absent(name: str) -> str | None:
    """Why the published method *name* is not here; None: nobody has said."""
    for patterns, why in ABSENT.items():
        for pattern in patterns.split():
            if name == pattern or (
                pattern[-1] == "*" and name.startswith(pattern[:-1])
            ):
                return why
    return None


def absent() -> str:
    """What is not here, as a table."""
    rows = [
        f"| {', '.join(f'`{each}`' for each in patterns.split())} | {why} |"
        for patterns, why in ABSENT.items()
    ]
    head = "## What is not here\n\nOf the published methods, by why; `x.*` are those of a family that the table above has not."
    return "\n".join(["", head, "", "| methods | why |", "| --- | --- |", *rows, ""])


def table(methods: Iterable[Method]) -> str:
    """The table, and a line with its sums."""
    rows = list(methods)
    theirs = sum(each.published for each in rows)
    return "\n".join(
        [
            f"{theirs} of {PUBLISHED} published methods, and {len(rows) - theirs} ours.\n",
            "| method | scope | parameters | |",
            "| --- | --- | --- | --- |",
            *_rows(rows),
            "",
        ]
    )


def _rows(methods: Iterable[Method]) -> Iterator[str]:
    for each in methods:
        scope = f"`{each.scope}`{', and more' if each.more else ''}"
        name = f"`{each.name}`{'' if each.published else ' (ours)'}"
        summary = each.summary.replace("|", "\\|").replace("*", "`")
        yield f"| {name} | {scope} | {_params(each.params)} | {summary} |"


def _params(params: type) -> str:
    return ", ".join(
        f"**`{camel(field.name)}`**"
        if field.default is attrs.NOTHING
        else f"`{camel(field.name)}`"
        for field in attrs.fields(params)
    )


def page(text: str) -> str:
    """*text*, the page, with the table anew."""
    before, _, _ = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(METHODS.values())}{absent()}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
