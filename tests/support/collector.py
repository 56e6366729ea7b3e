"""A strict collector of traces: what it gets has to be OTLP, letter by letter.

Decoded by the official ``opentelemetry-proto`` where that is installed; the rules beside
that (sizes of ids, times that make sense) are its own.
"""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import trio

from beamclaw.testing._http import Channel, HTTPRequest, serving

PATH = "/v1/traces"


class Collector:
    """Takes spans; *status* and *headers* are what it answers, *hangs* that it does not."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self.requests: list[HTTPRequest] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.hangs = False
        self._came = trio.Event()

    async def handle(self, request: HTTPRequest, channel: Channel) -> None:
        self.requests.append(request)
        assert request.method == "POST"
        assert request.path == PATH
        assert request.headers["content-type"] == "application/json"
        if self.hangs:
            await channel.sleep(3600)
        if self.status == 200:
            self._take(request.body)
        await channel.respond(self.status, self.body, headers=self.headers)
        self._came.set()
        self._came = trio.Event()

    async def wait(self, count: int) -> None:
        """Until so many spans are there."""
        with trio.fail_after(30):
            while len(self.spans) < count:
                await self._came.wait()

    def _take(self, body: bytes) -> None:
        decoded(body)
        for each in orjson.loads(body)["resourceSpans"]:
            self.resources.append(values(each["resource"]["attributes"]))
            for scope in each["scopeSpans"]:
                assert scope["scope"]["name"] == "beamclaw"
                self.spans += [span(made) for made in scope["spans"]]


def values(attributes: list[Any]) -> dict[str, Any]:
    """Attributes by their names, of which each stands once."""
    found: dict[str, Any] = {}
    for each in attributes:
        ((kind, value),) = each["value"].items()
        assert each["key"] not in found
        found[each["key"]] = int(value) if kind == "intValue" else value
    return found


def span(made: dict[str, Any]) -> dict[str, Any]:
    assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", made["traceId"])
    assert re.fullmatch(r"(?!0{16})[0-9a-f]{16}", made["spanId"])
    assert re.fullmatch(r"[0-9a-f]{16}", made.get("parentSpanId", "0" * 16))
    begun, ended = int(made["startTimeUnixNano"]), int(made["endTimeUnixNano"])
    assert 0 < begun <= ended
    return {**made, "attributes": values(made["attributes"])}


def decoded(body: bytes) -> Any:
    """By the official definition; ids, which OTLP writes in hexadecimal, as it wants."""
    try:
        from google.protobuf import json_format  # noqa: PLC0415 -- if it is there
        from opentelemetry.proto.collector.trace.v1 import (  # noqa: PLC0415
            trace_service_pb2,
        )
    except ImportError:
        return None

    def ids(value: Any) -> Any:
        if isinstance(value, list):
            return [ids(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64encode(bytes.fromhex(each)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else ids(each)
            for key, each in value.items()
        }

    whole = trace_service_pb2.ExportTraceServiceRequest()
    return json_format.ParseDict(ids(orjson.loads(body)), whole)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a socket."""
    collector = Collector()
    async with serving(collector.handle) as port:
        collector.url = f"http://127.0.0.1:{port}{PATH}"
        yield collector
