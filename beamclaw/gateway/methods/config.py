"""The configuration file, by its single writer: ``config.*``.

A text of the file is our YAML; a patch may be YAML, JSON or JSON5. What is written
holds at once but for what needs a start, and every answer says which. Nothing here sends
a secret.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final

import attrs
import trio

import supervision
from beamclaw.arguments import Length
from beamclaw.config import json_schema
from beamclaw.config.json_schema import Schema, hint_of, inner_of, lookup, steps
from beamclaw.config.server import NAME, GetDocument, ReadAgain, Write
from beamclaw.config.writing.documents import Change, Document, Order, Refusal
from beamclaw.gateway.auth.scopes import ADMIN, READ
from beamclaw.gateway.errors import MethodError, invalid, unavailable
from beamclaw.gateway.methods._method import Context, NoParams, Text, Whole, method
from beamclaw.values import frozen

# Said with everything that was written.
NOW: Final = "now"
LATER: Final = "at the next start of this node"
_Path = Annotated[str, Length(1, 1024)]


@frozen(kw_only=True)
class Delivery:
    """Where somebody wants to hear of a restart; there is none, so nobody does."""

    channel: str | None = None
    to: str | None = None
    account_id: str | None = None
    thread_id: str | float | None = None


@frozen(kw_only=True)
class SetParams:
    """The whole new file, and the hash of the one it was made from."""

    raw: Text
    base_hash: Text | None = None


@frozen(kw_only=True)
class ApplyParams(SetParams):
    """The same from a client that expects a restart.

    Where it would be told, and when it would begin, mean nothing here: the node is
    restarted by whoever runs it.
    """

    session_key: str | None = None
    delivery_context: Delivery | None = None
    note: str | None = None
    restart_delay_ms: Whole | None = None


@frozen(kw_only=True)
class PatchParams(ApplyParams):
    """A part of the file, in which null takes a key away.

    What is under *replace_paths* takes the place of all that is there.
    """

    replace_paths: Annotated[tuple[Text, ...], Length(0, 256)] = ()


@frozen(kw_only=True)
class LookupParams:
    """A key, as ``gateway.port`` or ``agents.*.model``; ``.`` is all of them."""

    path: _Path


@method("config.get", scope=READ)
async def get(context: Context, params: NoParams) -> object:
    """The configuration file without its secrets, and what is wrong with it."""
    return _shown(await ask_writer(context, GetDocument()))


@method("config.set", scope=ADMIN, params=SetParams)
async def set_(context: Context, params: SetParams) -> object:
    """Replace the whole file; most of it holds at once, and the answer says what not."""
    return await _write(context, params, Order(how="set", text=params.raw))


@method("config.apply", scope=ADMIN, params=ApplyParams)
async def apply(context: Context, params: ApplyParams) -> object:
    """The same as ``config.set``: nothing here restarts the node."""
    order = Order(how="set", text=params.raw, note=params.note or "")
    return await _write(context, params, order)


@method("config.patch", scope=ADMIN, params=PatchParams)
async def patch(context: Context, params: PatchParams) -> object:
    """Change some keys of the file; what else stands in it stays, comments included."""
    order = Order(
        how="patch",
        text=params.raw,
        note=params.note or "",
        replace=params.replace_paths,
    )
    return await _write(context, params, order)


@method("secrets.reload", scope=ADMIN)
async def secrets_reload(context: Context, params: NoParams) -> object:
    """Read secrets that stand elsewhere again, and the file: what is new holds at once."""
    found = await ask_writer(context, ReadAgain(context.principal.account))
    return {"ok": True, "warningCount": len(found.warnings)}


@method("config.schema", scope=READ)
async def schema(context: Context, params: NoParams) -> object:
    """JSON Schema of the configuration, and what a form says of each key."""
    await trio.lowlevel.checkpoint()
    whole, hints = _schema()
    at = datetime.fromtimestamp(context.outside.wall(), UTC)
    return {
        "schema": whole,
        "uiHints": hints,
        "version": context.node.version(),
        "generatedAt": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


@method("config.schema.lookup", scope=READ, params=LookupParams)
async def schema_lookup(context: Context, params: LookupParams) -> object:
    """One key of that schema, and which there are below it."""
    await trio.lowlevel.checkpoint()
    whole, _ = _schema()
    found = lookup(whole, params.path)
    if found is None:
        raise invalid(f"there is no key {params.path}", code="CONFIG_PATH_UNKNOWN")
    below = inner_of(found)
    path = ".".join(steps(params.path)) or "."
    flat = {k: v for k, v in found.items() if not below or k not in _BRANCHES}
    return {
        "path": path,
        "schema": flat,
        "reloadKind": "restart",
        **_hinted(found, path),
        "children": list(_children(below, "" if path == "." else path)),
    }


_BRANCHES: Final = frozenset({"properties", "additionalProperties", "items", "$schema"})


def _children(below: Mapping[str, Schema], path: str) -> Iterable[dict[str, Any]]:
    for name, inner in below.items():
        at = f"{path}.{name}" if path else name
        yield {
            "key": name,
            "path": at,
            **({"type": inner["type"]} if "type" in inner else {}),
            "required": False,
            "hasChildren": bool(inner_of(inner)),
            "reloadKind": "restart",
            **_hinted(inner, at),
        }


def _hinted(found: Schema, path: str) -> dict[str, Any]:
    hint = hint_of(found)
    return {"hint": hint, "hintPath": path} if hint else {}


@cache
def _schema() -> tuple[Schema, dict[str, dict[str, Any]]]:
    whole = json_schema.json_schema()
    return whole, json_schema.hints(whole)


# --- what is asked and what is told


async def _write(context: Context, params: SetParams, order: Order) -> object:
    order = attrs.evolve(
        order,
        base=params.base_hash,
        must_say_base=True,
        by=context.principal.account,
        far=True,
    )
    written = await ask_writer(context, Write(order))
    document = await ask_writer(context, GetDocument())
    return {
        "ok": True,
        "path": written.path,
        "hash": written.hash,
        "config": document.parsed,
        "noop": not written.changes,
        "changes": [_change(change) for change in written.changes],
        "warnings": list(written.warnings),
        "holds": LATER if written.left or written.trouble else NOW,
        "left": [change.path for change in written.left],
        "trouble": written.trouble,
        "restart": {
            "scheduled": False,
            "required": bool(written.left or written.trouble),
        },
    }


async def ask_writer(context: Context, request: supervision.Call[Any]) -> Any:
    """What the single writer answers.

    Raises:
        MethodError: It has refused; see :func:`refused`.
    """
    try:
        return await context.bus.call(NAME, request, timeout=None)
    except Refusal as refusal:
        raise refused(refusal) from None


def refused(refusal: Refusal) -> MethodError:
    """Why the file was not changed, or could not be read."""
    if refusal.code == "disk":
        return unavailable(str(refusal), code="CONFIG_DISK")
    details: dict[str, Any] = {"code": f"CONFIG_{refusal.code.upper()}"}
    if refusal.issues:
        details["issues"] = [dict(issue) for issue in refusal.issues]
    return invalid(str(refusal), **details)


def _shown(document: Document) -> dict[str, Any]:
    return {
        "path": document.path,
        "exists": document.exists,
        "raw": document.text,
        "parsed": document.parsed,
        "config": document.parsed,
        "resolved": document.values,
        "valid": document.valid,
        "issues": list(document.issues),
        "warnings": list(document.warnings),
        "hash": document.hash,
        "included": list(document.included),
        "waiting": [_change(change) for change in document.waiting],
    }


def _change(change: Change) -> dict[str, Any]:
    return {"path": change.path, "before": change.before, "after": change.after}


METHODS: Final = (
    get,
    set_,
    apply,
    patch,
    secrets_reload,
    schema,
    schema_lookup,
)
