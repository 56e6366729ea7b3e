"""Deliberate faults in the node: the harnesses have to find each.

    python -m tests.faults.mutations                 all of them, by every harness named
    python -m tests.faults.mutations --only unsafe-again --by matrix

Each entry takes one safeguard out: a commit, an epoch, a reservation, a deduplication. The
faulty text is put into a copy of the packages, and a harness is run on that copy. It has
to be red there, and green on a copy that is as it should be.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import attrs

from tests.audit.rules import RULES

ROOT = Path(__file__).parents[2]
PACKAGES = ("beamclaw", "supervision")
SECONDS = 300  # for one harness on one fault
PATIENCE = "8"  # seconds until work that does not end is a failure
KILL = ("tests.faults.kill", "--rounds", "2", "--sessions", "30", "--seed", "1")


# What else begins a line that says what is wrong.
WORDS = (
    *("AssertionError", "StandsStill", "Unexpected", "BROKEN", "FAILED"),
    *("it hangs", "it goes on and on"),
)


class Stale(Exception):
    """The text of a fault is not in the sources, or not only once."""


@attrs.frozen(kw_only=True)
class Mutation:
    """One safeguard taken out.

    Attributes:
        file: Of the package ``beamclaw``.
        edits: What stands there, exactly once, and what stands there afterwards.
        breaks: What goes wrong, in one line.
        matrix: Cells of the crash matrix, as ``scenario point time``: one at least is
            red.
        kill: Whether rounds of kills under load are red.
        simulation: Arguments of the simulation that are red; empty: it cannot see it.
        contract: Tests that are red, where no kill of the whole node can show it: no
            writer of an older epoch outlives one.
    """

    id: str
    file: str
    edits: tuple[tuple[str, str], ...]
    breaks: str
    matrix: tuple[str, ...] = ()
    kill: bool = False
    simulation: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()

    def faulty(self, source: str) -> str:
        """*source*, the text of the file, with the fault.

        Raises:
            Stale: Whoever changed that code gives the fault today's text.
        """
        for old, new in self.edits:
            times = source.count(old)
            if times != 1:
                raise Stale(
                    f"the fault {self.id!r} is stale: this text occurs {times} times "
                    f"in beamclaw/{self.file}, and has to occur once. Give it the text "
                    f"of today, so that it still does this: {self.breaks}\n{old}"
                )
            source = source.replace(old, new)
        return source

    def harnesses(self) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
        """Each harness that has to find it, and the commands of which one is red."""
        if self.matrix:
            cells = [cell.split() for cell in self.matrix]
            yield "matrix", [("tests.faults.matrix", "--only", *c) for c in cells]
        if self.kill:
            yield "kill", [KILL]
        if self.simulation:
            yield "simulation", [("tests.simulation", *self.simulation, "--first")]
        if self.contract:
            pytest = ("pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "30")
            yield "contract", [(*pytest, *self.contract)]


MUTATIONS: tuple[Mutation, ...] = (
    # --- commits, and what waits for them
    Mutation(
        id="commit-later",
        file="storage/_writer.py",
        edits=(
            (
                """            self._connection.execute("BEGIN IMMEDIATE")
""",
                """            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")
""",
            ),
            (
                """            with point("storage.commit"):
                self._connection.execute("COMMIT")
""",
                """            with point("storage.commit"):
                pass
""",
            ),
        ),
        breaks="what is acknowledged becomes durable only with the next transaction",
        simulation=("--seeds", "0..20", "--jobs", "2"),
        matrix=("plain http.accepted.after 1", "plain storage.commit.after 1"),
        kill=True,
    ),
    Mutation(
        id="end-told-again",
        file="commands/notices.py",
        edits=(
            (
                """            external_id=row.command_id,
""",
                """            external_id=self._outside.new_id(),
""",
            ),
        ),
        breaks="a node that dies between the telling and the forgetting tells it again",
        matrix=(
            "command-in-background notice.drop.before 1",
            "commands-together notice.tell.after 1",
        ),
    ),
    Mutation(
        id="effect-before-intent",
        file="runs/run.py",
        edits=(
            (
                """            step = self._plan()
            try:
""",
                """            step = self._plan()
            await self._calls.begin()
            await trio.sleep(0.05)
            try:
""",
            ),
        ),
        breaks="a tool works before its intent is on disk",
        simulation=("--seeds", "0..20", "--jobs", "2"),
        matrix=(
            "tool-unsafe tool.effect.after 1",
            "tool-unsafe tool.run.after 1",
            "tool-unsafe storage.commit.before 3",
        ),
    ),
    Mutation(
        id="end-told-first",
        file="runs/record.py",
        edits=(
            (
                """        await self._write(draft)
""",
                """        if self.ended is not None:
            self.publish(self.ended)
            await trio.sleep(0.01)
        await self._write(draft)
""",
            ),
            ("import supervision\n", "import supervision\nimport trio\n"),
        ),
        breaks="a client has the answer before it is on disk",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("plain http.end.after 1",),
    ),
    Mutation(
        id="taken-first",
        file="sessions/session.py",
        edits=(
            (
                """        with point("session.take"):
            since = await self._journal.commit(
""",
                """        with point("session.take"):
            for each in together:
                taken_ = Take((each.inbox_id,))
                await self._journal.commit_beside((taken_,))
            since = await self._journal.commit(
""",
            ),
            (
                """                    Take(tuple(each.inbox_id for each in together)),
                    OpenRun""",
                """                    OpenRun""",
            ),
        ),
        breaks="a message is taken in one commit, and its run opened in another",
        matrix=("plain storage.commit.after 2", "plain storage.commit.before 3"),
    ),
    Mutation(
        id="stopped-told-first",
        file="sessions/session.py",
        edits=(
            (
                """            run.stops.append(sender)
""",
                """            supervision.reply(sender, True)
""",
            ),
        ),
        breaks="a person hears that a turn is stopped, and it is not on disk",
        matrix=("stop-in-tool session.close.before 1",),
    ),
    Mutation(
        id="answer-told-first",
        file="sessions/answers.py",
        edits=(
            (
                """            with point("session.answer"):
                await self._journal.commit_beside((op,))
""",
                """            supervision.reply(sender, None)
            await trio.sleep(0.01)
            with point("session.answer"):
                await self._journal.commit_beside((op,))
""",
            ),
            ("import supervision\n", "import supervision\nimport trio\n"),
        ),
        breaks="a person hears that an answer counts, and it is not on disk",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("leave-given session.answer.before 1",),
    ),
    # --- deduplication
    Mutation(
        id="inbox-not-unique",
        file="ledger/book.py",
        edits=(
            (
                """        receipt = inbox.repeated(job)
""",
                """        receipt = None
""",
            ),
        ),
        breaks="a message that is sent again is not known again",
        simulation=("--seeds", "0..20", "--jobs", "2"),
        matrix=("plain http.accepted.before 1",),
        kill=True,
    ),
    Mutation(
        id="first-answer-does-not-count",
        file="ledger/rules.py",
        edits=(
            (
                """    if wait.verdict is not None:
        raise AnsweredAlready(f"{wait.by} has answered {wait.verdict}")
    if op.at""",
                """    if op.at""",
            ),
        ),
        breaks="of two answers of persons the last one counts",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("two-answer session.answer-late.before 9",),
    ),
    Mutation(
        id="summed-up-again",
        file="runs/compaction.py",
        edits=(
            (
                """            first=state.covered + 1,
""",
                """            first=1,
""",
            ),
        ),
        breaks="a summary covers what another one covers",
        matrix=("summed-up run.reserve-summary.after 1",),
    ),
    # --- effects
    Mutation(
        id="unsafe-again",
        file="runs/turn_calls.py",
        edits=(
            (
                """    if begun.effect == "unsafe" or spec is None:
""",
                """    if spec is None:
""",
            ),
        ),
        breaks="a tool that nobody can repeat is run again after a death",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("tool-unsafe tool.effect.after 1",),
        kill=True,
    ),
    Mutation(
        id="checkable-not-asked",
        file="runs/turn_calls.py",
        edits=(
            (
                """        check=begun.effect == "checkable",
""",
                """        check=False,
""",
            ),
        ),
        breaks="a tool that could say what became of a call is not asked",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        matrix=("tool-checkable tool.effect.after 1",),
    ),
    Mutation(
        id="another-key-each-time",
        file="runs/calls.py",
        edits=(
            (
                """                key=call_key(record.id, id_),
                attempt=step.attempt,
""",
                """                key=call_key(record.id, id_) + f"/{step.attempt}",
                attempt=step.attempt,
""",
            ),
        ),
        breaks="a call that is begun again has another key",
        matrix=("tool-idempotent tool.effect.after 1",),
        kill=True,
    ),
    # --- spending
    Mutation(
        id="no-caps",
        file="runs/asking.py",
        edits=(
            (
                """                caps=self.hours.caps(),
""",
                """                caps=(),
""",
            ),
        ),
        breaks="no cap is looked at before a call",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        matrix=("budget run.budget.after 1",),
        kill=True,
    ),
    Mutation(
        id="no-caps-of-time",
        file="ledger/work.py",
        edits=(
            (
                """    if tightest is not None and tightest[0] < op.reserve:
""",
                """    if tightest is not None and not op.reserve:
""",
            ),
        ),
        breaks="whatever a turn wants to go on for it gets",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="clock-moves-turns",
        file="contracts/clock.py",
        edits=(
            (
                """        return by if abs(by) >= TOLERANCE else 0.0
""",
                """        return 0.0 * by
""",
            ),
        ),
        breaks="a clock that is put on ends turns",
        simulation=("--seeds", "0..200", "--jobs", "2"),
    ),
    Mutation(
        id="cut-calls-cost-nothing",
        file="runs/run.py",
        edits=(
            (
                """ops.append(Settle(record.id, turn.attempt, record.now(), None))
""",
                """ops.append(Settle(record.id, turn.attempt, record.now(), Usage()))
""",
            ),
            (
                """from beamclaw.contracts.points import point
""",
                """from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import point
""",
            ),
        ),
        breaks="a call that a kill has cut is not paid for",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("plain provider.request.after 1",),
        kill=True,
    ),
    Mutation(
        id="stopped-calls-cost-nothing",
        file="sessions/ends.py",
        edits=(("at, None, told=came)", "at, Usage())"),),
        breaks="a call that a person has stopped is not paid for",
        matrix=("stop-in-answer session.stopped.after 1",),
        kill=True,
    ),
    Mutation(
        id="joined-not-stopped",
        file="contracts/sessions.py",
        edits=(
            (
                """        row = await read_answering(bus, tenant, run_id)
        # The same""",
                """        row = await read_run(bus, tenant, run_id)
        # The same""",
            ),
        ),
        breaks="a turn goes on that was stopped by a message which it has taken",
        matrix=("stop-joined run.commit.after 2",),
    ),
    Mutation(
        id="steered-anyhow",
        file="sessions/lane.py",
        edits=(
            (
                "    return answers_alike(state.turn, pending.inbound, lane.meta, state.agent)",
                "    return True",
            ),
        ),
        breaks="a message is answered by another model than it was said to",
        matrix=("steer-apart run.commit.after 2",),
    ),
    # --- lives
    Mutation(
        id="revival-not-counted",
        file="sessions/session.py",
        edits=(
            (
                """        await self._journal.commit((turn.run_id, Revived()), ops=(note,))
""",
                """        await self._journal.commit((turn.run_id, Revived()), ops=())
""",
            ),
        ),
        breaks="a turn that kills the node is tried for ever",
        matrix=("plain run.commit.after 1",),
        kill=True,
    ),
    Mutation(
        id="nobody-revived",
        file="sessions/door.py",
        edits=(
            (
                """        for key in keys:
""",
                """        for key in ():
""",
            ),
        ),
        breaks="a node that starts does not look for open turns",
        matrix=("plain-terminal run.commit.after 1", "plain session.take.before 1"),
        kill=True,
    ),
    Mutation(
        id="epoch-not-claimed",
        file="runs/run.py",
        edits=(
            (
                """    ops: list[Op] = [ClaimRun(record.now())]
""",
                """    ops: list[Op] = []
""",
            ),
        ),
        breaks="a successor does not take its run's next epoch, and can write nothing",
        simulation=("--seeds", "0..20", "--jobs", "2"),
        matrix=("plain run.commit.after 1",),
        kill=True,
    ),
    Mutation(
        id="owner-epoch-stands-still",
        file="store/book.py",
        edits=(("epoch = epoch + 1\n", "epoch = epoch\n"),),
        breaks="a node that takes a tenant over has the epoch of the one before",
        matrix=("plain run.commit.after 1",),
        kill=True,
    ),
    Mutation(
        id="old-epochs-write",
        file="ledger/book.py",
        edits=(
            (
                """        if run.epoch != claim.run_epoch and not (
""",
                """        if run.epoch > claim.run_epoch + 10**9 and not (
""",
            ),
        ),
        breaks="a run that was replaced can still write",
        contract=("tests/conformance/test_ledger.py",),
    ),
    Mutation(
        id="announced-and-lost",
        file="ledger/children.py",
        edits=(
            (
                """            _owe(step, op.announce)
""",
                """            pass
""",
            ),
        ),
        breaks="the result of a sub-agent that is to be announced never comes",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        matrix=("sub-agent-announces run.act.after 1",),
        kill=True,
    ),
    Mutation(
        id="joined-and-forgotten",
        file="runs/persons.py",
        edits=(
            (
                """                JoinRun(inbound.run_id, record.id),
""",
                "",
            ),
        ),
        breaks="a message that a turn has taken never gets that turn's answer",
        simulation=("--seeds", "0..100", "--jobs", "2"),
        matrix=("steer run.steered.after 1",),
        kill=True,
    ),
    # --- vectors
    Mutation(
        id="vectors-asked-first",
        file="runs/embedding.py",
        edits=(
            (
                """            try:
                await paying.reserve(attempt)
            except BudgetReached as reached:
                return NotEmbedded(kind="budget", message=str(reached))
            answer = Answer()
""",
                """            answer = Answer()
""",
            ),
            (
                """                await paying.settle(attempt, answer.spent(paying.bound))
""",
                """                await paying.reserve(attempt)
                await paying.settle(attempt, answer.spent(paying.bound))
""",
            ),
            (
                """        await paying.settle(attempt, usage)
""",
                """        await paying.reserve(attempt)
        await paying.settle(attempt, usage)
""",
            ),
        ),
        breaks="vectors are asked for, and reserved only when they are there",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="vectors-not-capped",
        file="runs/paying.py",
        edits=(
            (
                """            caps=self.wiring.caps(self.agent),
""",
                """            caps=(),
""",
            ),
        ),
        breaks="no cap is looked at before vectors are asked for",
        simulation=("--seeds", "0..200", "--jobs", "2"),
    ),
    Mutation(
        id="cut-vectors-cost-nothing",
        file="runs/embedding.py",
        edits=(
            (
                """                await paying.settle(attempt, answer.spent(paying.bound))
""",
                """                await paying.settle(attempt, Usage())
""",
            ),
        ),
        breaks="vectors that a broken connection has cut are not paid for",
        simulation=("--seeds", "0..200", "--jobs", "2"),
    ),
    Mutation(
        id="vectors-never-settled",
        file="runs/embedding.py",
        edits=(
            (
                """        await paying.settle(attempt, usage)
        return Embedded""",
                """        return Embedded""",
            ),
        ),
        breaks="what is reserved for vectors stays reserved for ever",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="vectors-and-no-word",
        file="runs/embedding.py",
        edits=(
            (
                """                        supervision.reply(sender, _not_done(order, "server", _CUT))
""",
                """                        del sender
""",
            ),
        ),
        breaks="who wants vectors waits for ever when the process of it dies",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    # --- pages
    Mutation(
        id="redirects-not-judged",
        file="web/fetching.py",
        edits=(
            (
                """            return redirected(head.headers["location"], way.policy, at=at)
""",
                """            anywhere = attrs.evolve(way.policy, admitted=networks(["0.0.0.0/0"]))
            return redirected(head.headers["location"], anywhere, at=at)
""",
            ),
            (
                """            at = found
""",
                """            at = found
            admitted = networks(["0.0.0.0/0"])
            way = attrs.evolve(way, policy=attrs.evolve(way.policy, admitted=admitted))
""",
            ),
            (
                """from beamclaw.web.dialing import Dialer
""",
                """from beamclaw.web.addresses import networks
from beamclaw.web.dialing import Dialer
""",
            ),
        ),
        breaks="where a redirect leads is not judged",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="addresses-not-judged",
        file="web/fetching.py",
        edits=(
            (
                """        addresses = checked(at, names, way.policy)
""",
                """        addresses = tuple(map(ip_address, names))
""",
            ),
            (
                """import Policy, Refused, Target, checked, redirected
""",
                """import Policy, Refused, Target, redirected
""",
            ),
            (
                """from collections.abc import Awaitable, Callable, Mapping
""",
                """from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
""",
            ),
        ),
        breaks="a name that leads inside is followed there",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="looked-up-again",
        file="web/fetching.py",
        edits=(
            (
                """        tls = at.host if at.scheme == "https" else None
""",
                """        if at.address is None:
            again = await dialer.resolve(at.host, at.port)
            addresses = tuple(map(ip_address, again))
        tls = at.host if at.scheme == "https" else None
""",
            ),
            (
                """from collections.abc import Awaitable, Callable, Mapping
""",
                """from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
""",
            ),
        ),
        breaks="the address that is connected to is not the one that was judged",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="page-asked-twice",
        file="web/fetching.py",
        edits=(
            (
                """        head = await exchange.ask(at, way.headers)
""",
                """        async with await _connected(at, way) as other:
            await Exchange(other, way.bounds.bytes).ask(at, way.headers)
        head = await exchange.ask(at, way.headers)
""",
            ),
        ),
        breaks="one call asks a site for the same page twice",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="page-left-out-in-silence",
        file="web/exchange.py",
        edits=(("cut=not whole)", "cut=False)"),),
        breaks="the beginning of a page is told as all of it",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="redirects-lead-anywhere",
        file="web/tools.py",
        edits=(
            (
                """        if to.host != host and not await self._admits(order, to):
""",
                """        if to.host != host and await self._admits(order, to) is None:
""",
            ),
        ),
        breaks="a stranger's redirect is followed to a host that nobody wanted",
        simulation=("--seeds", "0..40", "--jobs", "2"),
    ),
    Mutation(
        id="strangers-not-asked-about",
        file="web/tools.py",
        edits=(
            (
                """        if await self._admits(order, at):
            return Clear()
""",
                """        if await self._admits(order, at) is not None:
            return Clear()
""",
            ),
        ),
        breaks="words of strangers have something sent, and no person is asked",
        simulation=("--seeds", "100..120", "--jobs", "2"),
    ),
    # --- sub-agents
    # --- what is checked before something is written
    Mutation(
        id="asked-first",
        file="runs/run.py",
        edits=(
            (
                """            step = self._plan()
            try:
                with point("run.commit"):
""",
                """            step = self._plan()
            asked = isinstance(step, Ask)
            if asked:
                await self._take(step)
            try:
                with point("run.commit"):
""",
            ),
            (
                """            if not (refused and isinstance(step, Await)):
""",
                """            if not asked and not (refused and isinstance(step, Await)):
""",
            ),
        ),
        breaks="a model is asked, and what that may cost is reserved only then",
        matrix=("plain provider.request.after 1",),
        simulation=("--seeds", "0..20", "--jobs", "2"),
    ),
    Mutation(
        id="nothing-reserved",
        file="runs/asking.py",
        edits=(
            (
                """                at=record.now(),
                bound=bound,
                cost=cost,
""",
                """                at=record.now(),
                bound=Usage(0, 0),
                cost=0,
""",
            ),
        ),
        breaks="what is reserved for a call is nothing",
        matrix=("plain provider.request.after 1",),
        simulation=("--seeds", "0..20", "--jobs", "2"),
    ),
    Mutation(
        id="any-owner-writes",
        file="ledger/book.py",
        edits=(
            (
                """        if claim.owner_epoch != self.owner_epoch or claim.tenant != self.tenant:
""",
                """        if claim.tenant != self.tenant:
""",
            ),
        ),
        breaks="who wrote in a ledger before it began anew can still write",
        contract=("tests/conformance/test_ledger.py", "-k", "refused_after"),
    ),
    Mutation(
        id="any-node-writes",
        file="ledger/book.py",
        edits=(
            (
                """        if epoch != self.owner_epoch:
            raise Broken(
""",
                """        if epoch < self.owner_epoch:
            raise Broken(
""",
            ),
        ),
        breaks="a node goes on writing in a ledger that another one has taken over",
        contract=("tests/beamclaw/ledger/test_book.py", "-k", "taken_over"),
    ),
    Mutation(
        id="any-seq-writes",
        file="ledger/book.py",
        edits=(
            (
                """        if (job.events or expected is not None) and expected != session.seq:
""",
                """        if expected is not None and expected > session.seq:
""",
            ),
        ),
        breaks="who does not know the end of a journal writes behind it",
        contract=("tests/conformance/test_ledger.py", "-k", "end_of_the_journal"),
    ),
    Mutation(
        id="taken-again",
        file="ledger/rules.py",
        edits=(
            (
                """        if session != step.session.id or row in step.taken:
""",
                """        if session not in (0, step.session.id):
""",
            ),
        ),
        breaks="a message that a turn has taken is taken by another one, too",
        contract=("tests/conformance/test_ledger.py", "-k", "message_is_taken_once"),
    ),
    # --- agents with one another
    Mutation(
        id="handed-over-in-words",
        file="sessions/session.py",
        edits=(
            (
                """        agent = self._journal.transcript.agent or inbound.agent
""",
                """        agent = inbound.agent
""",
            ),
        ),
        breaks="a conversation that was handed over is answered as before",
        simulation=("--seeds", "0..200", "--jobs", "2"),
    ),
    Mutation(
        id="letter-lost",
        file="runs/children.py",
        edits=(
            (
                """        self._record.add_op(Deliver(accept(inbound, at=self._record.now())))
""",
                "",
            ),
        ),
        breaks="what is said in another session is said to be there, and is not",
        simulation=("--seeds", "0..200", "--jobs", "2"),
    ),
    Mutation(
        id="any-number-works",
        file="ledger/children.py",
        edits=(
            (
                """        _check_numbers(step, op)
""",
                """        pass
""",
            ),
        ),
        breaks="any number of sub-agents works at once",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        contract=("tests/conformance/test_ledger.py", "-k", "so_many_children"),
    ),
    Mutation(
        id="result-again",
        file="ledger/children.py",
        edits=(
            (
                """    if child.state != "ended":
        raise LedgerError(f"run {op.run_id} has no result yet: it is {child.state}")
    step.change_child(op.run_id).state = "closed"
""",
                """    if child.state != "ended":
        raise LedgerError(f"run {op.run_id} has no result yet: it is {child.state}")
""",
            ),
        ),
        breaks="the result of a sub-agent can be taken again and again",
        contract=("tests/conformance/test_ledger.py", "-k", "taken_once"),
    ),
    Mutation(
        id="sub-agents-go-on",
        file="ledger/children.py",
        edits=(
            (
                """        if op.outcome != "ok" or own.mode == "wait":
            _cancel(step, own)
""",
                """        pass
""",
            ),
        ),
        breaks="a turn that is stopped leaves its sub-agents at work",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        contract=(
            "tests/beamclaw/sessions/test_subagents.py",
            "-k",
            "goes_down_to_the_leaf",
        ),
    ),
    Mutation(
        id="cancelled-and-heard",
        file="ledger/book.py",
        edits=(
            (
                """        if child is not None and child.state == "cancelled":
""",
                """        if child is not None and child.state == "never":
""",
            ),
        ),
        breaks="a sub-agent that has not heard of its stop may write",
        simulation=("--seeds", "1600..1800", "--jobs", "2"),
        contract=("tests/conformance/test_ledger.py", "-k", "cancelled_run"),
    ),
    Mutation(
        id="bell-rung-once",
        file="sessions/kin.py",
        edits=(
            (
                """        self.rouse((*found.owed, *stopped))
""",
                """        del stopped
""",
            ),
        ),
        breaks="a bell that died with who was to ring it is never rung",
        contract=(
            "tests/beamclaw/sessions/test_subagents_deaths.py",
            "-k",
            "waits-the or told-the",
        ),
    ),
    Mutation(
        id="carved-from-nothing",
        file="contracts/open_turn.py",
        edits=(
            (
                """        return all_of(self.begun.allowance) if self.spend is None else self.spend
""",
                """        return Spend() if self.spend is None else self.spend
""",
            ),
        ),
        breaks="sub-agents at the same time may use more than there is, together",
        simulation=("--seeds", "200..300", "--jobs", "2"),
        contract=("tests/beamclaw/contracts/test_subagents.py", "-k", "at_work_counts"),
    ),
    Mutation(
        id="root-pays-nothing",
        file="ledger/step.py",
        edits=(
            (
                """        return self.memory.root(session)
""",
                """        return None
""",
            ),
        ),
        breaks="a conversation does not pay for its sub-agents",
        simulation=("--seeds", "0..20", "--jobs", "2"),
        contract=("tests/beamclaw/sessions/test_roots.py", "-k", "so_many_calls"),
    ),
    Mutation(
        id="root-not-capped",
        file="runs/run.py",
        edits=(
            (
                """    return own if root is None else (*own, *of_root(wiring.caps(root.agent)))
""",
                """    return own
""",
            ),
        ),
        breaks="a sub-agent looks at no cap of the conversation that it works for",
        simulation=("--seeds", "0..200", "--jobs", "2"),
        contract=("tests/beamclaw/sessions/test_roots.py", "-k", "so_many_calls"),
    ),
    Mutation(
        id="announced-anew",
        file="contracts/announcements.py",
        edits=(
            (
                """        child=ChildEnd(run_id=end.run_id, parent_run=parent.run_id, spend=spend),
        hops=parent.hops + 1,
""",
                """        child=ChildEnd(run_id=end.run_id, parent_run=parent.run_id, spend=spend),
""",
            ),
        ),
        breaks="agents go on by themselves for ever",
        contract=("tests/beamclaw/contracts/test_subagents.py", "-k", "in_words"),
    ),
)


@contextmanager
def copied(source: Path, mutation: Mutation | None) -> Iterator[Path]:
    """A folder with the packages of *source*, with the fault in them."""
    with tempfile.TemporaryDirectory(prefix="faulty-") as name:
        folder = Path(name)
        for package in PACKAGES:
            ignore = shutil.ignore_patterns("*.pyc")
            shutil.copytree(source / package, folder / package, ignore=ignore)
        if mutation is not None:
            path = folder / "beamclaw" / mutation.file
            path.write_text(mutation.faulty(path.read_text()))
        yield folder


def run(folder: Path, command: Sequence[str]) -> tuple[bool, str]:
    """``python -m`` *command* with the packages in *folder*: red or not, and its words."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONSAFEPATH": "1",  # not what lies in the working folder
        "BEAMCLAW_PATIENCE": PATIENCE,
        # A part of the points that finds what a smaller one may miss, as they change.
        "BEAMCLAW_POINTS_SHARE": "8",
    }
    if command[0] == "pytest":  # it has a path of its own in pyproject.toml
        command = [*command, "-o", f"pythonpath={folder} {ROOT}"]
    harness = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with harness:
        try:
            words, _ = harness.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return True, f"not over after {SECONDS} s"
        finally:
            # What it has started would go on: a world without end eats all memory.
            with suppress(ProcessLookupError):
                os.killpg(harness.pid, signal.SIGKILL)
    # Two: nothing can be said, or it was not understood.
    return harness.returncode not in (0, 2), words


def found_by(folder: Path, commands: Sequence[Sequence[str]]) -> str | None:
    """What the first red one of *commands* says; None: all are green."""
    for command in commands:
        red, words = run(folder, command)
        if red:
            return _said(words)
    return None


def _said(words: str) -> str:
    """The first violation that a harness has told."""
    lines = [line.strip() for line in words.splitlines()]
    rules = tuple(f"{rule}: " for rule in (*RULES, *WORDS))
    told = [line for line in lines if line.startswith(rules) or "not over" in line]
    plain = [line for line in told if not line.startswith("FAILED  python")]
    found = (plain or told)[:1] or _said_of_a_world(lines)
    # Else it has broken off: the end of a traceback says why.
    return (found or [line for line in lines if "Error: " in line] or ["red"])[-1]


def _said_of_a_world(lines: list[str]) -> list[str]:
    """What is wrong with the first one; it stands below the command that repeats it."""
    repeats = "python -m tests.simulation --seed"
    found = [below for above, below in pairwise(lines) if above.startswith(repeats)]
    return found[:1]


@attrs.frozen
class Found:
    """What one harness says of one fault; *words* None: nothing."""

    mutation: str
    harness: str
    words: str | None
    seconds: float


def try_out(source: Path, mutation: Mutation, only: str | None) -> list[Found]:
    """Put it in, and run the harnesses that have to find it."""
    results: list[Found] = []
    with copied(source, mutation) as folder:
        for harness, commands in mutation.harnesses():
            if only in (None, harness):
                begin = time.monotonic()
                words = found_by(folder, commands)
                seconds = time.monotonic() - begin
                results.append(Found(mutation.id, harness, words, seconds))
    return results


def without(source: Path, only: str | None, chosen: Sequence[Mutation]) -> list[str]:
    """What is red without any fault: then a red one proves nothing."""
    commands = {
        (harness, tuple(command))
        for mutation in chosen
        for harness, all_ in mutation.harnesses()
        for command in all_
        if only in (None, harness)
    }
    with copied(source, None) as folder:
        tried = ((command, run(folder, command)) for _, command in sorted(commands))
        return [
            f"red without a fault: {' '.join(command)}\n{words[-2000:]}"
            for command, (red, words) in tried
            if red
        ]


def _told(found: Found) -> Found:
    words = found.words or "NOT FOUND"
    line = f"{found.mutation:28} {found.harness:10} {found.seconds:5.1f} s  {words}"
    print(line, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="this fault")
    parser.add_argument("--by", choices=["matrix", "kill", "simulation", "contract"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-baseline", action="store_true")
    given = parser.parse_args()
    chosen = [m for m in MUTATIONS if given.only is None or m.id in given.only]
    if not chosen:
        parser.error("there is no such fault")
    begin = time.monotonic()
    # Somebody may be writing in the sources while this runs.
    with copied(ROOT, None) as source:
        bad = [] if given.no_baseline else without(source, given.by, chosen)
        with ThreadPoolExecutor(given.jobs) as pool:
            tried = pool.map(lambda m: try_out(source, m, given.by), chosen)
            results = [found for each in tried for found in map(_told, each)]
    print(*bad, sep="\n")
    survived = [found for found in results if found.words is None]
    print(
        f"{len(chosen)} faults, {len(results)} harnesses, {len(survived)} not found, "
        f"{time.monotonic() - begin:.0f} s"
    )
    return 1 if survived or bad else 0


if __name__ == "__main__":
    sys.exit(main())
