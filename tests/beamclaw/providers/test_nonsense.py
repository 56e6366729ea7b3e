"""Whatever JSON a provider sends: our events, or one of our errors; never anything else."""

from collections.abc import Iterable
from contextlib import suppress

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamclaw.contracts.messages import said
from beamclaw.contracts.providers import ModelRequest, ProviderError, ProviderEvent
from beamclaw.contracts.secret import Secret
from beamclaw.providers.anthropic import MessagesParser
from beamclaw.providers.errors import Failures
from beamclaw.providers.openai import ChatParser
from beamclaw.providers.sse import ServerSentEvent
from beamclaw.runs.answer import Answer

FAILURES = Failures(
    provider="p",
    address="http://p",
    key=Secret("key-of-the-test"),
    others=(),
    key_source="a test",
    key_variable="",
    url_variable="",
)
REQUEST = ModelRequest(model="m", messages=(said("user", "hi"),))
# Words that the parsers look for, so that nonsense gets deep into them.
KEYS = (
    "type", "index", "delta", "choices", "usage", "error", "message", "content", "text",
    "content_block", "tool_calls", "function", "function_call", "name", "arguments",
    "id", "finish_reason", "stop_reason", "partial_json", "thinking", "signature",
    "data", "input", "refusal", "reasoning_content", "prompt_tokens", "input_tokens",
    "output_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens",
    "code",
)  # fmt: skip
WORDS = (
    "content_block_start", "content_block_delta", "message_start", "message_delta",
    "message_stop", "error", "text", "text_delta", "tool_use", "input_json_delta",
    "thinking", "thinking_delta", "redacted_thinking", "signature_delta", "message",
    "stop", "tool_calls", "end_turn", "", "x",
)  # fmt: skip
leaves = (
    st.sampled_from(WORDS)
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=3)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
events = st.lists(
    st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=5), max_size=4
)


def parsers() -> Iterable[ChatParser | MessagesParser]:
    yield ChatParser(FAILURES, REQUEST)
    yield MessagesParser(FAILURES, "m")


def take(answer: Answer, found: Iterable[ProviderEvent]) -> None:
    for event in found:
        answer.take(event)


def read(parser: ChatParser | MessagesParser, sent: list[dict[str, object]]) -> None:
    answer = Answer()
    try:
        for one in sent:
            take(answer, parser.feed(ServerSentEvent(b"", orjson.dumps(one))))
        take(answer, parser.finish())
    except ProviderError:
        pass
    message = answer.message()
    orjson.dumps(message.text)
    usage = answer.usage
    if usage is not None:
        assert 0 <= usage.input < 2**62
        assert 0 <= usage.output < 2**62


@pytest.mark.slow
@settings(max_examples=200)
@given(events)
def test_a_stream_of_nonsense(sent: list[dict[str, object]]) -> None:
    for parser in parsers():
        read(parser, sent)


@given(values)
def test_nonsense_in_one_piece(sent: object) -> None:
    for parser in parsers():
        answer = Answer()
        with suppress(ProviderError):
            take(answer, parser.whole(orjson.dumps(sent)))
        answer.message()


@given(values, st.sampled_from([400, 401, 404, 429, 500, 529]))
def test_nonsense_as_an_error(sent: object, status: int) -> None:
    error = FAILURES.response(status, {}, orjson.dumps(sent), "m")
    assert error.status == status
    assert error.message


@pytest.mark.slow
@pytest.mark.parametrize("parser", [*parsers()], ids=["openai", "anthropic"])
def test_a_hundred_thousand_tool_calls_in_one_answer_take_no_time_for_each_other(
    parser: ChatParser | MessagesParser,
) -> None:
    answer = Answer()
    for index in range(100_000):
        if isinstance(parser, ChatParser):
            call = {"index": index, "id": f"t{index}", "function": {"name": "look"}}
            sent: object = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
        else:
            block = {"type": "tool_use", "id": f"t{index}", "name": "look"}
            kind = "content_block_start"
            sent = {"type": kind, "index": index, "content_block": block}
        take(answer, parser.feed(ServerSentEvent(b"", orjson.dumps(sent))))
    assert answer.length >= 500_000
    answer.break_off()
    assert answer.message(whole=False).parts == ()
