"""What every provider has to do, whichever protocol it speaks."""

import gc
import io
import logging
import traceback
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from beamclaw.config.schema import ModelInfo, ProviderConfig
from beamclaw.contracts.messages import Message, ModelParams, ToolCall, ToolResult, said
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.secret import Secret
from beamclaw.providers import connect
from beamclaw.providers.catalogue import MODELS
from beamclaw.runs.answer import Answer
from beamclaw.testing.fake_anthropic import fake_anthropic
from beamclaw.testing.fake_openai import Fault, Reply, Tool, fake_openai
from supervision.testing import wait_exit

CANARY = "sk-canary-9f3a77c1e5d2b846"
FAKES = {"openai": fake_openai, "anthropic": fake_anthropic}
OVER_HTTP = sorted(FAKES)
REQUEST = ModelRequest(
    model="some-model",
    messages=(
        said("system", "You are brief."),
        said("user", "hello"),
        said("assistant", "hi"),
        said("user", "say it again 🦀"),
    ),
    params=ModelParams(max_tokens=1000),
)
ANSWER = "You said: say it again 🦀"


@attrs.frozen
class Pair:
    """A provider and the fake it is connected to (demo has none)."""

    provider: Any
    fake: Any


@asynccontextmanager
async def connected(api, answer=None, fake_options=None, **settings):
    options = dict(fake_options or {})
    if answer is not None:
        options["answer"] = answer if callable(answer) else lambda body: answer
    async with FAKES[api](**options) as fake:
        config = ProviderConfig(
            api=api,
            base_url=fake.base_url,
            api_key=Secret(CANARY),
            key_source=f"environment variable {api.upper()}_API_KEY",
            **settings,
        )
        provider = connect(api, config)
        try:
            yield Pair(provider, fake)
        finally:
            await provider.aclose()


async def ask(provider, request=REQUEST):
    async with provider.stream(request) as events:
        return [event async for event in events]


async def failure(provider, request=REQUEST):
    """The error, and the events before it."""
    seen = []
    with pytest.raises(ProviderError) as caught:
        async with provider.stream(request) as events:
            async for event in events:
                seen.append(event)  # noqa: PERF401 - those before the error count
    return caught.value, seen


def text(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def idle_connections(provider):
    pools = provider._wire._pools._open
    return [each for pool in pools for each in pool._pool.connections]


@pytest.fixture
def patient(autojump_clock):
    """A clock that jumps, but not while bytes are on their way through the kernel."""
    autojump_clock.autojump_threshold = 0.02
    return autojump_clock  # pytest-trio takes the clock from a test's own fixtures


# --- every provider, demo among them


@pytest.mark.parametrize("api", ["anthropic", "demo", "openai"])
async def test_deltas_then_usage_then_one_end_as_the_last_event(api):
    if api == "demo":
        events = await ask(connect("demo", ProviderConfig(delay=0)))
    else:
        async with connected(api) as pair:
            events = await ask(pair.provider)
    assert [type(event) for event in events].count(End) == 1
    assert events[-1] == End("stop")
    assert isinstance(events[-2], UsageReport)
    assert events[-2].usage.output > 0
    assert all(isinstance(event, TextDelta) for event in events[:-2])
    assert text(events).startswith(ANSWER)


@pytest.mark.parametrize("api", ["anthropic", "demo", "openai"])
async def test_the_iterator_is_over_after_the_end(api):
    async with FAKES.get(api, fake_openai)() as fake:
        settings = ProviderConfig(
            api=api, base_url=fake.base_url, api_key=Secret(CANARY), delay=0
        )
        provider = connect(api, settings)
        async with provider.stream(REQUEST) as events:
            async for _ in events:
                pass
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        await provider.aclose()


@pytest.mark.parametrize("api", ["anthropic", "demo", "openai"])
async def test_without_anything_to_answer_no_model_is_asked(api):
    empty = ModelRequest(model="m", messages=(said("system", "x"), said("user", " ")))
    if api == "openai":  # accepts white space, and a conversation of the system alone
        empty = ModelRequest(model="m", messages=(said("user", ""),))
    async with FAKES.get(api, fake_openai)() as fake:
        settings = ProviderConfig(
            api=api, base_url=fake.base_url, api_key=Secret(CANARY)
        )
        error, _ = await failure(connect(api, settings), empty)
        assert error.kind == "invalid"
        assert "no message with text" in error.message
        assert fake.ledger == []


# --- those over HTTP: what is sent


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_what_is_sent_breaks_no_rule(api):
    async with connected(api) as pair:
        await ask(pair.provider)
        assert pair.fake.breaches == []
        (entry,) = pair.fake.requests
        assert (entry.key, entry.outcome) == (CANARY, "complete")


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_half_characters_of_a_faulty_client_are_no_reason_to_fail(api):
    async with connected(api) as pair:
        messages = (said("user", "a\ud83eb"),)
        events = await ask(pair.provider, ModelRequest(model="m", messages=messages))
        assert text(events) == "You said: a�b"


# --- what comes back


@pytest.mark.parametrize("api", OVER_HTTP)
@pytest.mark.parametrize("newline", ["lf", "crlf", "cr"])
@pytest.mark.parametrize("split", [1, 7])
async def test_bytes_may_come_in_any_pieces(api, split, newline):
    async with connected(api) as pair:
        pair.fake.fail(Fault(split=split, newline=newline))
        assert text(await ask(pair.provider)) == ANSWER


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_reasoning_text_and_tool_calls(api):
    reply = Reply(
        thinking=("Let me", " see."),
        text="Looking.",
        tools=(
            Tool(id="t1", name="read", arguments=('{"a":', "1}")),
            Tool(id="t2", name="list", arguments=("{}",)),
        ),
    )
    async with connected(api, reply) as pair:
        events = await ask(pair.provider)
    assert (
        "".join(e.text for e in events if isinstance(e, ThinkingDelta)) == "Let me see."
    )
    assert text(events) == "Looking."
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(c.index, c.id, c.name) for c in calls if c.id] == [
        (0, "t1", "read"),
        (1, "t2", "list"),
    ]
    for index, arguments in enumerate(('{"a":1}', "{}")):
        pieces = (call.arguments for call in calls if call.index == index)
        assert "".join(pieces) == arguments
    assert events[-1] == End("tool_calls")


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_an_empty_answer_is_an_answer(api):
    async with connected(api, Reply()) as pair:
        events = await ask(pair.provider)
    assert [type(event) for event in events] == [UsageReport, End]


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_what_was_cached_counts_as_input(api):
    async with connected(api, Reply(text="x", usage=(100, 7), cached=60)) as pair:
        usage = next(
            e.usage for e in await ask(pair.provider) if type(e) is UsageReport
        )
    assert (usage.input, usage.output, usage.cached) == (100, 7, 60)


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_without_figures_there_is_no_report(api):
    async with connected(api) as pair:
        pair.fake.fail(Fault(no_usage=True))
        events = await ask(pair.provider)
    if api == "openai":
        assert [type(event) for event in events[-2:]] == [TextDelta, End]


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_pings_are_nothing(api):
    async with connected(api) as pair:
        pair.fake.fail(Fault(pings=200))
        assert text(await ask(pair.provider)) == ANSWER


# --- errors

# fault -> kind by provider (both the same where there is one), what the words hold
ERRORS = [
    (Fault(status=400), "invalid", "does not accept the request (400)"),
    (Fault(status=401), "auth", "refused the key (401) from environment variable"),
    (Fault(status=403), "refused", "refused the request (403)"),
    (Fault(status=404), "model_not_found", "agents.main.model"),
    (Fault(status=413), "context_length", "too long for model some-model"),
    (
        Fault(status=429, retry_after=7),
        "rate_limit",
        "limits the rate of requests (429)",
    ),
    (Fault(status=500), "server", "failed (500)"),
    (Fault(status=503), "overloaded", "is overloaded (503)"),
    (Fault(status=529), "overloaded", "is overloaded (529)"),
    (Fault(status=502, html=True), "server", "failed (502)"),
    (Fault(html=True), "invalid", "is no model provider (it sent text/html)"),
    (
        Fault(redirect="https://elsewhere/?key=1"),
        "invalid",
        "https://elsewhere/, which",
    ),
    (Fault(status=402, code="billing_error"), "quota", "no credit left"),
]


@pytest.mark.parametrize("api", OVER_HTTP)
@pytest.mark.parametrize("fault, kind, words", ERRORS)
async def test_every_refusal_has_its_class_and_words(api, fault, kind, words):
    if api == "anthropic" and fault.status == 503:
        fault = attrs.evolve(fault, code="overloaded_error")
    async with connected(api) as pair:
        pair.fake.fail(fault)
        error, seen = await failure(pair.provider)
        assert seen == []
        assert error.kind == kind, error.message
        assert words in error.message
        assert error.retry_after == fault.retry_after
        assert text(await ask(pair.provider)) == ANSWER  # the next one is fine


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_model_that_it_does_not_have(api):
    async with connected(api, fake_options={"models": ["other"]}) as pair:
        error, _ = await failure(pair.provider)
        assert error.kind == "model_not_found"
        assert "has no model some-model (404)" in error.message


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_key_that_it_does_not_know(api):
    async with connected(api, fake_options={"keys": ["another"]}) as pair:
        error, _ = await failure(pair.provider)
        assert error.kind == "auth"
        assert f"environment variable {api.upper()}_API_KEY" in error.message


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_conversation_that_is_too_long(api):
    async with connected(api, fake_options={"window": 10}) as pair:
        error, _ = await failure(pair.provider)
        assert error.kind == "context_length"


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_an_error_after_text_comes_after_the_text(api):
    async with connected(api) as pair:
        pair.fake.fail(Fault(error_after=4))
        error, seen = await failure(pair.provider)
        assert error.kind in ("server", "overloaded")
        assert ANSWER.startswith(text(seen))
        assert text(seen)


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_cut_after_each_event_it_is_a_network_error_with_what_had_come(api):
    async with connected(api) as pair:
        events = pair.fake.events({"model": "m"}, Reply(text=ANSWER), 1)
        # At OpenAI the answer is known once its reason has come, before [DONE].
        ends = len(events) - (1 if api == "openai" else 0)
        for after in range(ends):
            pair.fake.fail(Fault(cut_after=after), Fault(cut_inside=after))
            for _ in range(2):
                error, seen = await failure(pair.provider)
                assert error.kind == "network"
                assert "broke off in the middle" in error.message
                assert ANSWER.startswith(text(seen))


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_formal_end_that_is_missing(api):
    async with connected(api) as pair:
        pair.fake.fail(Fault(no_end=True), Fault(no_end=True, no_finish=True))
        if api == "openai":
            assert (await ask(pair.provider))[-1] == End("stop")
        else:
            error, _ = await failure(pair.provider)
            assert error.kind == "network"
        error, _ = await failure(pair.provider)
        assert error.kind == "network"


# --- OpenAI's relatives


@pytest.mark.parametrize(
    "quirks",
    [
        {"no_index"},
        {"no_index", "no_id", "whole_arguments"},
        {"whole_arguments"},
        {"object_arguments", "no_index"},
        {"stop_with_tools"},
        {"usage_in_all"},
        {"no_id"},
    ],
    ids="+".join,
)
async def test_deviations_of_compatible_servers(quirks):
    tools = (
        Tool(id="t1", name="read", arguments=('{"a":', "1}")),
        Tool(id="t2", name="list", arguments=("{}",)),
    )
    reply = Reply(text="x", tools=tools, fault=Fault(quirks=frozenset(quirks)))
    if quirks == {"no_index"}:  # pieces without index and id follow their call
        reply = attrs.evolve(reply, tools=tools[:1])
    async with connected("openai", reply) as pair:
        events = await ask(pair.provider)
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [call.name for call in calls if call.name] == [t.name for t in reply.tools]
    for index, tool in enumerate(reply.tools):
        pieces = (call.arguments for call in calls if call.index == index)
        assert "".join(pieces) == "".join(tool.arguments)
    assert events[-1] == End("tool_calls")


# --- time


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_silence_before_the_answer(api, patient):
    async with connected(api, idle_timeout=60.0) as pair:
        pair.fake.fail(Fault(hang=True))
        began = trio.current_time()
        error, _ = await failure(pair.provider)
        assert trio.current_time() - began == pytest.approx(60.0, abs=1)
        assert error.kind == "network"
        assert f"sent nothing for 60 s (providers.{api}.idle_timeout)" in error.message


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_silence_in_the_middle(api, patient):
    async with connected(api, idle_timeout=60.0) as pair:
        pair.fake.fail(Fault(silence_after=4))
        error, seen = await failure(pair.provider)
        assert error.kind == "network"
        assert text(seen)


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_slow_stream_is_not_a_silent_one(api, patient):
    async with connected(api, Reply(text=ANSWER, gap=50.0), idle_timeout=60.0) as pair:
        assert text(await ask(pair.provider)) == ANSWER


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_a_call_as_a_whole_has_a_limit(api, patient):
    reply = Reply(text="w " * 100, gap=5.0)
    async with connected(api, reply, idle_timeout=60.0, max_seconds=100.0) as pair:
        began = trio.current_time()
        error, seen = await failure(pair.provider)
        assert trio.current_time() - began == pytest.approx(100.0, abs=1)
        assert f"providers.{api}.max_seconds" in error.message
        assert len(seen) == 20


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_the_limit_does_not_cancel_what_the_caller_does_meanwhile(api, patient):
    async with (
        connected(api, max_seconds=10.0) as pair,
        pair.provider.stream(REQUEST) as events,
    ):
        await anext(events)
        await trio.sleep(100)
        assert text([event async for event in events])


async def test_after_the_reason_the_formal_end_is_not_waited_for_long(patient):
    async with connected("openai", idle_timeout=600.0) as pair:
        count = len(pair.fake.events({"model": "m"}, Reply(text=ANSWER), 1))
        pair.fake.fail(Fault(silence_after=count - 1))
        began = trio.current_time()
        assert (await ask(pair.provider))[-1] == End("stop")
        assert trio.current_time() - began < 10


# --- connections


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_calls_one_after_the_other_use_one_connection(api):
    async with connected(api) as pair:
        for gap in (0, 0.001, 0):
            pair.fake.answer = lambda body, gap=gap: Reply(text="a b c", gap=gap)
            await ask(pair.provider)
        assert len(idle_connections(pair.provider)) == 1


@pytest.mark.parametrize("api", OVER_HTTP)
@pytest.mark.parametrize("after", [0, 2])
async def test_leaving_the_block_ends_the_call_and_the_provider_sees_it(api, after):
    async with connected(api, Reply(text="w " * 50, gap=0.01)) as pair:
        async with pair.provider.stream(REQUEST) as events:
            for _ in range(after):
                await anext(events)
        with trio.fail_after(60):
            await pair.fake.wait_for(lambda: pair.fake.ledger[0].outcome == "left")
        assert idle_connections(pair.provider) == []
        gc.collect()  # nothing is left behind that would complain


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_cancelled_in_the_middle_no_connection_is_left(api):
    async with connected(api, Reply(text="w " * 50, gap=0.01)) as pair:
        for _ in range(10):
            with trio.CancelScope() as scope:
                async with pair.provider.stream(REQUEST) as events:
                    async for _ in events:
                        scope.cancel()
        fake = pair.fake
        with trio.fail_after(60):
            await fake.wait_for(lambda: all(e.outcome == "left" for e in fake.ledger))
        assert len(fake.ledger) == 10
        assert idle_connections(pair.provider) == []
        gc.collect()


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_cancelled_before_the_answer_begins(api):
    async with connected(api) as pair:
        pair.fake.fail(Fault(hang=True))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, pair.provider)
            with trio.fail_after(60):
                await pair.fake.wait_for(lambda: bool(pair.fake.ledger))
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with trio.fail_after(60):
            await pair.fake.wait_for(lambda: pair.fake.ledger[0].outcome == "left")
        assert idle_connections(pair.provider) == []


@pytest.mark.parametrize("api", OVER_HTTP)
@pytest.mark.parametrize("reason", [supervision.KILL, supervision.Shutdown("aborted")])
async def test_a_process_that_is_ended_in_the_middle_leaves_nothing(api, reason):
    async with (
        connected(api, Reply(text="w " * 50, gap=0.01)) as pair,
        supervision.open_supervisor([]),
    ):
        begun = trio.Event()

        async def run():
            async with pair.provider.stream(REQUEST) as events:
                async for _ in events:
                    begun.set()

        pid = supervision.spawn(run)
        await begun.wait()
        supervision.exit(pid, reason)
        await wait_exit(pid)
        with trio.fail_after(60):
            await pair.fake.wait_for(lambda: pair.fake.ledger[0].outcome == "left")
        assert idle_connections(pair.provider) == []


@pytest.mark.slow
@pytest.mark.parametrize("api", OVER_HTTP)
async def test_three_hundred_streams_at_once(api):
    def answer(body):
        return Reply(
            text=body["messages"][-1]["content"][0]["text"], delay=0.5, gap=0.01
        )

    def openai_answer(body):
        return Reply(text=body["messages"][-1]["content"], delay=0.5, gap=0.01)

    told = openai_answer if api == "openai" else answer
    async with connected(api, told) as pair:
        answers = {}

        async def one(n):
            words = f"this is number {n} of them"
            messages = (said("user", words),)
            events = await ask(
                pair.provider, ModelRequest(model="m", messages=messages)
            )
            answers[n] = text(events) == words

        async with trio.open_nursery() as nursery:
            for n in range(300):
                nursery.start_soon(one, n)
        assert len(answers) == 300
        assert all(answers.values())
        assert {entry.outcome for entry in pair.fake.ledger} == {"complete"}


# --- the key


@pytest.mark.parametrize("api", OVER_HTTP)
async def test_the_key_is_in_no_error_log_traceback_or_repr(api, caplog):
    caplog.set_level(logging.DEBUG)
    seen = io.StringIO()
    faults = [
        Fault(status=401, message=f"Incorrect API key provided: {CANARY}."),
        Fault(status=400, message=f"{CANARY[:12]}...{CANARY[-10:]}"),
        Fault(status=500, message=f"headers: x-api-key={CANARY}"),
        Fault(error_after=3, message=CANARY),
        Fault(cut_after=3),
        Fault(hang=True),
        Fault(redirect=f"https://x/{CANARY}"),
    ]
    async with connected(api, idle_timeout=0.05) as pair:
        for fault in faults:
            pair.fake.fail(fault)
            try:
                await ask(pair.provider)
            except ProviderError as error:
                traceback.print_exception(error, file=seen)
                context = error
                while context is not None:  # what a debugger could reach
                    seen.write(repr(vars(context)) + repr(context.args))
                    context = context.__cause__ or context.__context__
        seen.write(repr(pair.provider) + repr(pair.provider._wire))
    nowhere = "http://127.0.0.1:1"
    dead = ProviderConfig(api=api, base_url=nowhere, api_key=Secret(CANARY))
    error, _ = await failure(connect(api, dead))
    seen.write(repr(error) + str(error.__context__))
    seen.write(caplog.text)
    for start in range(len(CANARY) - 7):
        assert CANARY[start : start + 8] not in seen.getvalue()


# --- what was thought


THOUGHT = ("Let me", " see.")
ONE_CALL = Reply(
    thinking=THOUGHT, tools=(Tool(id="t1", name="read", extra={"google": {"s": "x"}}),)
)


async def second(pair, target="openai/some-model"):
    """The call behind a tool's result, of what *target* has said before."""
    answer = Answer(target)
    for event in await ask(pair.provider):
        answer.take(event)
    result = Message("tool", (ToolResult("t1", "one"),))
    messages = (*REQUEST.messages, answer.message(), result)
    return attrs.evolve(REQUEST, messages=messages)


@pytest.mark.parametrize(
    "field", ["reasoning_content", "reasoning", "reasoning_details"]
)
async def test_what_was_thought_goes_back_in_the_field_in_which_it_came(field):
    options = {"thinking": "demanded", "field": field}
    async with connected("openai", ONE_CALL, options) as pair:
        await ask(pair.provider, await second(pair))
        assert pair.fake.breaches == []
        sent = pair.fake.requests[1].body["messages"][-2]
        assert set(sent) == {"role", "content", "tool_calls", field}
        assert sent["tool_calls"][0]["extra_content"] == {"google": {"s": "x"}}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=400, message="Missing `reasoning_content` field in message 2."),
        None,
    ],
)
async def test_who_wants_thoughts_where_another_has_worked_is_told_there_are_none(
    fault,
):
    behind = (
        Message("assistant", (ToolCall("t9", "read", "{}"),)),
        Message("tool", (ToolResult("t9", "one"),)),
    )
    request = attrs.evolve(REQUEST, messages=(*REQUEST.messages, *behind))
    mode = "demanded" if fault is None else "taken"
    async with connected("openai", ONE_CALL, {"thinking": mode}) as pair:
        if fault is not None:
            pair.fake.fail(fault)
        await ask(pair.provider, request)
        # The turn before it had no tools: nothing is wanted there.
        last = pair.fake.requests[-1].body["messages"]
        thought = [message.get("reasoning_content") for message in last]
        assert thought == [None, None, None, None, "-", None]
        assert [e.status for e in pair.fake.requests] == [400, 200]


async def test_who_wants_a_signature_where_another_has_worked_is_told_there_is_none():
    """And is told so at once the next time; its own signatures stay as they are."""
    async with connected("openai", ONE_CALL, {"thinking": "signed"}) as pair:
        request = await second(pair, "openai/another")
        for _ in range(2):
            await ask(pair.provider, request)
        await ask(pair.provider, await second(pair))
        statuses = [entry.status for entry in pair.fake.requests]
        assert statuses == [200, 400, 200, 200, 200, 200]
        sent = [entry.body["messages"][-2] for entry in pair.fake.requests[2:]]
        extras = [message["tool_calls"][0]["extra_content"] for message in sent[::3]]
        none = {"google": {"thought_signature": "skip_thought_signature_validator"}}
        assert extras == [none, {"google": {"s": "x"}}]


async def test_what_google_says_in_its_own_form_is_heard():
    async with connected("openai", fake_options={"thinking": "signed"}) as pair:
        words = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
        pair.fake.fail(Fault(status=400, message=words))
        error, _ = await failure(pair.provider)
        assert words in error.message
        assert error.kind == "context_length"


async def test_who_says_that_they_are_missing_whatever_is_sent_is_not_asked_for_ever():
    async with connected("openai", ONE_CALL) as pair:
        request = await second(pair)
        wrong = Fault(status=400, message="Missing `reasoning_content` field")
        pair.fake.fail(wrong, wrong, wrong, wrong)
        error, _ = await failure(pair.provider, request)
        assert "Missing" in error.message
        assert len(pair.fake.requests) == 3


async def test_who_refuses_what_it_has_thought_is_asked_without_from_then_on():
    async with connected("openai", ONE_CALL, {"thinking": "refused"}) as pair:
        request = await second(pair)
        await ask(pair.provider, request)
        await ask(pair.provider, request)
        statuses = [entry.status for entry in pair.fake.requests]
        assert statuses == [200, 400, 200, 200]
        # From then on it is not kept for it either.
        events = await ask(pair.provider, request)
        assert {e.field for e in events if isinstance(e, ThinkingDelta)} == {""}


async def test_who_is_said_to_refuse_it_is_never_sent_it():
    async with connected(
        "openai", ONE_CALL, {"thinking": "refused"}, return_thinking=False
    ) as pair:
        await ask(pair.provider, await second(pair))
        assert pair.fake.breaches == []


async def test_a_refusal_that_is_about_something_else_is_told_at_once():
    async with connected("openai", ONE_CALL) as pair:
        request = await second(pair)
        pair.fake.fail(Fault(status=400, message="reasoning_effort: not supported"))
        await failure(pair.provider, request)
        assert len(pair.fake.requests) == 2


# Every model of Anthropic's that is known, and some that nobody knows yet.
CLAUDES = [
    *(name for name in MODELS if name.startswith("claude-")),
    "claude-opus-9",
    "claude-opus-4-7-preview",
    "some-model",
]


@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize("level", [None, "off", "minimal", "high", "xhigh"])
async def test_every_model_is_told_to_think_in_a_way_that_it_takes(model, level):
    params = ModelParams(max_tokens=4_000, thinking=level, temperature=0.5, top_k=3)
    request = attrs.evolve(REQUEST, model=model, params=params)
    async with connected("anthropic", Reply(text="so")) as pair:
        await ask(pair.provider, request)
        await ask(pair.provider, request)
        refused = [n for n, e in enumerate(pair.fake.requests) if e.status != 200]
        assert refused in (([],) if model in MODELS else ([], [0]))


async def test_what_is_found_out_of_one_model_is_thought_of_no_other():
    params = ModelParams(max_tokens=4_000, thinking="high")
    newer = attrs.evolve(REQUEST, model="claude-opus-9", params=params)
    older = attrs.evolve(newer, model="claude-sonnet-4-5")
    async with connected("anthropic", Reply(text="so")) as pair:
        for request in (newer, older, newer):
            await ask(pair.provider, request)
        ways = [entry.body["thinking"]["type"] for entry in pair.fake.ledger[1:]]
        assert ways == ["adaptive", "enabled", "adaptive"]


async def test_the_configuration_goes_before_what_is_known_of_a_model():
    params = ModelParams(max_tokens=4_000, thinking="high")
    request = attrs.evolve(REQUEST, model="some-model", params=params)
    models = {"some-model": ModelInfo(thinking="adaptive")}
    async with connected("anthropic", Reply(text="so"), models=models) as pair:
        await ask(pair.provider, request)
        (entry,) = pair.fake.requests
        assert entry.body["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-4-5"])
async def test_a_model_that_does_not_know_its_thoughts_again_is_asked_without(model):
    params = ModelParams(max_tokens=4_000, thinking="high")
    request = attrs.evolve(REQUEST, model=model, params=params)
    reply = attrs.evolve(ONE_CALL, signature="s1")
    async with connected("anthropic", reply, {"bound": True}) as pair:
        answer = Answer(f"anthropic/{model}")
        for event in await ask(pair.provider, request):
            answer.take(event)
        result = Message("tool", (ToolResult("t1", "one"),))
        behind = (answer.message(), result)
        for before in (REQUEST.messages, (said("user", "the sum of it"),)):
            await ask(pair.provider, attrs.evolve(request, messages=(*before, *behind)))
        assert [entry.status for entry in pair.fake.requests] == [200, 200, 400, 200]
