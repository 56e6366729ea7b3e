"""The agents of this node: ``agents.*``, ``agent.identity.get``.

Which there are stands in the configuration, whose single writer makes, changes and
takes them away; that holds from the next turn on. What is answered has no room to
say so: clients refuse a field that they do not know.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

import orjson
import trio

from beamclaw.agents import UnknownAgent, UnknownModel, resolve, workspace_of
from beamclaw.arguments import Length, Null
from beamclaw.config.schema import Config
from beamclaw.config.server import GetDocument, Write
from beamclaw.config.writing.documents import Document, Order
from beamclaw.contracts import keys
from beamclaw.contracts.names import of_tenant
from beamclaw.contracts.skills import (
    GetFiles,
    SetFile,
    Unread,
    Unset,
    WorkspaceFile,
    WorkspaceFiles,
)
from beamclaw.gateway.auth.scopes import ADMIN, READ
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.gateway.methods._sessions import checked_agent, key_of
from beamclaw.gateway.methods.config import ask_writer
from beamclaw.values import frozen

Name = Annotated[str, Length(1, 200)]


@method("agents.list", scope=READ)
async def list_(context: Context, params: NoParams) -> object:
    """Which agents answer here, and by which models."""
    await trio.lowlevel.checkpoint()
    node = context.node
    return {
        "defaultId": node.agents.default,
        "mainKey": keys.MAIN,
        "scope": "per-sender",
        "agents": [_summary(node.config, agent) for agent in node.agents.ids],
    }


def _summary(config: Config, agent: str) -> dict[str, Any]:
    name = name_of(config, agent)
    given: dict[str, Any] = {
        "id": agent,
        "kind": "agent",
        "name": name,
        "identity": {"name": name},
        "workspace": str(workspace_of(config, agent)),
    }
    try:
        found = resolve(config, agent)
    except (UnknownAgent, UnknownModel):
        return given
    fallbacks = [f"{provider}/{model}" for provider, model in found.fallbacks]
    model = {"primary": f"{found.provider}/{found.model}", "fallbacks": fallbacks}
    return {**given, "model": model}


def name_of(config: Config, agent: str) -> str:
    """How people call it."""
    return config.agents[agent].name or agent


@frozen(kw_only=True)
class IdentityParams:
    """Which agent; or the one that answers in a session."""

    agent_id: Text | None = None
    session_key: str | None = None


@method("agent.identity.get", scope=READ, params=IdentityParams)
async def identity(context: Context, params: IdentityParams) -> object:
    """Who an agent is, as people see it."""
    await trio.lowlevel.checkpoint()
    agent = checked_agent(context, params.agent_id)
    if agent is None and params.session_key:
        agent = keys.parse(key_of(context, params.session_key)).agent
        agent = checked_agent(context, agent)
    agent = agent or context.node.agents.default
    named = context.node.config.agents[agent].name
    return {
        "agentId": agent,
        "name": named or agent,
        "nameSource": "default" if named is None else "config",
        "avatarStatus": "none",
    }


# --- made, changed, taken away


@frozen(kw_only=True)
class CreateParams:
    """What it is called; its id is made of that."""

    name: Name
    workspace: Text | None = None
    model: Text | None = None
    emoji: str = ""
    avatar: str = ""


@method("agents.create", scope=ADMIN, params=CreateParams)
async def create(context: Context, params: CreateParams) -> object:
    """Add an agent to the configuration; it answers from now on."""
    _no_face(params.emoji, params.avatar)
    agent = id_of(params.name)
    document = await _document(context)
    if agent in _configured(document) or agent in context.node.agents.ids:
        raise invalid(f"there is an agent {agent!r} already")
    own = {
        "name": params.name,
        "model": params.model,
        "workspace": params.workspace,
    }
    entry = {name: value for name, value in own.items() if value is not None}
    agents: dict[str, Any] = {agent: entry}
    if not _configured(document):
        # Where the file names none, there is main: it stays.
        agents = {keys.MAIN: {}, **agents}
    await _patch(context, document, agents, note=f"agents.create {agent}")
    workspace = params.workspace or str(workspace_of(context.node.config, agent))
    model = {} if params.model is None else {"model": params.model}
    return {
        "ok": True,
        "agentId": agent,
        "name": params.name,
        "workspace": workspace,
        **model,
    }


@frozen(kw_only=True)
class UpdateParams:
    """What of which agent; a model of null is the node's own choice."""

    agent_id: Text
    name: Name | None = None
    workspace: Text | None = None
    model: Annotated[Text | None, Null()] = None
    emoji: str = ""
    avatar: str = ""


@method("agents.update", scope=ADMIN, params=UpdateParams)
async def update(context: Context, params: UpdateParams) -> object:
    """Change an agent in the configuration; it holds from its next turn on."""
    _no_face(params.emoji, params.avatar)
    document = await _document(context)
    _require(context, document, params.agent_id)
    own = {
        "name": params.name,
        "workspace": params.workspace,
        "model": params.model,
    }
    entry = {name: value for name, value in own.items() if name in context.given}
    if not entry:
        raise invalid("say what to change: name, workspace or model")
    note = f"agents.update {params.agent_id}"
    await _patch(context, document, {params.agent_id: entry}, note=note)
    return {"ok": True, "agentId": params.agent_id}


@frozen(kw_only=True)
class DeleteParams:
    """Which agent. Its workspace and its sessions stay where they are."""

    agent_id: Text
    delete_files: bool = False


@method("agents.delete", scope=ADMIN, params=DeleteParams)
async def delete(context: Context, params: DeleteParams) -> object:
    """Take an agent out of the configuration; it is gone from now on."""
    if params.delete_files:
        raise invalid(
            "files of agents are not deleted here; leave deleteFiles out, and remove "
            "the workspace yourself"
        )
    agent = params.agent_id
    if agent == keys.MAIN:
        raise invalid("the agent main stays: what names no agent is for it")
    document = await _document(context)
    if agent not in _configured(document):
        raise invalid(f"there is no agent {agent[:64]!r} in the configuration file")
    note = f"agents.delete {agent}"
    await _patch(context, document, {agent: None}, note=note)
    return {"ok": True, "agentId": agent, "removedBindings": 0}


_NOT_IN_IDS: Final = re.compile(r"[^a-z0-9_-]+")


def id_of(name: str) -> str:
    """The id of an agent that is called *name*.

    >>> id_of("Claw the Second!")
    'claw-the-second'

    Raises:
        MethodError: None can be made of it.
    """
    made = _NOT_IN_IDS.sub("-", name.lower()).strip("-_")[: keys.MAX_AGENT]
    try:
        return keys.check_agent(made)
    except keys.BadKey as bad:
        raise invalid(f"no id can be made of the name {name!r}: {bad}") from None


def _no_face(emoji: str, avatar: str) -> None:
    if emoji or avatar:
        raise invalid("an agent here has no emoji and no avatar; leave them out")


async def _document(context: Context) -> Document:
    return await ask_writer(context, GetDocument())


def _configured(document: Document) -> Mapping[str, Any]:
    # The file alone does not name those of the files that it includes.
    includes = document.included and document.values is not None
    said = (document.values or {}) if includes else document.parsed
    agents: object = said.get("agents")
    if not isinstance(agents, Mapping):
        return {}
    return cast("Mapping[str, Any]", agents)


def _require(context: Context, document: Document, agent: str) -> None:
    if agent not in _configured(document):
        checked_agent(context, agent)


async def _patch(
    context: Context, document: Document, agents: Mapping[str, Any], *, note: str
) -> None:
    order = Order(
        how="patch",
        text=orjson.dumps({"agents": agents}).decode(),
        base=document.hash,
        must_say_base=True,
        shrink=True,  # one agent may be most of a small file
        by=context.principal.account,
        note=note,
    )
    await ask_writer(context, Write(order))


# --- its files


@frozen(kw_only=True)
class FilesParams:
    """Of which agent."""

    agent_id: Text


@frozen(kw_only=True)
class FileParams:
    """Which of them."""

    agent_id: Text
    name: Text


@method("agents.files.list", scope=READ, params=FilesParams)
async def files_list(context: Context, params: FilesParams) -> object:
    """The files at the top of an agent's workspace that it is told."""
    found = await _files(context, params.agent_id)
    return {
        "agentId": params.agent_id,
        "workspace": found.folder,
        "files": [_file(found.folder, file) for file in found.files],
    }


@method("agents.files.get", scope=READ, params=FileParams)
async def files_get(context: Context, params: FileParams) -> object:
    """One of them, with what stands in it."""
    found = await _files(context, params.agent_id)
    chosen = [file for file in found.files if file.name == params.name]
    if not chosen:
        there = ", ".join(file.name for file in found.files)
        raise invalid(f"unsupported file {params.name[:100]!r}; there are {there}")
    file = chosen[0]
    if file.trouble:
        raise invalid(f"{file.name} cannot be read: {file.trouble}")
    shown = _file(found.folder, file)
    if file.text is not None:
        shown["content"] = file.text
    return {"agentId": params.agent_id, "workspace": found.folder, "file": shown}


@frozen(kw_only=True)
class SetParams:
    """What is to stand in which of them."""

    agent_id: Text
    name: Text
    content: str


@method("agents.files.set", scope=ADMIN, params=SetParams)
async def files_set(context: Context, params: SetParams) -> object:
    """Put something into one of them; the agent's next turn is told it."""
    agent = params.agent_id
    checked_agent(context, agent)
    order = SetFile(agent, params.name, params.content)
    skills = of_tenant(context.tenant, "skills")
    found = await context.bus.call(skills, order, timeout=None)
    if isinstance(found, Unset):
        raise invalid(found.why)
    if isinstance(found, Unread):
        raise unavailable(
            f"{found.why}; the file is as before, or as it was to be: look",
            reason="workspace-unread",
        )
    (file,) = (each for each in found.files if each.name == params.name)
    shown = _file(found.folder, file)
    if file.text is not None:
        shown["content"] = file.text
    return {"ok": True, "agentId": agent, "workspace": found.folder, "file": shown}


async def _files(context: Context, agent: str) -> WorkspaceFiles:
    checked_agent(context, agent)
    skills = of_tenant(context.tenant, "skills")
    found = await context.bus.call(skills, GetFiles(agent), timeout=None)
    if isinstance(found, Unread):
        raise unavailable(found.why, reason="workspace-unread")
    return found


def _file(folder: str, file: WorkspaceFile) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": file.name,
        "path": f"{folder}/{file.name}",
        "missing": file.text is None,
    }
    return shown if file.text is None else {**shown, "size": len(file.text.encode())}


METHODS: Final = (
    list_,
    identity,
    create,
    update,
    delete,
    files_list,
    files_get,
    files_set,
)
