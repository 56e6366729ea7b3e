"""OpenClaw's published schema of the protocol, and what is held against it.

It is a peer (`scripts/peers` installs it) and never a part of this project. Where it is
there, everything that `tests/beamclaw/gateway/socket/talk.py` sends and receives is held
against it, whatever the test is about.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft7Validator

from tests.peers.plugin import which

# Payloads of events by what describes them; the others have no published schema.
EVENTS = {
    "agent": "AgentEvent",
    "chat": "ChatEvent",
    "device.pair.requested": "DevicePairRequestedEvent",
    "device.pair.resolved": "DevicePairResolvedEvent",
    "session.approval": "SessionApprovalEvent",
    "shutdown": "ShutdownEvent",
    "tick": "TickEvent",
}
# Of the others those parts are described that stand somewhere else, too.
_REQUEST = "ExecApprovalRequestParams"
PARTS: Mapping[str, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    "health": lambda payload: iter([("Snapshot/properties/health", payload)]),
    "presence": lambda payload: (
        ("PresenceEntry", each) for each in payload["presence"]
    ),
    "session.message": lambda payload: iter(
        [
            ("SessionRow/properties/key", payload["sessionKey"]),
            ("SessionRow/properties/agentId", payload["agentId"]),
            ("AgentEvent/properties/runId", payload["runId"]),
            ("AgentEvent/properties/seq", payload["messageSeq"]),
        ]
    ),
    "sessions.changed": lambda payload: (
        ("SessionRow", payload[name]) for name in ("session",) if name in payload
    ),
    "exec.approval.requested": lambda payload: iter(
        [(_REQUEST, {**_asked(payload), "id": payload["id"]})]
    ),
    "exec.approval.resolved": lambda payload: iter(
        [
            ("ApprovalDecision", payload["decision"]),
            (_REQUEST, {**_asked(payload), "id": payload["id"]}),
        ]
    ),
}
# What is told of a question beside what somebody may ask with.
TOLD = {"allowedDecisions", "details"}
# What OpenClaw's own gateway sends beside what it has published, and its clients read.
BESIDE = {"agent": {"sessionKey", "agentId"}}
# Where the name of what is given back is not the method's with "Result" behind it.
RESULTS = {"connect": "HelloOk"}
PARAMS = {"connect": "ConnectParams"}
# Parameters that only we take, or OpenClaw's own gateway beside what it has published.
OURS = {
    "chat.inject": {"idempotencyKey"},
    "models.list": {"sessionKey", "provider", "includeDetails"},
}
# What rows of an answer have so, by method: the list that they stand in, and the names.
ROWS = {"models.list": ("models", {"local"})}


def _asked(payload: Mapping[str, Any]) -> dict[str, Any]:
    request = payload["request"]
    return {name: value for name, value in request.items() if name not in TOLD}


@cache
def published() -> Mapping[str, Any] | None:
    """The schema, or None where it is not installed."""
    path = which("gateway-protocol")
    return None if path is None else orjson.loads(Path(path).read_bytes())


def pascal(method: str) -> str:
    """``sessions.list`` as the names of what describes it begin.

    >>> pascal("exec.approval.waitDecision")
    'ExecApprovalWaitDecision'
    """
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[.-]", method))


def definition(name: str) -> Mapping[str, Any] | None:
    """The schema *name*."""
    schema = published()
    return None if schema is None else schema["definitions"].get(name)


def params_of(method: str) -> Mapping[str, Any] | None:
    """What describes the parameters of *method*, if that is published."""
    return definition(PARAMS.get(method, f"{pascal(method)}Params"))


def result_of(method: str) -> Mapping[str, Any] | None:
    """What describes the result of *method*, if that is published."""
    return definition(RESULTS.get(method, f"{pascal(method)}Result"))


@cache
def _validator(name: str) -> Draft7Validator | None:
    schema = published()
    if schema is None or name.partition("/")[0] not in schema["definitions"]:
        return None
    whole = {"definitions": schema["definitions"], "$ref": f"#/definitions/{name}"}
    return Draft7Validator(whole)


def faults(name: str, value: Any) -> list[str]:
    """What the schema *name* has against *value*."""
    validator = _validator(name)
    if validator is None:
        return []
    return [fault for each in validator.iter_errors(value) for fault in _leaves(each)]


def _leaves(error: Any) -> Iterator[str]:
    """What an error comes down to: of several readings the one that fits best."""
    if not error.context:
        yield f"at {error.json_path}: {error.message[:300]}"
        return
    readings: dict[Any, list[Any]] = {}
    for each in error.context:
        readings.setdefault(each.schema_path[0], []).append(each)
    for each in min(readings.values(), key=len):
        yield from _leaves(each)


def frame_faults(frame: Mapping[str, Any]) -> list[str]:
    """What the schema has against a frame that we have sent."""
    if frame["type"] == "res":
        return faults("ResponseFrame", frame)
    found = faults("EventFrame", frame)
    name = EVENTS.get(frame["event"])
    if name is None:
        parts = PARTS.get(frame["event"], lambda _: iter(()))(frame["payload"])
        return found + [fault for part in parts for fault in faults(*part)]
    payload = frame["payload"]
    beside = BESIDE.get(frame["event"], ())
    return found + faults(name, {k: v for k, v in payload.items() if k not in beside})


def answer_faults(method: str, params: Any, answer: Mapping[str, Any]) -> list[str]:
    """What the schema has against this answer to that request."""
    if not answer["ok"]:
        return []
    name = PARAMS.get(method, f"{pascal(method)}Params")
    ours = OURS.get(method, ())
    given = {k: v for k, v in (params or {}).items() if k not in ours}
    wrong = [f"we accept what is refused: {each}" for each in faults(name, given)]
    return wrong + faults(
        RESULTS.get(method, f"{pascal(method)}Result"),
        _published_part(method, answer["payload"]),
    )


def _published_part(method: str, payload: Any) -> Any:
    if method not in ROWS:
        return payload
    name, ours = ROWS[method]
    rows = [{k: v for k, v in row.items() if k not in ours} for row in payload[name]]
    return {**payload, name: rows}
