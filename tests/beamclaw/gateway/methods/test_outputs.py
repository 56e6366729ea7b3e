"""What is proved: a client that may read sees what a tool said at length, in parts."""

from pathlib import Path

import attrs

from beamclaw.config.schema import ProviderConfig, ToolsConfig
from tests.beamclaw.gateway.methods.conftest import configuration, port, said
from tests.beamclaw.gateway.methods.test_sessions import begun, ok, refused
from tests.beamclaw.gateway.socket.talk import connected
from tests.support.inside import open_inside

KEY = "agent:main:main"
SCRIPT = """
- match: long
  calls: [[{tool: agents_list, arguments: {}}]]
  reply: done
"""


async def test_an_output_is_read_in_parts_to_its_end(tmp_path: Path):
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    config = configuration(tmp_path / "data", tools=ToolsConfig(max_result=20))
    demo = attrs.evolve(config.providers["demo"], script=script)
    assert isinstance(demo, ProviderConfig)
    config = attrs.evolve(config, providers={"demo": demo})
    async with open_inside(config, toolbox=None) as node:
        await node.url()
        async with connected(port()) as talk:
            await begun(talk)
            run = await said(talk, KEY, "long", "k1")
            found = await ok(talk, "chat.history", {"sessionKey": "main"})
            assert f"kept as output {run}/call_" in str(found["messages"])
            output = str(found["messages"]).split("kept as output ")[1].split(",")[0]
            asked = {"output": output, "limit": 100}
            parts = [await ok(talk, "beamclaw.output", asked)]
            while "nextOffset" in parts[-1]:
                more = {**asked, "offset": parts[-1]["nextOffset"]}
                parts.append(await ok(talk, "beamclaw.output", more))
            text = "".join(part["text"] for part in parts)
            assert len(parts) > 1
            assert len(text) == parts[0]["kept"] == parts[0]["length"]
            assert '"agents"' in text
            assert {(part["sessionKey"], part["runId"]) for part in parts} == {
                (KEY, run)
            }
            await ok(talk, "sessions.delete", {"key": "main"})
            error = await refused(talk, "beamclaw.output", asked)
            assert error["details"]["reason"] == "not_found"


async def test_who_may_not_read_sees_none(start):
    async with start(), connected(port(), scopes=["operator.approvals"]) as talk:
        error = await refused(talk, "beamclaw.output", {"output": "r/c"})
    assert error["details"]["missingScope"] == "operator.read"
