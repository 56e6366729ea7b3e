"""What is proved: clients read and change the configuration file, and see no secret."""

from contextlib import asynccontextmanager
from functools import partial

import pytest

import supervision
from beamclaw import bus as carrier
from beamclaw.config.current import Current
from beamclaw.config.schema import Config
from beamclaw.config.server import ConfigServer
from beamclaw.contracts.outside import InlineWorker, Outside
from supervision import ChildSpec
from tests.beamclaw.gateway.edge import running
from tests.beamclaw.gateway.socket.talk import connected

FILE = """\
# kept
agents:
  main: {model: demo}
gateway:
  port: 18790
  auth: {token: canary-in-file}
"""


@asynccontextmanager
async def talking(folder, *scopes, text: str | None = FILE):
    file = folder / "beamclaw.yaml"
    if text is not None:
        file.write_text(text)
    config = Config(data=folder, file=file)
    outside = Outside(worker=InlineWorker, wall=lambda: 1_800_000_000.0)
    writer = partial(ConfigServer, Current(config), carrier.LocalBus(), outside)
    async with running(beside=[ChildSpec("config", writer, name="config")]) as node:
        given = list(scopes) or ["operator.admin"]
        async with connected(node.port, scopes=given) as talk:
            yield talk, file


async def test_the_file_is_shown_without_its_secrets(tmp_path):
    async with talking(tmp_path, "operator.read") as (talk, file):
        shown = (await talk.call("config.get"))["payload"]
    assert shown["path"] == str(file)
    assert shown["exists"]
    assert shown["valid"]
    assert shown["parsed"]["gateway"]["port"] == 18790
    assert "canary-in-file" not in str(shown)
    assert "# kept" in shown["raw"]
    assert len(shown["hash"]) == 64


async def test_a_patch_changes_one_key_and_says_when_it_holds(tmp_path):
    async with talking(tmp_path) as (talk, file):
        base = (await talk.call("config.get"))["payload"]["hash"]
        given = {"raw": "{gateway: {port: 18791}}", "baseHash": base, "note": "moved"}
        written = (await talk.call("config.patch", given))["payload"]
        port = {"path": "gateway.port", "before": 18789, "after": 18791}
        assert port in written["changes"]
        assert written["holds"] == "now"
        assert written["left"] == []
        assert written["restart"] == {"scheduled": False, "required": False}
        told = (await talk.event("config.changed"))["payload"]
        again = (await talk.call("config.get"))["payload"]
    assert again["hash"] == written["hash"] != base
    assert again["waiting"] == []
    at = 1_800_000_000_000
    assert told == {"path": str(file), "hash": written["hash"], "ts": at}
    assert "# kept" in file.read_text()
    assert "port: 18791" in file.read_text()


async def test_a_secret_that_stands_elsewhere_is_read_again(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary-one")
    own = f"{{own: {{api: openai, api_key: {{command: [cat, {secret}]}}}}}}"
    text = f"providers: {own}\nstrange: 1\n"
    async with talking(tmp_path, text=text) as (talk, _):
        assert (await talk.call("secrets.reload"))["payload"]["ok"]
        assert key_of_own() == "canary-one"
        secret.write_text("canary-two")
        found = await talk.call("secrets.reload")
        assert found["payload"] == {"ok": True, "warningCount": 1}
        assert key_of_own() == "canary-two"
        assert "canary" not in str(found)
        secret.unlink()
        error = (await talk.call("secrets.reload"))["error"]
        assert error["details"]["code"] == "CONFIG_INVALID"
        assert "providers.own.api_key" in error["message"]
        # What cannot be read any more goes on to hold.
        assert key_of_own() == "canary-two"


def key_of_own() -> str:
    entry = supervision.lookup("config")
    assert entry is not None
    assert isinstance(entry.value, Config)
    (key,) = entry.value.providers["own"].keys
    return key.reveal()


async def test_who_may_only_talk_reads_no_secret_again(tmp_path):
    async with talking(tmp_path, "operator.write") as (talk, _):
        error = (await talk.call("secrets.reload"))["error"]
    assert error["details"]["missingScope"] == "operator.admin"


async def test_what_is_there_is_replaced_only_by_who_has_read_it(tmp_path):
    async with talking(tmp_path) as (talk, file):
        for method in ("config.set", "config.apply", "config.patch"):
            error = (await talk.call(method, {"raw": "gateway: {port: 1}"}))["error"]
            assert error["code"] == "INVALID_REQUEST"
            assert error["details"]["code"] == "CONFIG_BASE_REQUIRED"
            given = {"raw": "gateway: {port: 1}", "baseHash": "0" * 64}
            error = (await talk.call(method, given))["error"]
            assert error["details"]["code"] == "CONFIG_STALE"
    assert file.read_text() == FILE


async def test_a_file_that_is_not_there_needs_no_base(tmp_path):
    async with talking(tmp_path, text=None) as (talk, file):
        assert not (await talk.call("config.get"))["payload"]["exists"]
        answer = await talk.call("config.set", {"raw": "gateway: {port: 18791}\n"})
        assert answer["ok"], answer
    assert file.read_text() == "gateway: {port: 18791}\n"


@pytest.mark.parametrize(
    "method, raw, code",
    [
        ("config.set", "gateway: {prot: 3}\n", "CONFIG_INVALID"),
        ("config.apply", "gateway: {port: x}\n", "CONFIG_INVALID"),
        (
            "config.set",
            "gateway: {auth: {token: __OPENCLAW_REDACTED__}}\n",
            "CONFIG_REDACTED",
        ),
        ("config.patch", "{gateway: [", "CONFIG_UNREADABLE"),
        ("config.patch", '{"gateway": {"port": 99999}}', "CONFIG_INVALID"),
    ],
)
async def test_what_a_node_would_not_start_with_is_refused(tmp_path, method, raw, code):
    async with talking(tmp_path) as (talk, file):
        base = (await talk.call("config.get"))["payload"]["hash"]
        error = (await talk.call(method, {"raw": raw, "baseHash": base}))["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert error["details"]["code"] == code
    if code == "CONFIG_INVALID":
        assert error["details"]["issues"][0]["path"].startswith("gateway.")
    assert file.read_text() == FILE


async def test_a_disk_that_cannot_be_read_is_no_fault_of_the_request(tmp_path):
    async with talking(tmp_path, text=None) as (talk, file):
        file.mkdir()
        error = (await talk.call("config.get"))["error"]
    assert error["code"] == "UNAVAILABLE"
    assert error["retryable"]


async def test_the_schema_is_told_whole_and_by_key(tmp_path):
    async with talking(tmp_path, "operator.read") as (talk, _):
        whole = (await talk.call("config.schema"))["payload"]
        assert whole["generatedAt"] == "2027-01-15T08:00:00.000Z"
        assert whole["uiHints"]["gateway.auth.token"]["sensitive"]
        port = await talk.call("config.schema.lookup", {"path": "gateway.port"})
        root = await talk.call("config.schema.lookup", {"path": "."})
        model = await talk.call("config.schema.lookup", {"path": "agents.*"})
        none = await talk.call("config.schema.lookup", {"path": "gateway.prot"})
    assert port["payload"]["schema"]["maximum"] == 65535
    assert port["payload"]["reloadKind"] == "restart"
    assert port["payload"]["children"] == []
    assert {"gateway", "agents"} <= {row["key"] for row in root["payload"]["children"]}
    assert "properties" not in root["payload"]["schema"]
    below = {row["path"] for row in model["payload"]["children"]}
    assert "agents.*.model" in below
    assert none["error"]["details"]["code"] == "CONFIG_PATH_UNKNOWN"


@pytest.mark.parametrize("method", ["config.set", "config.apply", "config.patch"])
async def test_only_who_administers_may_write(tmp_path, method):
    async with talking(tmp_path, "operator.write") as (talk, file):
        error = (await talk.call(method, {"raw": "{}"}))["error"]
    assert error["details"]["missingScope"] == "operator.admin"
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    "method", ["config.get", "config.schema", "config.schema.lookup"]
)
async def test_only_who_may_look_is_shown_it(tmp_path, method):
    async with talking(tmp_path, "operator.approvals") as (talk, _):
        error = (await talk.call(method, {"path": "gateway"}))["error"]
    assert error["details"]["missingScope"] == "operator.read"
