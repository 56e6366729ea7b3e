"""An agent's workspace, looked through: ``agents.workspace.list``, ``.get``.

By the one way from a path to a file (:mod:`beamclaw.paths`), which leads nowhere else.
Where the workspace lies on the machine is not told. The disk has a thread of its own:
one that hangs holds up nobody's words.
"""

import base64
import os
import stat
from functools import partial
from typing import Annotated, Any, Final

from beamclaw.agents import workspace_of
from beamclaw.arguments import Range
from beamclaw.config.schema import Config
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods._method import Context, Text, Whole, method
from beamclaw.gateway.methods._sessions import checked_agent
from beamclaw.paths import PathRefused, Roots, Spot, find
from beamclaw.values import frozen

LISTED: Final = 200
MOST_LISTED: Final = 1_000
# Entries of a folder that are looked at.
MOST_ENTRIES: Final = 20_000
# Bytes of a file that is shown.
MOST_BYTES: Final = 2 * 1024 * 1024
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


@frozen(kw_only=True)
class ListParams:
    """Which folder, from the workspace on."""

    agent_id: Text
    path: str = ""
    offset: Whole = 0
    limit: Annotated[int, Range(1, 2**53 - 1)] = LISTED


@frozen(kw_only=True)
class GetParams:
    """Which file, from the workspace on."""

    agent_id: Text
    path: Text


@method("agents.workspace.list", scope=READ, params=ListParams)
async def list_(context: Context, params: ListParams) -> object:
    """What is in a folder of an agent's workspace, by name; links are not followed."""
    checked_agent(context, params.agent_id)
    work = partial(listed, _roots(context.node.config, params.agent_id), params)
    return await _done(context, work)


@method("agents.workspace.get", scope=READ, params=GetParams)
async def get(context: Context, params: GetParams) -> object:
    """A text of an agent's workspace, or a picture."""
    checked_agent(context, params.agent_id)
    work = partial(read, _roots(context.node.config, params.agent_id), params)
    return await _done(context, work)


async def _done(context: Context, work: Any) -> object:
    try:
        return await context.node.disk.run(work)
    except PathRefused as refused:
        raise invalid(str(refused), reason="path-refused") from None
    except OSError as error:
        raise unavailable(
            f"the workspace cannot be read: {os.strerror(error.errno or 0)}",
            reason="workspace-unread",
        ) from None


def _roots(config: Config, agent: str) -> Roots:
    return Roots(workspace=workspace_of(config, agent), closed=config.own_places)


def _written(path: str) -> str:
    """*path*, if it begins in the workspace: no other place has a name here.

    Raises:
        PathRefused: It does not.
    """
    if path.startswith(("/", "~")):
        raise PathRefused("say where it is from the workspace on")
    return path or "."


def listed(roots: Roots, params: ListParams) -> dict[str, Any]:
    """The answer of ``agents.workspace.list``. Blocks.

    Raises:
        PathRefused: There is no such folder, or it is none of the workspace.
    """
    with find(roots, _written(params.path)) as spot:
        parts, folder = spot.place.parts, spot.open_folder()
    try:
        with os.scandir(folder) as entries:
            found = [
                shown
                for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False)
                if (shown := _entry(entry, parts)) is not None
            ]
    finally:
        os.close(folder)
    found.sort(key=lambda each: (each["kind"] != "directory", each["name"]))
    most = min(params.limit, MOST_LISTED)
    answer: dict[str, Any] = {
        "agentId": params.agent_id,
        "path": "/".join(parts),
        "entries": found[params.offset : params.offset + most],
        "totalEntries": len(found),
        "offset": params.offset,
    }
    return {**answer, "parentPath": "/".join(parts[:-1])} if parts else answer


def _entry(entry: os.DirEntry[str], parts: tuple[str, ...]) -> dict[str, Any] | None:
    """A file or folder; None: it is neither, or gone by now."""
    try:
        status = entry.stat(follow_symlinks=False)
        name = entry.name.encode().decode()
    except (OSError, UnicodeEncodeError):
        return None
    shown: dict[str, Any] = {
        "path": "/".join((*parts, name)),
        "name": name,
        "kind": "directory",
        "updatedAtMs": max(0, round(status.st_mtime * 1000)),
    }
    if stat.S_ISDIR(status.st_mode):
        return shown
    if stat.S_ISREG(status.st_mode):
        return {**shown, "kind": "file", "size": status.st_size}
    return None


def read(roots: Roots, params: GetParams) -> dict[str, Any]:
    """The answer of ``agents.workspace.get``. Blocks.

    Raises:
        PathRefused: There is no such file in the workspace, or none that is shown.
    """
    with find(roots, _written(params.path)) as spot:
        place, opened = spot.place, _one_name(spot)
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(opened)
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise PathRefused(f"{place} has more than {MOST_BYTES:,} bytes")
    kind, encoding, content = _content(data, str(place))
    shown = {
        "path": "/".join(place.parts),
        "name": place.parts[-1],
        "size": len(data),
        "updatedAtMs": max(0, round(status.st_mtime * 1000)),
        "mimeType": kind,
        "encoding": encoding,
        "content": content,
    }
    return {"agentId": params.agent_id, "file": shown}


def _one_name(spot: Spot) -> int:
    """The file, open; one with several names may be a file of somewhere else."""
    opened = spot.open_file()
    if os.fstat(opened).st_nlink > 1:
        os.close(opened)
        raise PathRefused(f"{spot.place} has further names, maybe outside")
    return opened


def _content(data: bytes, name: str) -> tuple[str, str, str]:
    for head, kind in _PICTURES:
        if data.startswith(head):
            return kind, "base64", base64.b64encode(data).decode()
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp", "base64", base64.b64encode(data).decode()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise PathRefused(f"{name} is neither a text nor a picture")
    return "text/plain", "utf8", text


METHODS: Final = (list_, get)
