"""Requests whose replies are waited for later."""

# A name that is not there fails the test by itself.
# pyright: reportOptionalMemberAccess=false

import gc

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import NO_REPLY, NORMAL, Stop
from tests.supervision.stage import Ask, Echo, actor, child, tree

pytestmark = pytest.mark.usefixtures("scopes")


class Later(Echo):
    """Answers when it is told to."""

    async def handle_call(self, request, sender):
        self.log.append(sender)
        return NO_REPLY


def pending(name):
    return supervision.whereis(name).process.pending


@pytest.mark.otp("86")
async def test_a_response_is_waited_for_later():
    async with tree(child("echo", Echo)):
        request_id = supervision.send_request("echo", Ask(1))
        assert not request_id.answered
        await wait_all_tasks_blocked()
        assert request_id.answered
        assert await supervision.receive_response(request_id) == 1
        assert "Ask" in repr(request_id)
        assert request_id.dest == "echo"


@pytest.mark.otp("86")
async def test_the_outcomes_are_those_of_a_call(autojump_clock):
    log = []
    async with tree(
        child("echo", Echo, restart="temporary"), child("later", Later, log)
    ):
        nobody = supervision.send_request("nobody", Ask())
        with pytest.raises(supervision.NoProcess):
            await supervision.receive_response(nobody)
        slow = supervision.send_request("later", Ask())
        with pytest.raises(supervision.CallTimeout):
            await supervision.receive_response(slow, timeout=2)
        stopping = supervision.send_request("echo", Ask(Stop(NORMAL)))
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.receive_response(stopping)
        assert exited.value.reason == NORMAL
        refused = supervision.send_request("later", Ask())
        await wait_all_tasks_blocked()
        supervision.reply_error(log[-1], KeyError("no"))
        with pytest.raises(KeyError):
            await supervision.receive_response(refused, timeout=2)


@pytest.mark.otp("20", "86")
async def test_a_late_reply_finds_nobody(autojump_clock):
    log = []
    async with actor(), tree(child("later", Later, log)):
        request_id = supervision.send_request("later", Ask())
        with pytest.raises(supervision.CallTimeout):
            await supervision.receive_response(request_id, timeout=1)
        assert not pending("later")
        supervision.reply(log[1], "late")
        with pytest.raises(supervision.CallTimeout):
            await supervision.receive_response(request_id)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("86")
async def test_a_second_reply_is_dropped():
    log = []
    async with tree(child("later", Later, log)):
        request_id = supervision.send_request("later", Ask())
        await wait_all_tasks_blocked()
        supervision.reply(log[1], "first")
        supervision.reply(log[1], "second")
        assert await supervision.receive_response(request_id) == "first"


@pytest.mark.otp("T14", "86")
async def test_a_cancelled_wait_can_be_taken_up_again(autojump_clock):
    log = []
    async with tree(child("later", Later, log)):
        request_id = supervision.send_request("later", Ask())
        with trio.move_on_after(1):
            await supervision.receive_response(request_id, timeout=5)
        supervision.reply(log[1], "reply")
        assert await supervision.receive_response(request_id) == "reply"


@pytest.mark.otp("86")
async def test_a_request_that_nobody_can_ask_for_is_given_up():
    async with tree(child("later", Later)):
        request_id = supervision.send_request("later", Ask())
        ids = supervision.RequestIds()
        ids.send("later", Ask())
        await wait_all_tasks_blocked()
        assert len(pending("later")) == 2
        del request_id, ids
        gc.collect()
        assert not pending("later")


async def test_one_waits_for_a_response_and_not_the_server_itself():
    log, senders = [], []

    class Narcissus(Echo):
        async def handle_cast(self, message):
            with pytest.raises(supervision.CallingSelf):
                await supervision.receive_response(
                    supervision.send_request("it", Ask()),
                )
            self.log.append("told")

    async with (
        tree(child("later", Later, senders), child("it", Narcissus, log)),
        trio.open_nursery() as nursery,
    ):
        request_id = supervision.send_request("later", Ask())
        nursery.start_soon(supervision.receive_response, request_id)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.SupervisionError):
            await supervision.receive_response(request_id)
        with pytest.raises(supervision.SupervisionError):
            supervision.RequestIds().add(request_id)
        supervision.cast("it", "look")
        await wait_all_tasks_blocked()
        assert "told" in log
        supervision.reply(senders[1], "now")


# --- as messages


@pytest.mark.otp("86")
async def test_a_response_comes_as_a_message_to_who_goes_on_meanwhile(autojump_clock):
    log = []
    async with actor(), tree(child("later", Later, log)):
        first = supervision.send_request("later", Ask("one"))
        supervision.deliver_response(first, label="a")
        second = supervision.send_request("later", Ask("two"))
        supervision.deliver_response(second, label="b")
        supervision.send(supervision.self_pid(), "meanwhile")
        assert await supervision.receive() == "meanwhile"
        await wait_all_tasks_blocked()
        supervision.reply(log[2], 2)
        supervision.reply(log[1], 1)
        got = [await supervision.receive(), await supervision.receive()]
        assert [(each.label, each.result()) for each in got] == [("b", 2), ("a", 1)]


@pytest.mark.otp("86")
async def test_that_the_other_server_is_gone_or_dies_comes_as_a_message_too():
    async with actor(), tree(child("dies", Echo, restart="temporary")):
        nobody = supervision.send_request("nobody", Ask())
        supervision.deliver_response(nobody)
        dying = supervision.send_request("dies", Ask("crash"))
        supervision.deliver_response(dying)
        errors = [(await supervision.receive()).error for _ in range(2)]
        assert isinstance(errors[0], supervision.NoProcess)
        assert isinstance(errors[1], supervision.ServerExited)


@pytest.mark.otp("86")
async def test_a_response_that_was_there_before_it_was_wanted_comes_at_once():
    async with actor(), tree(child("echo", Echo)):
        request_id = supervision.send_request("echo", Ask(1))
        await wait_all_tasks_blocked()
        supervision.deliver_response(request_id)
        assert (await supervision.receive(timeout=0)).result() == 1


@pytest.mark.otp("20", "86")
async def test_nothing_comes_of_a_request_whose_id_nobody_has_any_more(autojump_clock):
    log = []
    async with actor(), tree(child("later", Later, log)):
        request_id = supervision.send_request("later", Ask())
        supervision.deliver_response(request_id)
        await wait_all_tasks_blocked()
        del request_id
        gc.collect()
        assert not pending("later")
        supervision.reply(log[1], "late")
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=1)


@pytest.mark.otp("20", "86")
async def test_what_a_process_has_asked_is_given_up_when_it_ends():
    log, kept = [], []

    async def asks():
        kept.append(supervision.send_request("later", Ask()))
        supervision.deliver_response(kept[0])
        await trio.sleep_forever()

    async with tree(child("later", Later, log), child("asks", asks)) as top:
        await wait_all_tasks_blocked()
        assert len(pending("later")) == 1
        await supervision.terminate_child(top, "asks")
        assert not pending("later")
        supervision.reply(log[1], "late")


async def test_one_waits_for_a_response_and_only_a_process_has_a_mailbox_for_it():
    log = []
    async with tree(child("later", Later, log)):
        request_id = supervision.send_request("later", Ask())
        with pytest.raises(supervision.NotAProcess):
            supervision.deliver_response(request_id)
        async with actor():
            supervision.deliver_response(request_id)
            with pytest.raises(supervision.SupervisionError, match="already"):
                supervision.deliver_response(request_id)
            with pytest.raises(supervision.SupervisionError, match="already"):
                await supervision.receive_response(request_id)
            supervision.reply(log[1], "now")


# --- many


@pytest.mark.otp("86")
async def test_many_responses_come_as_they_arrive():
    log = []
    async with tree(child("later", Later, log)):
        ids = supervision.RequestIds()
        for label in "abc":
            ids.send("later", Ask(label), label=label)
        await wait_all_tasks_blocked()
        for sender in log[:0:-1]:
            supervision.reply(sender, sender.request.what * 2)
        got = []
        while ids:
            response = await ids.receive(timeout=5)
            got.append((response.label, response.result()))
        assert got == [("c", "cc"), ("b", "bb"), ("a", "aa")]
        assert repr(ids) == "<0 requests, 0 answered>"


@pytest.mark.otp("86")
async def test_one_that_fails_hurts_no_other():
    children = [child("dies", Echo, restart="temporary"), child("echo", Echo)]
    async with tree(*children):
        ids = supervision.RequestIds()
        ids.send("nobody", Ask(), label="nobody")
        ids.send("dies", Ask("crash"), label="dies")
        ids.send("echo", Ask(1), label="echo")
        responses = {}
        while ids:
            response = await ids.receive()
            responses[response.label] = response
        assert isinstance(responses["nobody"].error, supervision.NoProcess)
        assert isinstance(responses["dies"].error, supervision.ServerExited)
        assert responses["echo"].error is None
        assert responses["echo"].result() == 1
        assert "echo" in repr(responses["echo"])


@pytest.mark.otp("86")
async def test_a_time_out_leaves_the_others_waiting(autojump_clock):
    log = []
    async with tree(child("later", Later, log)):
        ids = supervision.RequestIds()
        ids.send("later", Ask())
        with pytest.raises(supervision.CallTimeout):
            await ids.receive(timeout=1)
        with trio.move_on_after(1):
            await ids.receive()
        assert len(ids) == 1
        supervision.reply(log[1], "still")
        assert (await ids.receive()).result() == "still"
        ids.send("later", Ask())
        await wait_all_tasks_blocked()
        ids.clear()
        assert not ids
        assert not pending("later")
        supervision.reply(log[2], "late")
        with pytest.raises(supervision.SupervisionError):
            await ids.receive()


async def test_two_tasks_do_not_wait_for_the_same_responses():
    async with tree(child("later", Later)), trio.open_nursery() as nursery:
        ids = supervision.RequestIds()
        ids.send("later", Ask())
        nursery.start_soon(ids.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.SupervisionError):
            await ids.receive()
        ids.clear()
        nursery.cancel_scope.cancel()
