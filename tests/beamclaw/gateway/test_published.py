"""Parameters of methods beside what OpenClaw has published of them.

Both ways, each parameter on its own with values at and beyond its limits: what we take
and the schema refuses is a fault of ours; what we refuse and the schema takes stands
below, with the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator

from beamclaw.gateway.broadcast import EVENTS as BROADCAST
from beamclaw.gateway.errors import MethodError
from beamclaw.gateway.methods._method import Method
from beamclaw.gateway.methods.table import METHODS
from beamclaw.gateway.notices import EVENTS as NOTICES
from scripts.methods import ABSENT, PUBLISHED, why_absent
from tests.support.protocol import (
    EVENTS,
    PARTS,
    RESULTS,
    definition,
    faults,
    frame_faults,
    params_of,
    published,
)

pytestmark = pytest.mark.peer("gateway-protocol")

# What clients are told of, as the greeting has it.
TOLD = (*BROADCAST, *NOTICES)
UNPUBLISHED = {"config.changed"}
LENGTHS = ("minLength", "maxLength")
# What the least of it cannot be guessed for.
BASES: dict[str, dict[str, Any]] = {
    "exec.approval.resolve": {"decision": "deny"},
    "sessions.patchMany": {"patch": {"label": "x"}},
}
# Their scope depends on what is asked, there; here it is one.
PLAIN = {"agent", "sessions.create", "sessions.patch", "sessions.patchMany"}
# What only we take, by parameter.
LENIENT: dict[str, dict[str, str]] = {
    "chat.history": {"inputRunIds": "one that is named twice is asked for once"},
    "config.schema.lookup": {"path": "what is no key is answered with that"},
    "exec.approvals.set": {"file": "read when it is carried out, and refused there"},
    "sessions.messages.subscribe": {"includeApprovals": "false is as if left out"},
    "sessions.patchMany": {"patch": "read when it is carried out, and refused there"},
    "sessions.usage": {"utcOffset": "what is none is refused with what can be"},
}
_LACKING = "sessions have nothing of the kind"
_INSIDE = "for OpenClaw's own processes"
_CHANNELS = "there are no channels yet"
_LEVELS = "a level is one of those that models have"
_MOST = "a number has a limit here"
# What only they take: parameters by why.
REFUSED: dict[str, dict[str, str]] = {
    "agent": {
        "acpTurnSource bootstrapContextMode bootstrapContextRunKind "
        "execApprovalFollowupExpectedSessionId forceCodeModeTools "
        "forceRestartSafeTools inputProvenance internalEvents "
        "internalExecutionIdentityRecoveryAttempt internalExecutionIdentityRetry "
        "internalRuntimeHandoffId sessionEffects suppressPromptPersistence "
        "swarmCollector swarmOutputSchema": _INSIDE,
        "disableMessageTool sourceReplyDeliveryMode voiceWakeTrigger": _CHANNELS,
        "cwd expectedExistingSessionId modelRun promptMode": _LACKING,
        "timeout": _MOST,
    },
    "agents.create": {"name": "an agent's id is made of it, which has few letters"},
    "agents.update": {"name": _MOST},
    "tools.invoke": {"idempotencyKey": _MOST},
    "chat.send": {
        "originatingAccountId originatingChannel originatingThreadId "
        "originatingTo": _CHANNELS,
        "systemInputProvenance systemProvenanceReceipt": _INSIDE,
        "intent toolBindings": _LACKING,
    },
    "exec.approval.resolve": {"decision": "a decision is one of the three"},
    "models.probe": {"timeoutMs": _MOST},
    "sessions.create": {
        "attachments": "they come with chat.send",
        "catalogId category contextWindow cwd execNode fastMode incognito "
        "permissionMode projectGitUrl projectId spawnDepth toolOverrides visibility "
        "worktree worktreeBaseRef worktreeName": _LACKING,
        "thinkingLevel": _LEVELS,
    },
    "sessions.delete": {
        "expectedLifecycleRevision expectedSessionUpdatedAt": _LACKING,
    },
    "sessions.list": {"activeMinutes limit offset": _MOST},
    "sessions.patch": {
        "boardFace completionOwnerSessionKey expectedLifecycleRevision "
        "expectedMarkedUnreadAt expectedPermissionMode expectedToolOverrides fastMode "
        "inheritedToolAllow inheritedToolDeny inheritedToolPolicyVersion "
        "toolOverrides ttlMinutes": _LACKING,
        "thinkingLevel verboseLevel": _LEVELS,
    },
    "sessions.preview": {"limit maxChars": _MOST},
    "sessions.send": {"thinking": _LEVELS},
    "sessions.usage": {"limit": _MOST},
}

CANDIDATES: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    50,
    51,
    100,
    101,
    200,
    201,
    500,
    501,
    1000,
    1001,
    5000,
    5001,
    30_000,
    2**31,
    2**53 - 1,
    1.5,
    "",
    " ",
    "x",
    "x" * 64,
    "x" * 65,
    "x" * 101,
    "x" * 129,
    "x" * 513,
    [],
    ["x"],
    [""],
    [1],
    ["x", "x"],
    {},
    {"x": 1},
)


def described() -> list[str]:
    """Methods of ours whose parameters are published."""
    return [name for name in METHODS if params_of(name) is not None]


def accepts(method: Method, given: Mapping[str, Any]) -> bool:
    try:
        method.read(given)
    except MethodError:
        return False
    return True


def schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """It and the readings that it gives a choice of."""
    yield schema
    for word in ("anyOf", "oneOf"):
        for each in schema.get(word, ()):
            yield from schemas(each)


def samples(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values that may be meant by *schema*, and the usual ones."""
    for each in schemas(schema):
        yield from each.get("enum", ())
        yield from (
            each[word] for word in ("const", "minimum", "maximum") if word in each
        )
        yield from (
            "x" * each[word] for word in LENGTHS if each.get(word, 10**6) < 10**5
        )
        if each.get("type") == "array":
            for item in samples(each.get("items", {})):
                yield [item] * max(1, each.get("minItems", 1))
        if each.get("type") == "object":
            yield filled(each)
    yield from CANDIDATES


def filled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The least object that *schema* takes."""
    inner = schema.get("properties", {})
    return {name: next(valid(inner[name]), None) for name in schema.get("required", ())}


def valid(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Samples that *schema* takes and that say something."""
    check = checker(schema)
    return (each for each in samples(schema) if each and check.is_valid(each))


def checker(schema: Mapping[str, Any]) -> Draft7Validator:
    whole = published()
    assert whole is not None
    return Draft7Validator({**schema, "definitions": whole["definitions"]})


def differences(name: str) -> tuple[set[str], set[str]]:
    """Parameters with values that only we take, and with values that only they take."""
    schema, method = params_of(name), METHODS[name]
    assert schema is not None
    check, base = checker(schema), filled(schema) | BASES.get(name, {})
    assert check.is_valid(base)
    assert accepts(method, base)
    ours, theirs = set[str](), set[str]()
    for param, about in schema.get("properties", {}).items():
        for sample in samples(about):
            given = {**base, param: sample}
            they, we = check.is_valid(given), accepts(method, given)
            if we and not they:
                ours.add(param)
            if they and not we:
                theirs.add(param)
    return ours, theirs


def taken() -> list[str]:
    return described() if published() is not None else ["none"]


@pytest.mark.parametrize("name", taken())
def test_parameters_are_taken_and_refused_as_published(name: str) -> None:
    ours, theirs = differences(name)
    assert ours == set(LENIENT.get(name, {}))
    assert theirs == {
        param for group in REFUSED.get(name, {}) for param in group.split()
    }


def test_scopes_and_names_are_the_published_ones() -> None:
    schema = published()
    assert schema is not None
    theirs = schema["methods"]
    assert len(theirs) == PUBLISHED  # as the reference page says
    for name, method in METHODS.items():
        assert method.published == (name in theirs), name
        if method.published and method.more is None and name not in PLAIN:
            assert method.scope == theirs[name]["scope"], name
        elif method.published:
            assert theirs[name]["scope"] == "dynamic", name


def test_of_each_method_that_is_not_here_it_is_said_why() -> None:
    schema = published()
    assert schema is not None
    missing = schema["methods"].keys() - METHODS.keys()
    silent = sorted(name for name in missing if why_absent(name) is None)
    assert silent == [], "say in scripts/methods.py why it is not here"
    patterns = [each for group in ABSENT for each in group.split()]
    assert len(patterns) == len(set(patterns))
    # A reason for something that is here, or that nobody has published, is none.
    assert [
        each for each in patterns if not any(_fits(each, name) for name in missing)
    ] == []


def _fits(pattern: str, name: str) -> bool:
    return name == pattern or (pattern[-1] == "*" and name.startswith(pattern[:-1]))


def test_what_is_held_against_the_schema_is_there() -> None:
    assert faults("TickEvent", {"ts": -1}) == [
        "at $.ts: -1 is less than the minimum of 0"
    ]
    assert [
        each for each in (*EVENTS.values(), *RESULTS.values()) if not definition(each)
    ] == []


QUESTION = {"command": "ls", "sessionKey": "agent:main:main", "details": {}}
MESSAGE = {"sessionKey": "k", "agentId": "main", "runId": "r", "messageSeq": 1}
SESSION = {"key": "agent:main:main", "kind": "direct"}
PARTLY: dict[str, tuple[Any, Any]] = {
    "health": ({"ok": True, "ts": 1}, {"ok": "yes"}),
    "presence": ({"presence": [{"ts": 1}]}, {"presence": [{"ts": 1}, {}]}),
    "session.message": (MESSAGE, MESSAGE | {"messageSeq": -1}),
    "sessions.changed": ({"session": SESSION}, {"session": SESSION | {"unread": 1}}),
    "exec.approval.requested": (
        {"id": "1", "request": QUESTION},
        {"id": "1", "request": QUESTION | {"unavailableDecisions": []}},
    ),
    "exec.approval.resolved": (
        {"id": "1", "decision": "deny", "request": QUESTION},
        {"id": "1", "decision": "no", "request": QUESTION},
    ),
}


@pytest.mark.parametrize("event", PARTS)
def test_events_are_held_against_what_is_published_of_their_parts(event: str) -> None:
    right, wrong = PARTLY[event]
    frame = {"type": "event", "event": event, "seq": 1}
    assert frame_faults({**frame, "payload": right}) == []
    assert frame_faults({**frame, "payload": wrong}) != []


def test_every_event_is_held_against_something() -> None:
    """But for ours, and those that nothing is published of."""
    assert set(TOLD) - EVENTS.keys() - PARTS.keys() == UNPUBLISHED
