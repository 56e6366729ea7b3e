"""The simulation's share of every run, and that it repeats itself to the letter."""

import gc
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import trio
from trio._core._wakeup_socketpair import WakeupSocketpair

from tests.simulation import clients, trace
from tests.simulation.kin import AGENTS, HAND_OVER, TELL, world
from tests.simulation.order import ChangedTrioError, repeatable
from tests.simulation.plan import FETCH, URLS, WORK, FaultKind, Verb, plan
from tests.simulation.world import play
from tests.support.chance import SEED

ROOT = Path(__file__).parents[2]
SHARE = 120
# Which of the seeds that `just test-full` plays.
FIRST = (SEED - 1) * SHARE % 20_000
BUSY = 186  # with deaths, tools, files, commands, and providers behind HTTP that fails
ABROAD = 603  # with deaths, pages that are fetched, and vectors
CALM = 44  # one without deaths
WIRELESS = 47  # one whose providers are not behind a network
DEADLY = 3  # one with, and with persons on HTTP


def test_a_trio_that_decides_in_another_way_is_noticed(monkeypatch) -> None:
    """Else a seed would no longer decide what happens, and nothing would say so."""
    with repeatable(1):
        pass
    monkeypatch.delattr(WakeupSocketpair, "wait_woken")
    with pytest.raises(ChangedTrioError, match="wait_woken"), repeatable(1):
        pass


def test_trio_decides_by_the_parts_that_are_replaced() -> None:
    source = inspect.getsource(trio._core._run.unrolled_run)
    assert "if _ALLOW_DETERMINISTIC_SCHEDULING:" in source
    assert "_r.shuffle(batch)" in source
    source = inspect.getsource(trio._core._entry_queue.EntryQueue)
    assert "self.wakeup.wait_woken()" in source
    assert "self.wakeup.wakeup_thread_and_signal_safe()" in source


@pytest.mark.slow
def test_no_seed_of_the_share_breaks_a_promise() -> None:
    """In processes of its own: what a node leaves open when it is killed is closed there."""
    done = simulation("--seeds", f"{FIRST}..{FIRST + SHARE}", "--jobs", "2")
    assert not done.returncode, done.stdout


@pytest.mark.slow
def test_a_seed_is_the_same_world_each_time() -> None:
    first, second = play(CALM), play(CALM)
    assert first.digest == second.digest
    assert first.digest != play(CALM + 1).digest


@pytest.mark.slow
@pytest.mark.parametrize("seed", [BUSY, ABROAD])
def test_a_seed_is_the_same_world_in_every_process(seed: int) -> None:
    said = {
        simulation("--seed", str(seed), PYTHONHASHSEED=hashes).stdout
        for hashes in ("0", "1", "77")
    }
    assert len(said) == 1
    assert "0 violations" in said.pop()


def simulation(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *options],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_a_world_that_goes_on_and_on_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(trace, "MOST", 60)

    outcome = play(0)

    assert any("it goes on and on: " in words for words in outcome.violations)


def test_who_sends_for_ever_is_a_complaint_with_a_name(monkeypatch) -> None:
    monkeypatch.setattr(clients, "MOST_TRIES", 1)

    outcome = play(DEADLY)

    assert any(" was sent 1 times for nothing: " in each for each in outcome.violations)


def test_the_plans_hold_everything_that_can_happen() -> None:
    plans = [world(seed) for seed in range(SHARE)]
    kinds = {fault.kind for each in plans for fault in each.faults}
    says = [say for each in plans for say in each.says.values()]
    assert kinds == set(get_args(FaultKind))
    assert {say.queue for say in says} >= {"followup", "steer", "collect", "interrupt"}
    tools = {wish.tool for say in says for calls in say.rounds for wish in calls}
    simple = {"look", "put", "order", "send", "ask", "dare", "spawn", TELL, HAND_OVER}
    assert tools == {*simple, *WORK, FETCH}
    given = [w.given for say in says for c in say.rounds for w in c if w.tool == "exec"]
    assert any(each and each.get("background") for each in given)
    assert any(each and "background" not in each for each in given)
    assert {each.mode for each in plans if each.works} == {"off", "on-miss", "always"}
    assert any(say.abort is not None for say in says)
    assert any(say.fresh for say in says)
    assert any(each.idle_minutes for each in plans)
    verbs = {order.verb for each in plans for order in each.orders}
    assert verbs == set(get_args(Verb))
    assert 0.2 * SHARE < sum(each.http for each in plans) < 0.5 * SHARE
    assert {each.dialects[0] for each in plans if each.http} == {"openai", "anthropic"}
    assert {say.wire for say in says} == {"bus", "stream", "whole"}
    assert any(order.say for each in plans for order in each.orders)
    assert any(each.daily is not None for each in plans)
    urls = {
        w.given["url"]
        for y in says
        for c in y.rounds
        for w in c
        if w.tool == FETCH and w.given
    }
    assert urls == set(URLS)
    wanted = [texts for each in plans for all_ in each.indexers for texts in all_]
    assert {texts.base64 for texts in wanted} == {True, False}
    assert any(texts.leaves is not None for texts in wanted)
    assert any(each.day_tokens for each in plans)
    assert {each.day_seconds for each in plans} == {None, 5.0, 60.0, 4_000.0}


def test_worlds_with_kin_hold_all_that_kin_can_do() -> None:
    related = [each for each in map(world, range(SHARE)) if each.kin is not None]
    families = [each.kin for each in related if each.kin is not None]
    says = [say for each in related for say in each.says.values()]
    wishes = [(s, wish) for s in says for calls in s.rounds for wish in calls]
    given = [wish.given or {} for _, wish in wishes]
    assert 0.1 * SHARE < len(related) < 0.25 * SHARE
    assert any(s.marker.startswith("sub_") and w.task for s, w in wishes)
    assert {each.get("context") for each in given} == {None, "fork"}
    assert {each.get("reply") for each in given} == {None, False, True}
    assert {each.get("agent") for each in given} == {None, *AGENTS}
    assert {wish.text for _, wish in wishes if wish.tool == "spawn"} == {
        *("announce", "wait")
    }
    assert any(each.turn_cost for each in families)
    assert any(each.session_cost for each in families)
    assert any(each.session_calls for each in families)
    assert any(each.day_cost for each in families)


def test_a_world_without_kin_is_what_it_was_before_there_were_any() -> None:
    others = [seed for seed in range(SHARE) if world(seed).kin is None]
    assert all(world(seed) == plan(seed) for seed in others)


@pytest.mark.slow
def test_a_world_has_a_wire_or_none() -> None:
    assert play(CALM).figures["connections to providers"]
    assert plan(CALM).http
    assert not plan(WIRELESS).http
    assert not play(WIRELESS).figures["connections to providers"]


@pytest.mark.slow
def test_what_is_killed_leaves_no_socket_open() -> None:
    """What is left open would be a warning of this test's."""
    outcome = play(DEADLY)
    assert outcome.figures["deaths of the node"]
    assert outcome.figures["answers over HTTP"]
    assert not outcome.violations
    gc.collect()
