"""The permit server as a process."""

import pytest
import trio

import supervision
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    Acquire,
    Alive,
    ErrorKind,
    GetPermits,
    KeyTaken,
    ProviderBusy,
    ProviderUnwell,
    Rates,
    Release,
)
from beamclaw.contracts.secret import Secret
from beamclaw.providers.permits import supervisor
from supervision.testing import settle, wait_exit, wait_name

NAME = names.permits("p")


def tree(**settings):
    config = Config(providers={"p": ProviderConfig(**settings)})
    spec = supervision.ChildSpec(
        "providers", lambda: supervisor(config), type="supervisor"
    )
    return supervision.open_supervisor([spec])


async def acquire(run="r", **how):
    return await supervision.call(NAME, Acquire(run, **how), timeout=None)


async def status():
    return await supervision.call(NAME, GetPermits())


def holder(log=None):
    """A process that takes a permit and keeps it."""

    async def body():
        permit = await acquire()
        if log is not None:
            log.append(permit)
        await trio.sleep_forever()

    return supervision.spawn(body)


async def test_a_permit_is_given_and_taken_back_with_what_it_cost(autojump_clock):
    async with tree(max_concurrent=2):
        permit = await acquire()
        assert (await status()).in_use == 1
        supervision.cast(NAME, Release(permit.id, Usage(10, 5)))
        supervision.cast(NAME, Release(permit.id, Usage(10, 5)))  # a repeat is nothing
        now = await status()
        assert (now.in_use, now.calls, now.errors, now.usage) == (0, 1, 0, Usage(10, 5))


async def test_waiting_is_first_come_first_served(autojump_clock):
    async with tree(max_concurrent=1):
        first = await acquire()
        order = []
        for _ in range(3):
            holder(order)
            await settle()
        assert (await status()).waiting == 3
        await trio.sleep(4)
        supervision.cast(NAME, Release(first.id))
        await settle()
        assert [permit.waited for permit in order] == [4.0]


async def test_the_queue_is_bounded_and_the_server_lives_on(autojump_clock):
    async with tree(max_concurrent=1, max_waiting=1):
        permit = await acquire()
        holder()
        await settle()
        with pytest.raises(ProviderBusy, match=r"providers\.p\.max_waiting") as busy:
            await acquire()
        assert busy.value.retry_after == 1.0
        assert (await status()).waiting == 1
        supervision.cast(NAME, Release(permit.id))
        await settle()
        assert (await status()).in_use == 1


@pytest.mark.parametrize("reason", [supervision.KILL, supervision.Shutdown("aborted")])
async def test_the_permit_of_a_dead_holder_is_free(autojump_clock, reason):
    async with tree(max_concurrent=1):
        pid = holder()
        await settle()
        waiter = []
        holder(waiter)
        await settle()
        assert waiter == []
        supervision.exit(pid, reason)
        await wait_exit(pid)
        await settle()
        assert len(waiter) == 1
        assert (await status()).in_use == 1


async def test_a_dead_waiter_is_passed_over(autojump_clock):
    async with tree(max_concurrent=1):
        permit = await acquire()
        pid = holder()
        await settle()
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        await settle()
        assert (await status()).waiting == 0
        supervision.cast(NAME, Release(permit.id))
        assert (await status()).in_use == 0


async def test_after_a_rate_limit_nobody_starts_until_the_provider_said(autojump_clock):
    async with tree(max_concurrent=9, retry_most=30):
        permit = await acquire()
        limited = Release(permit.id, error="rate_limit", retry_after=20.0)
        supervision.cast(NAME, limited)
        began = trio.current_time()
        assert (await status()).blocked_for == pytest.approx(20.0)
        later = await acquire(patient=True)
        assert trio.current_time() - began == pytest.approx(20.0)
        assert later.waited == pytest.approx(20.0)
        assert (await status()).errors == 1


async def test_a_provider_cannot_stop_everybody_for_a_day(autojump_clock):
    async with tree(retry_most=30):
        permit = await acquire()
        supervision.cast(
            NAME, Release(permit.id, error="rate_limit", retry_after=86400)
        )
        assert (await status()).blocked_for == pytest.approx(120.0)


async def test_other_errors_stop_nobody(autojump_clock):
    async with tree():
        permit = await acquire()
        supervision.cast(NAME, Release(permit.id, error="server", retry_after=20.0))
        assert (await status()).blocked_for == 0


async def test_a_rate_per_minute_is_kept_while_others_talk_to_the_server(
    autojump_clock,
):
    async with tree(requests_per_minute=60):
        began = trio.current_time()
        log = []
        for _ in range(9):
            holder(log)
        for _ in range(20):  # each message cancels the server's time-out
            await trio.sleep(0.1)
            await status()
        await trio.sleep(1.5)
        assert len(log) == 9
        assert trio.current_time() - began == pytest.approx(3.5)


async def test_the_server_comes_back_after_its_death(autojump_clock):
    async with tree(max_concurrent=1):
        old = await acquire()
        await trio.sleep(1)
        pid = await wait_name(NAME)
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        await settle()
        assert supervision.whereis(NAME) not in (None, pid)
        new = await acquire()
        supervision.cast(NAME, Release(old.id))  # from before: frees nothing
        assert (await status()).in_use == 1
        supervision.cast(NAME, Release(new.id))
        assert (await status()).in_use == 0


async def test_waiters_hear_of_its_death(autojump_clock):
    async with tree(max_concurrent=1):
        await acquire()
        failed = []

        async def wait():
            try:
                await acquire()
            except supervision.ServerExited as error:
                failed.append(error)

        supervision.spawn(wait)
        await settle()
        supervision.exit(await wait_name(NAME), supervision.KILL)
        await settle()
        assert len(failed) == 1


async def test_looking_in_needs_no_mailbox(autojump_clock):
    async with tree(max_concurrent=3):
        await acquire()
        assert supervision.state(NAME)["in_use"] == 1


# --- a provider that is ill


async def fail(times, kind: ErrorKind = "server", words="it failed"):
    for _ in range(times):
        permit = await acquire(patient=True)
        supervision.cast(NAME, Release(permit.id, error=kind, words=words))


async def test_a_provider_that_is_ill_is_left_alone_and_all_are_told_why(
    autojump_clock,
):
    async with tree(breaker_failures=3, breaker_first=10):
        await fail(3)
        with pytest.raises(ProviderUnwell, match="it failed; it is left alone") as told:
            await acquire()
        assert told.value.kind == "server"
        assert 5 <= (told.value.retry_after or 0) <= 10
        now = await status()
        assert (now.breaker, now.last_error) == ("open", "it failed")


async def test_one_is_let_through_as_a_probe_and_the_others_follow_its_success(
    autojump_clock,
):
    async with tree(breaker_failures=3, breaker_first=10):
        await fail(3)
        log = []
        began = trio.current_time()

        async def patient():
            log.append(await acquire(patient=True))
            await trio.sleep_forever()

        for _ in range(3):
            supervision.spawn(patient)
        await trio.sleep(15)
        (probe,) = log
        assert probe.probe
        assert 5 <= probe.waited <= 10
        # A sign of life is enough: nobody waits for the end of a long answer.
        supervision.cast(NAME, Alive(probe.id))
        await settle()
        assert len(log) == 3
        assert (await status()).breaker == "closed"
        assert trio.current_time() - began == pytest.approx(15)


async def test_a_probe_that_dies_is_followed_by_another(autojump_clock):
    async with tree(breaker_failures=1, breaker_first=1):
        await fail(1)
        first = []
        pid = supervision.spawn(holding, first)
        await trio.sleep(2)
        assert first[0].probe
        second = []
        supervision.spawn(holding, second)
        await trio.sleep(2)
        assert second == []
        supervision.exit(pid, supervision.KILL)
        await settle()
        assert second[0].probe


async def holding(log):
    log.append(await acquire(patient=True))
    await trio.sleep_forever()


async def test_nobody_waits_for_ever_for_a_provider_that_is_ill(autojump_clock):
    async with tree(breaker_failures=1, breaker_first=1, retry_most=30):
        await fail(1)
        supervision.spawn(holding, [])  # the probe, which is never answered
        await trio.sleep(2)
        began = trio.current_time()
        with pytest.raises(ProviderUnwell):
            await acquire(patient=True)
        assert trio.current_time() - began == pytest.approx(120)
        assert (await status()).waiting == 0


async def test_who_does_not_want_to_wait_is_told_how_long_it_would_be(autojump_clock):
    async with tree(max_concurrent=1, requests_per_minute=60):
        permit = await acquire(wait=False)
        with pytest.raises(KeyTaken):
            await acquire(wait=False)
        supervision.cast(NAME, Release(permit.id))
        with pytest.raises(KeyTaken) as taken:
            for _ in range(10):
                permit = await acquire(wait=False)
                supervision.cast(NAME, Release(permit.id))
        assert 0 < taken.value.retry_after <= 1


@pytest.mark.parametrize("kind", ["auth", "quota"])
async def test_for_a_key_that_is_refused_nobody_waits(autojump_clock, kind):
    async with tree(key_hold=300):
        await fail(1, kind, "no good")
        with pytest.raises(ProviderUnwell, match="no good") as told:
            await acquire(patient=True)
        assert told.value.kind == kind
        await trio.sleep(300)
        assert (await acquire()).probe


async def test_what_the_provider_says_is_left_of_its_limits_is_kept_to(autojump_clock):
    async with tree():
        permit = await acquire()
        rates = Rates(requests=2, requests_reset=30.0)
        supervision.cast(NAME, Release(permit.id, rates=rates))
        log = []
        for _ in range(3):
            holder(log)
            await settle()
        assert len(log) == 2
        await trio.sleep(31)
        assert len(log) == 3


async def test_tokens_are_reserved_by_the_minute_and_corrected_by_what_was_used(
    autojump_clock,
):
    async with tree(tokens_per_minute=6000):
        first = await acquire(tokens=5000)
        with pytest.raises(KeyTaken) as taken:
            await acquire(tokens=2000, wait=False)
        assert taken.value.retry_after == pytest.approx(10)
        supervision.cast(NAME, Release(first.id, Usage(100, 100)))
        assert await acquire(tokens=2000, wait=False)


async def test_each_key_has_a_server_of_its_own(autojump_clock):
    async with tree(api_key=(Secret("one"), Secret("two")), max_concurrent=1):
        await acquire()
        second = names.permits("p", 1)
        assert second == "providers/p#2"
        assert (await supervision.call(second, GetPermits())).in_use == 0
        assert await supervision.call(second, Acquire("r"), timeout=None)
