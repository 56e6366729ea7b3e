"""The fakes of model providers: as strict as the platforms, and true to their ledger."""

import json
import os
import signal
import sys
from functools import partial
from typing import Any

import httpx2
import openai
import pytest
import trio

from beamclaw.testing.fake_anthropic import FakeAnthropic, fake_anthropic
from beamclaw.testing.fake_openai import FakeOpenAI, Fault, Reply, Tool, fake_openai

USER = {"role": "user", "content": "hi"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "1"}
THEIR_CALL = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
}
THEIR_RESULT = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}],
}


async def post(fake, body, **headers):
    address = f"http://127.0.0.1:{fake.port}{fake.path}"
    wanted = {"authorization": "Bearer k", "anthropic-version": "2023-06-01", **headers}
    content = body if isinstance(body, bytes) else json.dumps(body)
    sent = {"content-type": "application/json", **wanted}
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.post(address, content=content, headers=sent)


# what is wrong -> the status, and a word of the error
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
THEIR_PICTURE = {
    "type": "image",
    "source": {"type": "url", "url": "https://example.org/a"},
}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def answered(content: list[Any], **more: Any) -> dict[str, Any]:
    result = THEIR_RESULT["content"][0] | {"content": content}
    return {"role": "user", "content": [result | more]}


OPENAI = [
    (b"{", 400, "parse the JSON"),
    (b"[]", 400, "parse the JSON"),
    ({"messages": [USER]}, 400, "model parameter"),
    ({"model": "none", "messages": [USER]}, 404, "does not exist"),
    ({"model": "m"}, 400, "empty array"),
    ({"model": "m", "messages": []}, 400, "empty array"),
    ({"model": "m", "messages": [{"role": "bot", "content": ""}]}, 400, "'bot'"),
    ({"model": "m", "messages": [{"role": "user", "content": None}]}, 400, "null"),
    ({"model": "m", "messages": [{"role": "user", "content": [{"type": "x"}]}]}, 400, "Supported values"),
    ({"model": "m", "messages": [{"role": "user", "content": [PICTURE | {"image_url": {"url": "x"}}]}]}, 400, "valid URL"),
    ({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "a", "file_data": "x"}}]}]}, 400, "application/pdf"),
    ({"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "text"),
    ({"model": "m", "messages": [{"role": "system", "content": [PICTURE]}]}, 400, "Supported values are: 'text'"),
    ({"model": "m", "messages": [USER, CALL, RESULT | {"content": [PICTURE]}]}, 400, "Supported values are: 'text'"),
    ({"model": "m", "messages": [USER, CALL]}, 400, "must be followed"),
    ({"model": "m", "messages": [USER, CALL, USER]}, 400, "must be followed"),
    ({"model": "m", "messages": [USER, RESULT]}, 400, "preceding"),
    ({"model": "m", "messages": [USER], "temperature": 3}, 400, "temperature"),
    ({"model": "m", "messages": [USER], "max_tokens": 0}, 400, "minimum"),
    ({"model": "m", "messages": [USER], "max_tokens": 1, "max_completion_tokens": 1}, 400, "same time"),
    ({"model": "m", "messages": [USER], "stop": list("abcde")}, 400, "stop"),
    ({"model": "m", "messages": [USER], "stream_options": {}}, 400, "stream_options"),
    ({"model": "m", "messages": [USER], "colour": 1}, 400, "colour"),
    ({"model": "m", "messages": [{"role": "user", "content": "x" * 5000}]}, 400, "context length"),
]  # fmt: skip
ANTHROPIC = [
    ({"model": "m", "max_tokens": 1, "messages": [said({"type": "x"})]}, 400, "not allowed"),
    ({"model": "m", "max_tokens": 1, "messages": [said(THEIR_PICTURE | {"source": {"type": "base64", "media_type": "image/tiff", "data": "QQ=="}})]}, 400, "not a picture"),
    ({"model": "m", "max_tokens": 1, "messages": [said({"type": "document", "source": {"type": "base64", "media_type": "text/csv", "data": "QQ=="}})]}, 400, "not a supported document"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": [THEIR_PICTURE]}]}, 400, "not allowed"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}]}, 400, "final block"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": [{"type": "redacted_thinking"}, {"type": "text", "text": "x"}]}]}, 400, "redacted_thinking"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, answered([{"type": "x"}])]}, 400, "not expected"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, answered([{"type": "text", "text": " "}])]}, 400, "non-empty"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, answered([THEIR_PICTURE], is_error=True)]}, 400, "is_error"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": [{"type": "tool_use", "id": "a:b", "name": "f", "input": {}}]}]}, 400, "tool_use.id"),
    (b"{", 400, "parse the JSON"),
    ({"max_tokens": 1, "messages": [USER]}, 400, "model: Field required"),
    ({"model": "none", "max_tokens": 1, "messages": [USER]}, 404, "model: none"),
    ({"model": "m", "messages": [USER]}, 400, "max_tokens: Field required"),
    ({"model": "m", "max_tokens": 0, "messages": [USER]}, 400, "greater"),
    ({"model": "m", "max_tokens": 1, "messages": []}, 400, "at least one"),
    ({"model": "m", "max_tokens": 1, "messages": [{"role": "system", "content": "x"}, USER]}, 400, "first message"),
    ({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": "x"}]}, 400, "first message"),
    ({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": ""}]}, 400, "non-empty"),
    ({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": []}]}, 400, "non-empty"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": "x "}]}, 400, "trailing"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL]}, 400, "without `tool_result`"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, USER]}, 400, "without `tool_result`"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, USER, THEIR_RESULT]}, 400, "must come first"),
    ({"model": "m", "max_tokens": 1, "messages": [THEIR_RESULT]}, 400, "unexpected `tool_use_id`"),
    ({"model": "m", "max_tokens": 1, "messages": [USER, THEIR_CALL, THEIR_RESULT, THEIR_CALL, THEIR_RESULT]}, 400, "unique"),
    ({"model": "m", "max_tokens": 1, "messages": [USER], "temperature": 1.5}, 400, "temperature"),
    ({"model": "m", "max_tokens": 1, "messages": [USER], "system": ""}, 400, "system"),
    ({"model": "m", "max_tokens": 1, "messages": [USER], "seed": 1}, 400, "seed: Extra"),
    ({"model": "m", "max_tokens": 1, "messages": [USER], "tools": [{"name": "a b"}]}, 400, "name"),
    ({"model": "m", "max_tokens": 1, "messages": [USER], "thinking": {"type": "enabled", "budget_tokens": 5}}, 400, "budget"),
    ({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x" * 5000}]}, 400, "prompt is too long"),
]  # fmt: skip


@pytest.mark.parametrize("body, status, words", OPENAI)
async def test_openai_refuses_what_the_platform_refuses(body, status, words):
    async with fake_openai(models=["m"], window=1000) as fake:
        response = await post(fake, body)
        assert response.status_code == status
        error = response.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert words in error["message"]
        assert fake.breaches


@pytest.mark.parametrize("body, status, words", ANTHROPIC)
async def test_anthropic_refuses_what_the_platform_refuses(body, status, words):
    async with fake_anthropic(models=["m"], window=1000) as fake:
        response = await post(fake, body)
        assert response.status_code == status
        told = response.json()
        assert told["type"] == "error"
        assert words in told["error"]["message"]
        assert fake.breaches


BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}
OFF = {"thinking": {"type": "disabled"}}
HOT = {"temperature": 0.5}
ANY_TOOL = {"tool_choice": {"type": "any"}}


def effort(level: str) -> dict[str, Any]:
    return {"output_config": {"effort": level}}


BY_MODEL = [
    ("claude-sonnet-4-5", ADAPTIVE, "adaptive thinking is not supported"),
    ("claude-sonnet-4-5", effort("low"), "effort"),
    ("claude-sonnet-4-5", BUDGET | HOT, "with thinking"),
    ("claude-sonnet-4-5", BUDGET, ""),
    ("claude-opus-4-6", effort("xhigh"), "effort"),
    ("claude-opus-4-6", ADAPTIVE | HOT, "with thinking"),
    ("claude-opus-4-6", BUDGET, ""),
    ("claude-opus-4-6", HOT, ""),
    ("claude-opus-4-7", BUDGET, '"thinking.type.enabled" is not supported'),
    ("claude-opus-4-8", HOT, "`temperature` is deprecated"),
    ("claude-opus-5", BUDGET, '"thinking.type.enabled" is not supported'),
    ("claude-opus-5", OFF, ""),
    ("claude-opus-5-5", OFF, '"thinking.type.disabled" is not supported'),
    ("claude-opus-5-5", ANY_TOOL, "forced tool use"),
    ("claude-sonnet-5-5", ADAPTIVE | effort("xhigh"), ""),
    ("claude-fable-5", {"thinking": ADAPTIVE["thinking"] | {"budget_tokens": 1}}, "Extra"),
    ("m", BUDGET, ""),
    ("m", ADAPTIVE | effort("max"), ""),
]  # fmt: skip


@pytest.mark.parametrize("model, more, words", BY_MODEL)
async def test_what_anthropic_takes_goes_by_the_model(model, more, words):
    async with fake_anthropic() as fake:
        body = {"model": model, "max_tokens": 2048, "messages": [USER], **more}
        response = await post(fake, body)
        assert response.status_code == (400 if words else 200)
        assert words in response.text.replace('\\"', '"')
        assert bool(fake.breaches) == bool(words)


THOUGHTFUL = CALL | {"reasoning_content": "hm"}
UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}
SIGNED = CALL | {
    "tool_calls": [call | {"extra_content": UNSIGNED} for call in CALL["tool_calls"]]
}
BY_MODE = [
    ("taken", THOUGHTFUL, ""),
    ("taken", CALL, ""),
    ("taken", CALL | {"colour": 1}, "messages.1.assistant.colour"),
    ("demanded", CALL, "must be passed back to the API"),
    ("demanded", CALL | {"reasoning_content": ""}, "must be passed back to the API"),
    ("demanded", THOUGHTFUL, ""),
    ("signed", CALL, "missing a thought_signature"),
    ("signed", SIGNED, ""),
    ("refused", THOUGHTFUL, "'messages.1.assistant.reasoning_content' is unsupported"),
    ("refused", CALL, ""),
]


@pytest.mark.parametrize("mode, call, words", BY_MODE)
async def test_what_openai_does_about_thoughts_goes_by_its_mode(mode, call, words):
    async with fake_openai(thinking=mode) as fake:
        body = {"model": "m", "messages": [USER, call, RESULT]}
        response = await post(fake, body)
        assert response.status_code == (400 if words else 200)
        assert words in response.text


async def test_thoughts_that_are_not_those_that_were_given_are_refused():
    reply = Reply(thinking=("h", "m"), tools=(Tool(id="c", name="f"),))
    async with fake_openai(thinking="demanded", answer=lambda body: reply) as fake:
        await post(fake, {"model": "m", "messages": [USER]})
        for thought, status in (("hm", 200), ("no", 400)):
            told = CALL | {"content": None, "reasoning_content": thought}
            body = {"model": "m", "messages": [USER, told, RESULT]}
            assert (await post(fake, body)).status_code == status


async def test_keeping_the_rules_is_no_breach():
    async with fake_openai() as fake:
        ok = {"model": "m", "messages": [USER, CALL, RESULT, USER], "temperature": 2}
        assert (await post(fake, ok)).status_code == 200
        assert fake.breaches == []
    async with fake_anthropic() as fake:
        messages = [USER, THEIR_CALL, THEIR_RESULT, USER]
        ok = {"model": "m", "max_tokens": 9, "messages": messages, "temperature": 1}
        assert (await post(fake, ok)).status_code == 200
        assert fake.breaches == []


async def test_anthropic_wants_its_version():
    async with fake_anthropic() as fake:
        body = {"model": "m", "max_tokens": 1, "messages": [USER]}
        response = await post(fake, body, **{"anthropic-version": "2020-01-01"})
        assert "anthropic-version" in response.json()["error"]["message"]


@pytest.mark.parametrize("make", [fake_openai, fake_anthropic])
async def test_a_key_is_wanted_and_seen(make):
    async with make(keys=["right"]) as fake:
        body = {"model": "m", "max_tokens": 1, "messages": [USER]}
        for key, status in (("right", 200), ("wrong", 401)):
            response = await post(fake, body, authorization=f"Bearer {key}")
            assert response.status_code == status
        assert [entry.key for entry in fake.ledger] == ["right", "wrong"]
        assert [entry.outcome for entry in fake.ledger] == ["complete", "refused"]


# It stops reading at [DONE] and leaves its generators to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_the_official_client_is_content():
    reply = Reply(text="one two", tools=(Tool(id="t", name="f"),))
    async with fake_openai(answer=lambda body: reply) as fake:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        client = openai.AsyncOpenAI(
            api_key="k", base_url=fake.base_url, http_client=http
        )
        create: Any = client.chat.completions.create
        ask = partial(create, model="m", messages=[USER])
        whole = await ask()
        assert whole.choices[0].message.content == "one two"
        assert whole.choices[0].finish_reason == "tool_calls"
        text = ""
        async for chunk in await ask(stream=True):
            text += chunk.choices[0].delta.content or ""
        assert text == "one two"
        assert [model.id async for model in client.models.list()] == ["fake"]
        await client.close()


async def test_faults_come_one_by_one_and_then_all_is_well():
    async with fake_openai() as fake:
        fake.fail(Fault(status=500), Fault(status=429, retry_after=3))
        body = {"model": "m", "messages": [USER]}
        answers = [await post(fake, body) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [500, 429, 200]
        assert answers[1].headers["retry-after"] == "3"


async def test_what_a_client_left_was_billed_as_far_as_it_was_sent(tmp_path):
    journal = tmp_path / "journal"
    reply = Reply(text="w " * 1000, gap=0.005)
    async with fake_openai(answer=lambda body: reply, journal=journal) as fake:
        body = {"model": "m", "messages": [USER], "stream": True}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, fake, body)
            while not (fake.ledger and fake.ledger[0].tokens):  # noqa: ASYNC110 -- a count
                await trio.sleep(0.005)
            nursery.cancel_scope.cancel()
        with trio.fail_after(60):
            await fake.wait_for(
                lambda: [each.outcome for each in fake.ledger] == ["left"]
            )
        entry = fake.ledger[0]
        assert 0 < entry.tokens < 1000
        begun, ended = map(json.loads, journal.read_text().splitlines())
        assert (begun["outcome"], begun["body"]) == ("open", body)
        assert (ended["outcome"], ended["tokens"]) == ("left", entry.tokens)


@pytest.mark.slow
@pytest.mark.parametrize("fake", [FakeOpenAI, FakeAnthropic])
async def test_as_a_process_it_prints_its_address_and_keeps_a_ledger(tmp_path, fake):
    journal = tmp_path / "journal"
    module = fake.__module__
    command = [sys.executable, "-m", module, "--tokens", "3", "--ledger", str(journal)]
    async with trio.open_nursery() as nursery:
        read, write = os.pipe()
        process = await nursery.start(
            partial(trio.run_process, command, stdout=write, check=False)
        )
        os.close(write)
        async with trio.lowlevel.FdStream(read) as output:
            line = bytearray()
            while not line.endswith(b"\n"):
                line += await output.receive_some(100)
        base = line.decode().strip()
        headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
            root = base.removesuffix("/v1")
            await client.post(root + "/__fail", json=["rate_limit"])
            body = {"model": "m", "max_tokens": 9, "messages": [USER]}
            for status in (429, 200):
                response = await client.post(root + fake.path, json=body)
                assert response.status_code == status
            lines = (await client.get(root + "/__ledger")).text.splitlines()
            await client.post(root + "/__forget")
            assert (await client.get(root + "/__ledger")).text == ""
        assert [json.loads(line)["outcome"] for line in lines] == [
            "refused",
            "complete",
        ]
        assert len(journal.read_text().splitlines()) == 4
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
