"""P2: nothing twice, nothing without its intent, no wrong word about it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import orjson

from tests.audit.book import Row
from tests.audit.known import OF_CLIENTS, ONCE, TOOLS, UNSAFE, Known, rule

# What it comes to is told later, see :mod:`tests.audit.notices`.
BACKGROUND: Final = re.compile(r"It goes on in the background: session ([\w-]+)")


def calls_of(known: Known) -> Iterator[tuple[Row, Row, list[Row], list[Row]]]:
    """Each tool call that a model asked for: event, call, intents, results."""
    intents, results = defaultdict(list), defaultdict(list)
    for event in known.book.of_kind("tool-begun"):
        intents[event["run_id"], event["body"]["call_id"]].append(event)
    for event in known.book.of_kind("tool-ended"):
        results[event["run_id"], event["body"]["result"]["id"]].append(event)
    for event in known.book.of_kind("answered"):
        for part in event["body"]["message"]["parts"]:
            if part.get("_") == "ToolCall":
                id_ = event["run_id"], part["id"]
                yield event, part, intents[id_], results[id_]


@rule
def one_result(known: Known) -> Iterator[str]:
    """A tool call without its one result, or a result without its call."""
    called = set()
    for event, call, _, results in calls_of(known):
        called.add((event["run_id"], call["id"]))
        run = known.book.run(event["run_id"])
        over = run is not None and run["state"] == "ended"
        # What is a client's own comes back with its next message, if at all.
        least = 0 if call["name"] in OF_CLIENTS else 1
        if len(results) > least or (over and len(results) < least):
            yield f"{event['key']} {call['id']}: {len(results)} results"
        if results and results[0]["seq"] < event["seq"]:
            yield f"{event['key']} {call['id']}: its result stands before it"
    for event in known.book.of_kind("tool-ended"):
        id_ = event["body"]["result"]["id"]
        if (event["run_id"], id_) not in called:
            yield f"{event['key']} {id_}: a result of no call"


@rule
def ordered(known: Known) -> Iterator[str]:
    """A tool call that a client has ordered, and a model was asked, or it had none."""
    for run in known.book.runs:
        id_ = run["run_id"]
        if run["state"] != "ended" or not known.book.is_ordered(id_):
            continue
        if known.book.of_run(id_, "asked"):
            yield f"{id_}: a model was asked"
        if len(known.book.of_run(id_, "tool-ended")) != 1:
            yield f"{id_}: it is over without what the call came to"


@rule
def paired(known: Known) -> Iterator[str]:
    """A prompt in which a tool call has not exactly one result, right behind it."""
    for call in known.calls:
        yield from (
            f"{call.marker}: the provider complains: {b}" for b in call.breaches
        )
        open_: list[str] = []
        for message in call.messages:
            if message["role"] == "tool":
                if message["tool_call_id"] not in open_:
                    yield f"{call.marker}: a result of nothing in the prompt"
                else:
                    open_.remove(message["tool_call_id"])
                continue
            if open_:
                yield f"{call.marker}: {open_} without a result in the prompt"
            open_ = [each["id"] for each in message.get("tool_calls") or ()]
        if open_:
            yield f"{call.marker}: {open_} without a result in the prompt"


@rule
def intended(known: Known) -> Iterator[str]:
    """An effect whose intent was not on disk before it."""
    for number, kill in enumerate(known.kills, 1):
        keys = {event["body"]["key"] for event in kill.book.of_kind("tool-begun")}
        for effect in known.effects[: kill.effects]:
            if effect.key not in keys:
                yield f"{effect.text}: {effect.tool}, and no intent at kill {number}"
    keys = {event["body"]["key"] for event in known.book.of_kind("tool-begun")}
    for effect in known.effects:
        if effect.key not in keys:
            yield f"{effect.text}: {effect.tool}, and no intent"


@rule
def agreed(known: Known) -> Iterator[str]:
    """An effect that a person has to agree to, and another one was agreed to, or none."""
    deeds = {
        row["wait_id"]: orjson.loads(row["details"]).get("script")
        for row in known.book.waits
        if row["verdict"] == "allow"
    }
    granted = {
        (row["tool"], row["pattern"], row["arguments"]) for row in known.book.grants
    }
    for effect in known.effects:
        if effect.script is None or deeds.get(effect.key) == effect.script:
            continue
        if (effect.tool, effect.what, effect.script) not in granted:
            yield f"{effect.text}: {effect.tool} did {effect.script!r} without leave"


@rule
def granted(known: Known) -> Iterator[str]:
    """Something is allowed for good that nobody has allowed so."""
    rows = {row["wait_id"]: row for row in known.book.waits}
    for grant in known.book.grants:
        row = rows.get(grant["wait_id"])
        if row is None:  # its conversation is deleted
            continue
        if row["verdict"] != "allow" or not row["always"]:
            yield f"{grant['wait_id']}: granted, and answered {row['verdict']}"
        if row["granting"] is None:
            yield f"{grant['wait_id']}: granted, and it was not offered"
    put = {
        (g["agent"], g["tool"], g["pattern"], g["arguments"]) for g in known.book.grants
    }
    for wait_id, row in rows.items():
        if row.get("always"):
            grant = orjson.loads(row["granting"])
            what = grant["tool"], grant["pattern"], grant.get("arguments", "")
            if (row["agent"], *what) not in put:
                yield f"{wait_id}: allowed for good, and it is not granted"


@rule
def effects_once(known: Known) -> Iterator[str]:
    """An effect twice: by its key, or under two keys for the same wish of the model."""
    keys = Counter((e.tool, e.key) for e in known.effects if e.tool in ONCE)
    texts = Counter(
        (e.tool, e.text) for e in known.effects if e.tool in ONCE and e.text
    )
    for (tool, key), count in keys.items():
        if count > 1:
            yield f"{tool} {key}: {count} times"
    for (tool, text), count in texts.items():
        if count > 1:
            yield f"{tool} {text}: {count} times"


@rule
def begun_once(known: Known) -> Iterator[str]:
    """A call that nobody can repeat was begun twice, or with two keys."""
    for event, call, intents, _ in calls_of(known):
        if call["name"] in UNSAFE and len(intents) > 1:
            yield f"{event['key']} {call['id']}: begun {len(intents)} times"
        if len({intent["body"]["key"] for intent in intents}) > 1:
            yield f"{event['key']} {call['id']}: begun with different keys"
        attempts = [intent["body"].get("attempt", 1) for intent in intents]
        if attempts != list(range(1, len(attempts) + 1)):
            yield f"{event['key']} {call['id']}: its beginnings are {attempts}"


@rule
def results_true(known: Known) -> Iterator[str]:
    """A result that says something else than what was done, or hides a doubt."""
    done = Counter(effect.key for effect in known.effects)
    for event, call, intents, results in calls_of(known):
        if not results:
            continue
        outcome = results[0]["body"]["outcome"]
        times = done[intents[0]["body"]["key"]] if intents else 0
        where = f"{event['key']} {call['id']} ({call['name']})"
        text = results[0]["body"]["result"]["text"]
        wants = call["name"] in TOOLS and not BACKGROUND.match(text)
        if outcome == "ok" and not times and wants:
            yield f"{where}: ok, and nothing was done: {text[:200]!r}"
        if outcome == "refused" and times:
            yield f"{where}: refused, and it was done"
        if (
            outcome == "unknown"
            and "not known" not in text
            and "never came" not in text
        ):
            yield f"{where}: unknown, and not said so: {text!r}"
        if outcome == "unknown" and known.cuts == 0 and not known.kills:
            yield f"{where}: unknown, and nobody died"
        if outcome != "ok" and not results[0]["body"]["result"].get("is_error"):
            yield f"{where}: {outcome}, and not marked so for the model"
