"""The methods on agents and what they have, over a real socket of a real node."""

from pathlib import Path

import attrs
import pytest

from beamclaw.config.schema import ProviderConfig
from beamclaw.gateway.errors import MethodError
from beamclaw.gateway.methods.agents import id_of
from tests.beamclaw.gateway.edge import TOKEN
from tests.beamclaw.gateway.methods.conftest import port
from tests.beamclaw.gateway.socket.talk import connected


async def ok(talk, method, params=None):
    answer = await talk.call(method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def refused(talk, method, params=None):
    answer = await talk.call(method, params)
    assert not answer["ok"], answer
    return answer["error"]


async def test_the_agents_are_listed(talk):
    found = await ok(talk, "agents.list")
    assert (found["defaultId"], found["mainKey"]) == ("main", "main")
    main, bob = found["agents"]
    assert (main["id"], main["name"]) == ("main", "Claw")
    assert main["model"]["primary"] == "demo/demo"
    assert bob["name"] == "bob"


@pytest.mark.parametrize(
    "params, agent, name, source",
    [
        ({}, "main", "Claw", "config"),
        ({"agentId": "bob"}, "bob", "bob", "default"),
        ({"sessionKey": "agent:bob:main"}, "bob", "bob", "default"),
        ({"sessionKey": "main"}, "main", "Claw", "config"),
    ],
)
async def test_who_an_agent_is(talk, params, agent, name, source):
    found = await ok(talk, "agent.identity.get", params)
    assert (found["agentId"], found["name"], found["nameSource"]) == (
        agent,
        name,
        source,
    )


async def test_there_is_no_such_agent(talk):
    for method, params in (
        ("agent.identity.get", {"agentId": "nobody"}),
        ("agent.identity.get", {"sessionKey": "agent:nobody:main"}),
        ("agents.files.list", {"agentId": "nobody"}),
        ("models.list", {"agentId": "nobody"}),
        ("commands.list", {"agentId": "nobody"}),
        ("tools.catalog", {"agentId": "nobody"}),
        ("tools.effective", {"sessionKey": "agent:nobody:main"}),
        ("skills.status", {"agentId": "nobody"}),
    ):
        error = await refused(talk, method, params)
        assert "there is no agent 'nobody'" in error["message"]


async def ids(talk) -> list[str]:
    return [agent["id"] for agent in (await ok(talk, "agents.list"))["agents"]]


async def test_agents_are_made_changed_and_taken_away(start, tmp_path: Path):
    file = tmp_path / "beamclaw.yaml"
    file.write_text(f"gateway: {{port: 0, auth: {{token: {TOKEN}}}}}\n")
    async with start(file=file), connected(port()) as talk:
        made = await ok(talk, "agents.create", {"name": "Carl Two", "model": "demo"})
        assert made["agentId"] == "carl-two"
        assert made["workspace"].endswith("workspaces/carl-two")
        assert await ids(talk) == ["main", "carl-two"]
        text = file.read_text()
        assert "carl-two" in text
        assert "main" in text
        error = await refused(talk, "agents.create", {"name": "carl two"})
        assert "already" in error["message"]
        changed = {"agentId": "carl-two", "name": "Carl", "model": None}
        assert (await ok(talk, "agents.update", changed))["ok"]
        parsed = (await ok(talk, "config.get"))["parsed"]
        assert parsed["agents"]["carl-two"] == {"name": "Carl"}
        gone = await ok(talk, "agents.delete", {"agentId": "carl-two"})
        assert gone["ok"]
        assert "carl-two" not in file.read_text()
        assert await ids(talk) == ["main"]  # what the file says holds, and no more


async def test_agents_of_an_included_file_are_known_and_left_to_who_writes_it(
    start, tmp_path: Path
):
    file, part = tmp_path / "beamclaw.yaml", tmp_path / "agents.yaml"
    file.write_text(
        f"gateway: {{port: 0, auth: {{token: {TOKEN}}}}}\n"
        "agents: {$include: agents.yaml}\n"
    )
    part.write_text("carl: {name: Carl}\n")
    async with start(file=file), connected(port()) as talk:
        assert await ids(talk) == ["carl", "main"]
        error = await refused(talk, "agents.create", {"name": "carl"})
        assert "already" in error["message"]
        for method, params in (
            ("agents.update", {"agentId": "carl", "name": "Carla"}),
            ("agents.delete", {"agentId": "carl"}),
        ):
            error = await refused(talk, method, params)
            assert f"stands in {part}:1" in error["message"]
            assert error["details"]["code"] == "CONFIG_INCLUDED"
        assert (await ok(talk, "agents.create", {"name": "Dora"}))["ok"]
        assert set(await ids(talk)) == {"carl", "main", "dora"}
        assert (await ok(talk, "config.get"))["included"] == [str(part)]
    assert part.read_text() == "carl: {name: Carl}\n"
    assert "$include: agents.yaml" in file.read_text()


@pytest.mark.parametrize(
    "method, params, words",
    [
        ("agents.create", {"name": "!!!"}, "no id can be made"),
        ("agents.create", {"name": "bob"}, "already"),
        ("agents.create", {"name": "x", "emoji": "o"}, "no emoji"),
        ("agents.create", {"name": "x", "model": "no/such"}, "no provider 'no'"),
        ("agents.update", {"agentId": "nobody", "name": "x"}, "there is no agent"),
        ("agents.update", {"agentId": "bob"}, "say what to change"),
        ("agents.delete", {"agentId": "main"}, "stays"),
        ("agents.delete", {"agentId": "nobody"}, "there is no agent"),
        ("agents.delete", {"agentId": "bob", "deleteFiles": True}, "not deleted here"),
        ("agents.create", {}, "invalid agents.create params: "),
    ],
)
async def test_what_cannot_be_done_with_agents(talk, method, params, words):
    error = await refused(talk, method, params)
    assert error["code"] == "INVALID_REQUEST"
    assert words in error["message"]


def test_ids_are_made_of_names():
    assert id_of("Ärger & Söhne 2") == "rger-s-hne-2"
    with pytest.raises(MethodError):
        id_of("__proto__"[:2])


async def test_the_files_of_an_agent_are_shown(talk, start, tmp_path: Path):
    folder = tmp_path / "data" / "workspace"
    found = await ok(talk, "agents.files.list", {"agentId": "main"})
    assert found["workspace"] == str(folder)
    names = {file["name"]: file for file in found["files"]}
    assert names["AGENTS.md"]["missing"] is False
    assert names["MEMORY.md"]["missing"] is True
    (folder / "USER.md").write_text("likes tea\n")
    params = {"agentId": "main", "name": "USER.md"}
    file = (await ok(talk, "agents.files.get", params))["file"]
    assert (file["content"], file["size"]) == ("likes tea\n", 10)
    params["name"] = "MEMORY.md"
    file = (await ok(talk, "agents.files.get", params))["file"]
    assert "content" not in file
    params["name"] = "../../secret"
    error = await refused(talk, "agents.files.get", params)
    assert error["message"].startswith("unsupported file")


async def test_a_file_that_leads_out_is_not_shown(talk, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("of somebody else")
    link = tmp_path / "data" / "workspace" / "MEMORY.md"
    await ok(talk, "agents.files.list", {"agentId": "main"})
    link.symlink_to(secret)
    error = await refused(
        talk, "agents.files.get", {"agentId": "main", "name": "MEMORY.md"}
    )
    assert "cannot be read" in error["message"]


async def test_a_file_of_an_agent_is_set_and_told(talk, tmp_path: Path):
    folder = tmp_path / "data" / "workspace"
    await ok(talk, "agents.files.list", {"agentId": "main"})
    params = {"agentId": "main", "name": "MEMORY.md", "content": "likes tea\n"}
    found = await ok(talk, "agents.files.set", params)
    assert found["file"] == {
        "name": "MEMORY.md",
        "path": f"{folder}/MEMORY.md",
        "missing": False,
        "size": 10,
        "content": "likes tea\n",
    }
    assert (folder / "MEMORY.md").read_text() == "likes tea\n"
    params = {"agentId": "main", "name": "MEMORY.md"}
    assert (await ok(talk, "agents.files.get", params))["file"] == found["file"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"agentId": "nobody", "name": "SOUL.md"}, "there is no agent"),
        ({"name": "../beamclaw.yaml"}, "unsupported file"),
        ({"name": "skills/x/SKILL.md"}, "unsupported file"),
        ({"name": "SOUL.md", "content": "x" * 262_145}, "workspace.set_bytes"),
        ({"name": "USER.md"}, "link"),
        ({"name": "SOUL.md", "content": None}, "content"),
    ],
)
async def test_what_may_not_be_set_stays_as_it_is(talk, tmp_path: Path, params, words):
    folder = tmp_path / "data" / "workspace"
    await ok(talk, "agents.files.list", {"agentId": "main"})
    soul = (folder / "SOUL.md").read_text()
    (folder / "USER.md").unlink()
    (folder / "USER.md").symlink_to(tmp_path / "elsewhere")
    given = {"agentId": "main", "content": "mine", **params}
    error = await refused(talk, "agents.files.set", given)
    assert error["code"] == "INVALID_REQUEST"
    assert words in error["message"]
    assert (folder / "SOUL.md").read_text() == soul
    assert not (tmp_path / "elsewhere").exists()


async def test_who_may_only_talk_sets_no_file(start, tmp_path: Path):
    params = {"agentId": "main", "name": "SOUL.md", "content": "mine"}
    async with start(), connected(port(), scopes=["operator.write"]) as talk:
        error = await refused(talk, "agents.files.set", params)
    assert error["code"] == "FORBIDDEN"


async def test_the_models_are_listed(talk):
    found = (await ok(talk, "models.list"))["models"]
    assert [(each["provider"], each["id"]) for each in found] == [("demo", "demo")]
    assert found[0]["available"] is True
    assert found[0]["contextWindow"] > 0


@pytest.mark.parametrize(
    ("provider", "local"),
    [
        (ProviderConfig(), True),
        (ProviderConfig(api="openai"), False),
        (ProviderConfig(api="openai", base_url="http://127.0.0.1:9/v1"), True),
        (ProviderConfig(api="openai", base_url="http://localhost/v1"), True),
        (ProviderConfig(api="openai", base_url="https://example.org/v1"), False),
    ],
)
async def test_of_a_provider_it_is_known_whether_it_is_on_this_machine(
    start, provider, local
):
    own = attrs.evolve(provider, default_model="m")
    providers = {"demo": ProviderConfig(delay=0.0), "own": own}
    async with start(providers=providers), connected(port()) as talk:
        given = {"provider": "own", "includeDetails": True}
        (found,) = (await ok(talk, "models.list", given))["models"]
        assert (found["id"], found["local"]) == ("m", local)
        (plain,) = (await ok(talk, "models.list", {"provider": "own"}))["models"]
        assert "local" not in plain


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"provider": "nobody"}, "there is no provider 'nobody'; providers: demo"),
        ({"preparedOnly": True, "refresh": True}, "exclude each other"),
    ],
)
async def test_a_list_of_models_that_cannot_be_is_refused(talk, params, words):
    assert words in (await refused(talk, "models.list", params))["message"]


async def test_what_may_be_said_behind_a_slash(talk, tmp_path: Path):
    skill = tmp_path / "data" / "workspace" / "skills" / "brew"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(
        "---\nname: brew\ndescription: Makes tea.\n---\nBoil water.\n"
    )
    found = (await ok(talk, "commands.list"))["commands"]
    assert (await ok(talk, "commands.list", {"scope": "text"}))["commands"] == found
    assert await ok(talk, "commands.list", {"scope": "native"}) == {"commands": []}
    names = {each["name"]: each for each in found}
    assert names["new"]["source"] == "native"
    assert names["brew"]["source"] == "skill"
    assert names["brew"]["textAliases"] == ["/brew"]
    status = await ok(talk, "skills.status", {"agentId": "main"})
    (brew,) = [each for each in status["skills"] if each["name"] == "brew"]
    assert (brew["eligible"], brew["source"]) == (True, "workspace")
    assert brew["baseDir"] == str(skill)


async def test_a_node_without_tools_has_none(talk):
    assert (await ok(talk, "tools.catalog"))["groups"] == []


async def test_the_tools_of_an_agent(start):
    async with start(tools=True), connected(port()) as talk:
        found = await ok(talk, "tools.catalog", {"agentId": "main"})
        groups = {group["id"]: group for group in found["groups"]}
        tools = {tool["id"]: tool for tool in groups["fs"]["tools"]}
        assert groups["fs"]["source"] == tools["read"]["source"] == "core"
        assert tools["read"]["risk"] == "low"
        assert tools["read"]["defaultProfiles"] == ["coding", "full"]
        assert "\n" not in tools["read"]["description"]
        found = await ok(talk, "tools.effective", {"sessionKey": "main"})
        assert found["agentId"] == "main"
        (core,) = found["groups"]
        assert "read" in {tool["id"] for tool in core["tools"]}


@pytest.mark.parametrize(
    "method, params",
    [
        ("agents.list", {}),
        ("agent.identity.get", {}),
        ("agents.files.list", {"agentId": "main"}),
        ("agents.files.get", {"agentId": "main", "name": "USER.md"}),
        ("models.list", {}),
        ("commands.list", {}),
        ("tools.catalog", {}),
        ("tools.effective", {"sessionKey": "main"}),
        ("skills.status", {}),
    ],
)
async def test_who_may_not_look(start, method, params):
    async with start(), connected(port(), scopes=["operator.approvals"]) as talk:
        error = await refused(talk, method, params)
        assert error["details"]["missingScope"] == "operator.read"


@pytest.mark.parametrize(
    "method, params",
    [
        ("agents.create", {"name": "x"}),
        ("agents.update", {"agentId": "main", "name": "x"}),
        ("agents.delete", {"agentId": "bob"}),
    ],
)
async def test_who_may_not_change(start, method, params):
    async with start(), connected(port(), scopes=["operator.write"]) as talk:
        error = await refused(talk, method, params)
        assert error["details"]["missingScope"] == "operator.admin"
