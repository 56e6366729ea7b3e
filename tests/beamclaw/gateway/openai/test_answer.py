"""Answers put together of what is published of a run, and of what it ended with."""

import orjson
import pytest

from beamclaw.contracts.messages import ModelParams, Usage, said
from beamclaw.contracts.sessions import Delta, Reset, RunEnded, Waiting
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.openai import answer as openai_answer
from beamclaw.gateway.openai.answer import Chunks
from tests.beamclaw.gateway.edge import events


def ask(**fields) -> Ask:
    given = {
        "agent": "main",
        "model": "openclaw",
        "backend": None,
        "session": None,
        "messages": (said("user", "hello"),),
        "params": ModelParams(),
    }
    return Ask(**(given | fields))


def end(text: str, **more) -> RunEnded:
    given = {"outcome": "ok", "stop_reason": "stop", "usage": Usage(7, 3)} | more
    return RunEnded(run_id="r", text=text, **given)


def streamed(*values, **fields) -> list:
    chunks = Chunks("r", ask(**fields), created=5)
    return events(b"".join([chunks.first(), *map(chunks.feed, values)]))


def text_of(got) -> str:
    deltas = [c["choices"][0]["delta"] for c in got if isinstance(c, dict)]
    return "".join(delta.get("content", "") for delta in deltas)


def test_chunks_come_in_the_order_that_clients_expect():
    got = streamed(Delta("r", 1, 0, "he"), Delta("r", 1, 2, "llo"), end("hello"))
    assert got[0] == {
        "id": "r",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "openclaw",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert [c["choices"][0]["delta"] for c in got[1:-1]] == [
        {"content": "he"},
        {"content": "llo"},
        {},
    ]
    assert got[-2]["choices"][0]["finish_reason"] == "stop"
    assert got[-1] == "[DONE]"


def test_usage_comes_last_and_only_when_asked_for():
    got = streamed(end("x"), include_usage=True)
    assert got[-2]["choices"] == []
    assert got[-2]["usage"]["total_tokens"] == 10
    assert [c["usage"] for c in got[:-2]] == [None, None, None]


@pytest.mark.parametrize(
    "values, text",
    [
        ([end("all of it")], "all of it"),
        ([Delta("r", 1, 0, "all"), end("all of it")], "all of it"),
        (
            [Delta("r", 1, 0, "all"), Delta("r", 1, 0, "all of"), end("all of")],
            "all of",
        ),
        ([Delta("r", 2, 0, "a"), Delta("r", 1, 1, "x"), end("a")], "a"),
        ([Reset("r", 2), Delta("r", 2, 0, "a"), end("a")], "a"),
        ([Waiting("r", "model"), Delta("q", 1, 0, "other"), end("a")], "a"),
        ([end("a"), end("a")], "a"),
    ],
)
def test_what_was_shown_is_not_shown_again_and_what_is_missing_is_added(values, text):
    got = streamed(*values)
    assert text_of(got) == text
    assert got[-1] == "[DONE]"


@pytest.mark.parametrize(
    "values",
    [
        [Delta("r", 1, 0, "a"), Reset("r", 2)],
        [Delta("r", 1, 0, "a"), Delta("r", 2, 0, "b")],
        [Delta("r", 1, 0, "a"), end("b")],
    ],
)
def test_what_cannot_be_taken_back_ends_in_an_error(values):
    got = streamed(*values, end("more"))
    assert got[-1]["error"]["code"] == "answer_restarted"


@pytest.mark.parametrize(
    "stop, reason",
    [
        ("stop", "stop"),
        ("length", "length"),
        ("refusal", "content_filter"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_finish_reasons_are_openais(stop, reason):
    got = streamed(end("x", stop_reason=stop))
    assert got[-2]["choices"][0]["finish_reason"] == reason
    answer = orjson.loads(
        openai_answer.whole(ask(), end("x", stop_reason=stop), created=5)
    )
    assert answer["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize(
    "outcome, kind, status, code",
    [
        ("error", "rate_limit", 429, "rate_limit_exceeded"),
        ("error", "context_length", 400, "context_length_exceeded"),
        ("error", "auth", 502, "auth"),
        ("error", "model_not_found", 502, "model_not_found"),
        ("error", "gone", 410, "gone"),
        ("error", None, 502, None),
        ("quarantined", None, 502, None),
        ("aborted", None, 409, "aborted"),
    ],
)
def test_a_failed_run_is_a_problem(outcome, kind, status, code):
    failed = end("x", outcome=outcome, error_kind=kind, error="because")
    problem = openai_answer.failed(failed, ephemeral=True)
    assert problem is not None
    assert (problem.status, problem.code) == (status, code)
    assert outcome == "aborted" or problem.message == "because"


def test_a_failed_turn_in_a_lasting_session_is_not_to_be_repeated_blindly():
    failed = end("", outcome="error", error_kind="network")
    problems = [openai_answer.failed(failed, ephemeral=own) for own in (True, False)]
    assert [problem and problem.retry for problem in problems] == [True, False]
