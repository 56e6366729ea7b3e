"""The provider inside the node."""

import pytest
import trio

from beamclaw.config.script import ScriptError, read_script
from beamclaw.contracts.messages import (
    Message,
    ModelParams,
    ToolCall,
    ToolResult,
    Usage,
    said,
)
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.providers.demo import Demo


async def ask(demo, words="hello", **params):
    messages = (said("system", "be brief"), said("user", words))
    request = ModelRequest(
        model="demo", messages=messages, params=ModelParams(**params)
    )
    async with demo.stream(request) as events:
        return [event async for event in events]


def text(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_it_repeats_what_it_is_told_and_says_how_to_get_a_model(autojump_clock):
    answer = text(await ask(Demo("demo"), "hello there"))
    assert answer.startswith("You said: hello there\n")
    assert "OPENAI_API_KEY" in answer
    assert "ANTHROPIC_API_KEY" in answer


async def test_the_same_question_has_the_same_answer(autojump_clock):
    assert await ask(Demo("demo")) == await ask(Demo("demo"))


async def test_words_come_one_after_the_other_and_are_counted(autojump_clock):
    began = trio.current_time()
    events = await ask(Demo("demo", delay=0.1))
    words = len(text(events).split())
    assert len(events) == words + 2
    assert events[-2:] == [UsageReport(Usage(3, words)), End("stop")]
    assert trio.current_time() - began == pytest.approx(0.1 * (words - 1))


async def test_the_limit_of_tokens_holds(autojump_clock):
    events = await ask(Demo("demo"), max_tokens=2)
    assert text(events) == "You said:"
    assert events[-2:] == [UsageReport(Usage(3, 2)), End("length")]


async def test_a_script_is_followed(autojump_clock, tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text(
        "- match: weather in (\\w+)\n  reply: It  rains\n    in \\1.\n  delay: 2\n"
        "- reply: |\n    Sorry.\n"
    )
    demo = Demo("demo", script=script)
    began = trio.current_time()
    assert text(await ask(demo, "WEATHER in Oslo?")) == "It  rains in Oslo."
    assert trio.current_time() - began == pytest.approx(6.0)
    assert text(await ask(demo, "else")) == "Sorry.\n"


async def test_a_script_asks_for_tools_and_tells_what_they_said(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text(
        "- match: send (\\w+)\n  reply: Done. {results}\n  calls:\n"
        "    - {tool: send, arguments: {texts: [\\1], n: 1}}\n    - {tool: look}\n"
    )
    demo = Demo("demo", delay=0, script=script)
    events = await ask(demo, "send this")
    assert events == [
        ToolCallDelta(0, "call_0_0", "send", '{"texts":["this"],"n":1}'),
        ToolCallDelta(1, "call_0_1", "look", "{}"),
        UsageReport(Usage(4, 2)),
        End("tool_calls"),
    ]
    messages = (
        said("user", "send this"),
        Message("assistant", (ToolCall("call_0", "send", "{}"),)),
        Message("tool", (ToolResult("call_0", "sent"),)),
        Message("tool", (ToolResult("call_1", "seen"),)),
    )
    request = ModelRequest(model="demo", messages=messages)
    async with demo.stream(request) as stream:
        assert text([event async for event in stream]) == "Done. sent; seen"


async def test_a_script_asks_for_tools_more_than_once(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text(
        "- reply: It is tidy. {results}\n  calls:\n"
        "    - [{tool: look}, {tool: look}]\n    - [{tool: put}]\n"
    )
    demo = Demo("demo", delay=0, script=script)
    messages = [said("user", "tidy up")]
    for number, tools in enumerate((["look", "look"], ["put"])):
        request = ModelRequest(model="demo", messages=tuple(messages))
        async with demo.stream(request) as stream:
            calls = [e async for e in stream if isinstance(e, ToolCallDelta)]
        assert [call.name for call in calls] == tools
        parts = tuple(ToolCall(f"{c.id}", f"{c.name}", "{}") for c in calls)
        messages.append(Message("assistant", parts))
        results = (ToolResult(f"{call.id}", f"{call.name} {number}") for call in calls)
        messages += [Message("tool", (result,)) for result in results]
    request = ModelRequest(model="demo", messages=tuple(messages))
    async with demo.stream(request) as stream:
        assert text([event async for event in stream]) == "It is tidy. put 1"


async def test_where_the_script_says_nothing_it_answers_as_without(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("- match: xyz\n  reply: x\n")
    answer = text(await ask(Demo("demo", delay=0, script=script)))
    assert answer.startswith("You said: hello")


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "script.yaml: "),
        ("", "a list of entries with match and reply is wanted"),
        ("a: 1", "a list of entries"),
        ("- 2024-99-99", "script.yaml: month must be in"),
        ("- text", "entry 1: not a mapping"),
        (
            "- reply: a\n- rely: b",
            "entry 2: unknown key rely (match, reply, delay, calls)",
        ),
        ("- match: a", "entry 1: reply has to be text"),
        ("- reply: 1", "entry 1: reply has to be text"),
        ("- {match: 1, reply: a}", "entry 1: match has to be a regular expression"),
        ("- {match: (, reply: a}", "entry 1: "),
        ("- {match: a, reply: '\\7'}", "entry 1: invalid group reference"),
        ("- {reply: a, calls: x}", "entry 1: calls has to be a list"),
        ("- {reply: a, calls: [x]}", "entry 1: a call has tool and arguments"),
        ("- {reply: a, calls: [{tool: x, y: 1}]}", "a call has tool and arguments"),
        ("- {reply: a, calls: [{tool: x, arguments: 1}]}", "the arguments of x have"),
        (
            "- {match: a, reply: a, calls: [{tool: x, arguments: {y: '\\7'}}]}",
            "entry 1: invalid group reference",
        ),
        ("- {reply: a, delay: soon}", "entry 1: delay has to be seconds, 0 or more"),
        ('- reply: "\\ud83d"', "entry 1: cannot be said to a model: str is not valid"),
        (
            "- {reply: a, calls: [{tool: x, arguments: {y: !!binary aGk=}}]}",
            "entry 1: cannot be said to a model: Type is not JSON serializable: bytes",
        ),
        ("- {reply: a, delay: -1}", "entry 1: delay has to be seconds, 0 or more"),
    ],
)
def test_a_faulty_script_is_told_in_words(tmp_path, content, words):
    script = tmp_path / "script.yaml"
    script.write_text(content)
    with pytest.raises(ScriptError) as caught:
        read_script(script)
    assert words in str(caught.value)


async def test_a_script_that_is_not_there_fails_the_call_in_words(tmp_path):
    with pytest.raises(
        ProviderError, match=r"its script cannot be used: .*No such"
    ) as e:
        await ask(Demo("demo", script=tmp_path / "none.yaml"))
    assert e.value.kind == "invalid"
