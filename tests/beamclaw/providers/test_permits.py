"""The permit server as a process."""

import pytest
import trio

import supervision
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import Acquire, GetPermits, ProviderBusy, Release
from beamclaw.providers.permits import supervisor
from supervision.testing import settle, wait_exit, wait_name

NAME = names.permits("p")


def tree(**settings):
    config = Config(providers={"p": ProviderConfig(**settings)})
    spec = supervision.ChildSpec(
        "providers", lambda: supervisor(config), type="supervisor"
    )
    return supervision.open_supervisor([spec])


async def acquire(run="r"):
    return await supervision.call(NAME, Acquire(run), timeout=None)


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
        later = await acquire()
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
