"""Vectors of an OpenAI-compatible provider: asked for, and read in whatever form they come."""

import base64
import struct

import attrs
import orjson
import pytest

from beamclaw.config.schema import ProviderConfig
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    EmbeddingRequest,
    Embeds,
    End,
    ProviderError,
    Vectors,
)
from beamclaw.contracts.secret import Secret
from beamclaw.providers import connect
from beamclaw.providers.connect import _failures
from beamclaw.providers.embeddings import read_vectors
from beamclaw.testing.fake_openai import Fault, fake_openai

ASKED = EmbeddingRequest(model="m", inputs=("hi", "there"))
CONFIG = ProviderConfig(api="openai", api_key=Secret("sk-canary-0123456789"))
FAILURES = _failures("openai", CONFIG, "http://127.0.0.1:9/v1")


def text(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def body(*vectors: object, **more: object) -> bytes:
    data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return orjson.dumps({"data": data, **more})


def read(raw: bytes, **more):
    vectors, usage = read_vectors(raw, attrs.evolve(ASKED, **more), FAILURES)
    return orjson.loads(vectors), usage


async def asked(fake, request=ASKED):
    config = attrs.evolve(CONFIG, base_url=fake.base_url)
    provider = connect("openai", config)
    assert isinstance(provider, Embeds)
    try:
        async with provider.embed(request) as events:
            return [event async for event in events]
    finally:
        await provider.aclose()


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("quirks", [(), ("no_base64",)])
async def test_vectors_come_in_the_form_that_was_asked_for(as_text, quirks):
    request = attrs.evolve(ASKED, base64=as_text, dimensions=3, user="ann")
    async with fake_openai() as fake:
        if quirks:
            fake.fail(Fault(quirks=frozenset(quirks)))
        vectors, end = await asked(fake, request)
        assert fake.breaches == []
    assert isinstance(vectors, Vectors)
    assert end == End("stop")
    raw, usage = vectors.read()
    expected = [[2.0, 0.5, 0.5], [5.0, 0.5, 0.5]]
    if as_text:
        assert orjson.loads(raw) == [text(*numbers) for numbers in expected]
    else:
        assert orjson.loads(raw) == expected
    assert usage == Usage(3, 0)


def test_vectors_are_in_the_order_of_the_texts_whatever_order_they_came_in():
    raw = orjson.dumps(
        {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}
    )
    assert read(raw) == ([[1], [2]], None)


def test_a_server_that_numbers_nothing_means_the_order():
    raw = orjson.dumps({"data": [{"embedding": [1]}, {"embedding": [2]}]})
    assert read(raw)[0] == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"[]", "no JSON object"),
        (b"{}", "0 vectors for 2 texts"),
        (body([1]), "1 vectors for 2 texts"),
        (body([1], [1], [1]), "3 vectors for 2 texts"),
        (body([1], []), "neither a list nor text"),
        (body([1], "!"), "no base64"),
        (body([1], "AAA="), "no whole numbers"),
        (body([1], ["1"]), "not only numbers"),
        (body([1], [True]), "not only numbers"),
        (body([1], text(float("nan"))), "a number in it is none"),
    ],
)
def test_what_are_no_vectors_is_told(raw, words):
    with pytest.raises(ProviderError, match=words) as caught:
        read(raw)
    # The provider has worked for it, and may bill that.
    assert (caught.value.kind, caught.value.unclear) == ("server", True)


def test_an_error_inside_the_answer_is_the_providers():
    raw = orjson.dumps({"error": {"message": "no such model", "code": "x"}})
    with pytest.raises(ProviderError, match="no such model"):
        read(raw)


@pytest.mark.parametrize(
    "fault, kind",
    [
        (Fault(status=429), "rate_limit"),
        (Fault(status=404, code="model_not_found"), "model_not_found"),
        (Fault(html=True), "invalid"),
    ],
)
async def test_a_refusal_is_as_that_of_an_answer(fault, kind):
    async with fake_openai() as fake:
        fake.fail(fault)
        with pytest.raises(ProviderError) as caught:
            await asked(fake)
    assert caught.value.kind == kind
