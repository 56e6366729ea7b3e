"""What was promised, against what everybody around the node saw, and its ledger.

The audit of a simulated world. It knows nothing of the node's code: it is given what
clients sent and were told, what the providers were asked and said and bill, what the
tools did, what was killed, and the ledger as plain rows. Each function is one promise.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs

from tests.simulation.book import Book, Event, Run, Used
from tests.simulation.clients import Turn, Verdicts
from tests.simulation.model import ModelCall, markers
from tests.simulation.plan import Plan
from tests.simulation.tools import Done

PARAGRAPH = "\n\n"


@attrs.frozen
class Kill:
    """A death of the node, and what its ledger knew then."""

    at: float
    accepted: frozenset[str]
    intents: frozenset[tuple[str, str]]


@attrs.frozen(kw_only=True)
class Seen:
    """All that was seen in a world."""

    plan: Plan
    turns: Mapping[str, Turn]
    verdicts: Mapping[str, Verdicts]
    calls: Sequence[ModelCall]
    done: Sequence[Done]
    kills: Sequence[Kill]
    deaths: int
    lives: int
    jumps: int
    book: Book

    def violations(self) -> list[str]:
        """Everything that should not be."""
        return [
            *self.kept(),
            *self.ended(),
            *self.told(),
            *self.journals(),
            *self.answers(),
            *self.tool_calls(),
            *self.effects(),
            *self.questions(),
            *self.money(),
            *self.prompts(),
        ]

    @property
    def people(self) -> dict[str, str]:
        """Whose conversation a session is, by its key."""
        found: dict[str, str] = {}
        for key, journal in self.book.journals.items():
            for event in journal:
                if event.kind == "inbound" and key not in found:
                    for marker in markers(_text(event.body["messages"])):
                        found[key] = marker.partition(".")[0]
        return found

    # --- P1: acknowledged is kept

    def kept(self) -> Iterator[str]:
        """Acknowledged before a death, and not in the ledger after it."""
        for number, kill in enumerate(self.kills, 1):
            for turn in self.turns.values():
                early = turn.acked is not None and turn.acked < kill.at
                if early and turn.say.marker not in kill.accepted:
                    yield f"{turn.say.marker}: acknowledged, lost by death {number}"

    def ended(self) -> Iterator[str]:
        """Acknowledged, and without its one end, or with one that nothing explains."""
        for marker, turn in self.turns.items():
            run = self.book.run_of(marker)
            if run is None:
                if turn.acked is not None:
                    yield f"{marker}: acknowledged, not in the ledger"
            elif run.state != "ended":
                yield f"{marker}: its turn is {run.state}"
            elif not (why := self._explained(turn, run)):
                yield f"{marker}: {run.outcome} without a reason: {run.error}"
            elif why is not True and not run.error:
                yield f"{marker}: {run.outcome}, and nobody is told why"
        for marker in self.book.rows:
            if marker not in self.turns:
                yield f"{marker}: in the ledger, but nobody sent it"

    def _explained(self, turn: Turn, run: Run) -> bool | str:
        said = self._said_in(run)
        match run.outcome:
            case "ok":
                return True
            case "aborted":
                stopped = any(self.turns[m].stopped for m in said)
                modes = {say.queue for say in turn.person.says}
                return turn.stopped or stopped or "interrupt" in modes
            case "limited":
                tight = self.plan.session_tokens or self.plan.turn_calls < 100
                return bool(tight or self.jumps)
            case "error":
                found = any(call.error for call in self.calls)
                return "error" if found else False
            case "quarantined":
                deaths = self.deaths + len(self.kills)
                return "error" if deaths >= self.plan.revive_limit else False
            case _:
                return False

    def _said_in(self, run: Run) -> list[str]:
        """Markers of the messages that a run answers."""
        return [
            marker
            for marker in self.book.rows
            if self.book.run_of(marker) is run and marker in self.turns
        ]

    def told(self) -> Iterator[str]:
        """What clients were told, against what stands in the ledger."""
        for marker, turn in self.turns.items():
            row = self.book.rows.get(marker)
            for run_id in turn.runs:
                if row is None or run_id != row.run_id:
                    yield f"{marker}: acknowledged as {run_id}, kept as {row}"
            run = self.book.run_of(marker)
            for end, shown in zip(turn.ends, turn.shown, strict=True):
                if run is None:
                    continue
                if (end.outcome, end.text) != (run.outcome, run.text):
                    yield f"{marker}: told {end}, the ledger has {run}"
                if end.outcome == "ok" and not end.text.startswith(shown):
                    yield f"{marker}: shown {shown!r}, the answer is {end.text!r}"

    # --- the journals

    def journals(self) -> Iterator[str]:
        """Order, numbers, epochs, one turn at a time, every message once."""
        count: Counter[str] = Counter()
        said = {row.id for row in self.book.rows.values()}
        for key, journal in self.book.journals.items():
            yield from _numbers(key, journal)
            yield from _lane(key, journal)
            taken = [e.body["inbox_id"] for e in journal if e.kind == "inbound"]
            taken = [each for each in taken if each in said]  # not what agents say
            if any(later <= earlier for earlier, later in pairwise(taken)):
                yield f"{key}: messages in the order {taken}"
            for event in journal:
                if event.kind == "inbound":
                    count.update(markers(_text(event.body["messages"])))
        for marker, row in self.book.rows.items():
            run = self.book.runs[row.run_id]
            least = 0 if run.outcome == "aborted" else 1
            if not least <= count[marker] <= 1:
                yield f"{marker}: {count[marker]} times in a journal"

    # --- what the model said

    def answers(self) -> Iterator[str]:
        """Answers that no model gave, gave once and count twice, or that changed."""
        for key, journal in self.book.journals.items():
            person = self.people.get(key, "")
            given = [c for c in self.calls if c.person == person and not c.is_summary]
            texts: dict[str, list[str]] = defaultdict(list)
            for event in journal:
                if event.kind == "answered":
                    text = _text([event.body["message"]])
                    texts[event.run_id or ""].append(text)
                    if not text:
                        continue
                    broken = event.body["stop_reason"] in {"aborted", "error"}
                    call = _call_of(given, text, broken=broken)
                    if call is not None:
                        given.remove(call)
                    else:
                        yield f"{key}: the answer {text!r} is nobody's"
                elif event.kind == "noted":
                    texts[event.run_id or ""].append(event.body["text"])
            for run in self.book.runs.values():
                if run.key != key or run.joined is not None:
                    continue
                whole = PARAGRAPH.join(filter(None, texts[run.run_id]))
                if run.text != whole:
                    yield f"{run.run_id}: its text is {run.text!r}, not {whole!r}"

    # --- tools

    def tool_calls(self) -> Iterator[str]:  # noqa: C901 -- a table
        """Each call of a tool has one result, and no unsafe one is begun twice."""
        for key, journal in self.book.journals.items():
            open_: dict[str, str] = {}
            begun: Counter[str] = Counter()
            for event in journal:
                body = event.body
                if event.kind == "answered":
                    for part in body["message"].get("parts", ()):
                        if part["_"] == "ToolCall":
                            open_[part["id"]] = part["name"]
                elif event.kind == "tool-begun":
                    begun[body["call_id"]] += 1
                    if body["effect"] == "unsafe" and begun[body["call_id"]] > 1:
                        yield f"{key}: {body['key']} is unsafe and was begun again"
                elif event.kind == "tool-ended":
                    id_ = body["result"]["id"]
                    if open_.pop(id_, None) is None:
                        yield f"{key}: a result for {id_}, which nobody waits for"
                elif event.kind == "run-over" and open_:
                    yield f"{key}: {event.run_id} is over, {open_} have no result"
                    open_.clear()

    def effects(self) -> Iterator[str]:
        """P2: nothing twice, nothing without its intent, and no wrong word about it."""
        intents: set[tuple[str, str]] = set()
        for event in self._events("tool-begun"):
            intents.add((event.run_id or "", event.body["call_id"]))
        count = Counter((done.tool, done.key) for done in self.done)
        for (tool, key), times in count.items():
            if times > 1 and tool != "look":
                yield f"{tool} {key}: done {times} times"
        for done in self.done:
            place = done.run_id, done.call_id
            if place not in intents:
                yield f"{done.tool} {done.key}: done without an intent in the ledger"
            for number, kill in enumerate(self.kills, 1):
                if done.at < kill.at and place not in kill.intents:
                    yield f"{done.tool} {done.key}: no intent at death {number}"
        yield from self._results()

    def _results(self) -> Iterator[str]:
        effects = {(done.run_id, done.call_id): done for done in self.done}
        begun = {
            (event.run_id or "", event.body["call_id"]): event.body["tool"]
            for event in self._events("tool-begun")
        }
        for event in self._events("tool-ended"):
            body = event.body
            place = event.run_id or "", body["result"]["id"]
            if begun.get(place) == "spawn":
                continue
            if body["outcome"] == "ok" and place not in effects:
                yield f"{place}: said to be done, and was not"
            if body["outcome"] == "refused" and place in effects:
                yield f"{place}: said not to be done, and was"
            if body["outcome"] == "unknown" and not self.deaths and self.lives < 2:
                yield f"{place}: unknown, and nobody died"

    def _events(self, kind: str) -> Iterator[Event]:
        for journal in self.book.journals.values():
            yield from (event for event in journal if event.kind == kind)

    def questions(self) -> Iterator[str]:
        """A question has one answer, the one its person was told counts."""
        asked: dict[str, Any] = {}
        for event in self._events("wait-begun"):
            asked[event.body["wait_id"]] = event
        for event in self._events("wait-over"):
            wait_id, verdict = event.body["wait_id"], event.body["verdict"]
            known = self.verdicts.get(wait_id)
            counted = known.counted if known else []
            tried = known.tried if known else []
            if len(counted) > 1:
                yield f"{wait_id}: {counted} all count"
            if counted and verdict != counted[0]:
                yield f"{wait_id}: {counted[0]} was to count, {verdict} does"
            if verdict != "expired" and verdict not in tried:
                yield f"{wait_id}: nobody said {verdict}"
        allowed = {
            event.body["wait_id"]
            for event in self._events("wait-over")
            if event.body["verdict"] == "allow"
        }
        for event in self._events("tool-begun"):
            if event.body["tool"] == "ask" and event.body["key"] not in allowed:
                yield f"{event.body['key']}: begun, and nobody allowed it"

    # --- P5: money

    def money(self) -> Iterator[str]:
        """What is billed is in the ledger, and no more than the cap."""
        for used in self.book.used:
            if used.settled is None:
                yield f"{used.run_id}: call {used.attempt} was never settled"
        keys = {person: key for key, person in self.people.items()}
        billed: Counter[str] = Counter()
        for call in self.calls:
            billed[keys.get(call.person, call.person)] += sum(call.billed)
        for key, tokens in billed.items():
            counted = sum(_counted(used) for used in self.book.used if used.key == key)
            if counted < tokens:
                yield f"{key}: {tokens} tokens are billed, {counted} in the ledger"
            if counted != self.book.spent.get(key, 0):
                yield f"{key}: {counted} tokens used, {self.book.spent.get(key)} spent"
            cap = self.plan.session_tokens
            if cap is not None and tokens > cap:
                yield f"{key}: {tokens} tokens are billed, the cap is {cap}"

    # --- what the model was shown

    def prompts(self) -> Iterator[str]:
        """A prompt is the end of the conversation up to then, and nothing else."""
        orders = {
            self.people.get(key, ""): [
                marker
                for event in journal
                if event.kind == "inbound"
                for marker in markers(_text(event.body["messages"]))
            ]
            for key, journal in self.book.journals.items()
        }
        for call in self.calls:
            order = orders.get(call.person, [])
            shown = [mark for role, mark in call.prompt if role == "user"]
            shown = [mark for mark in shown if mark in self.plan.says]
            if not call.marker or not shown:
                continue
            at = order.index(shown[0]) if shown[0] in order else -1
            if at < 0 or order[at : at + len(shown)] != shown:
                yield f"call {call.number}: shown {shown} of {order}"


def _numbers(key: str, journal: Sequence[Event]) -> Iterator[str]:
    owner = 0
    epochs: dict[str, int] = defaultdict(int)
    for place, event in enumerate(journal, 1):
        if event.seq != place:
            yield f"{key}: event {event.seq} stands at place {place}"
        if event.owner_epoch < owner:
            yield f"{key}: event {place} of owner epoch {event.owner_epoch} after {owner}"
        owner = event.owner_epoch
        run = event.run_id or ""
        if event.run_epoch < epochs[run] and event.kind != "run-over":
            yield f"{key}: event {place} of run epoch {event.run_epoch}, too old"
        epochs[run] = max(epochs[run], event.run_epoch)


def _lane(key: str, journal: Sequence[Event]) -> Iterator[str]:
    """One turn at a time, and each over once."""
    current: str | None = None
    over: set[str] = set()
    for event in journal:
        run = event.run_id or ""
        if event.kind == "run-started":
            if current not in {None, run}:
                yield f"{key}: {run} begins while {current} is in progress"
            if run in over:
                yield f"{key}: {run} begins again"
            current = run
        elif event.kind == "run-over":
            if run in over:
                yield f"{key}: {run} is over twice"
            over.add(run)
            current = None
        elif run and run != current:
            yield f"{key}: {event.kind} of {run} while {current} is in progress"


def _call_of(
    calls: Iterable[ModelCall], text: str, *, broken: bool
) -> ModelCall | None:
    """The call that an answer is from: a whole one, or for a broken one any."""
    for call in calls:
        if broken and call.said.startswith(text):
            return call
        if not broken and call.whole and call.said == text:
            return call
    return None


def _text(messages: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        part.get("text", "")
        for message in messages
        for part in message.get("parts", ())
        if part["_"] == "Text"
    )


def _counted(used: Used) -> int:
    return used.bound if used.settled is None else used.settled
