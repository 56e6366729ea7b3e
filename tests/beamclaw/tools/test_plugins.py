"""Packages of others: what they bring is used, and what is wrong with them stays theirs."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.installed import TOOLS, Found, found
from beamclaw.config.loader import load
from beamclaw.config.problems import ConfigError
from beamclaw.contracts.messages import said
from beamclaw.contracts.providers import ModelRequest, ProviderError, TextDelta
from beamclaw.providers import connect
from beamclaw.providers import load_plugins as load_providers
from beamclaw.tools.plugins import gather, load_plugins
from tests.support.orders import order

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "beamclaw-dice"

MODULE = '''
from beamclaw.toolkit import tool

@tool(effect="pure")
async def lamp() -> str:
    """Say whether it is on."""
    return "on"

@tool(effect="pure")
async def lamp_colour() -> str:
    """Say its colour."""
    return "red"

@tool(effect="pure", name="exec")
async def taken() -> str:
    """Be what there is."""
    return ""

@tool(effect="pure", name="other")
async def other() -> str:
    """Be called otherwise."""
    return ""

@tool(effect="pure", name="lamp_ü")
async def strange() -> str:
    """Have a strange name."""
    return ""

@tool(effect="pure")
async def lamp_odd(a: complex) -> str:
    """Have a strange type."""
    return ""

class Empty:
    pass

class Broken:
    def __init__(self):
        raise RuntimeError("no bulb")

both = (lamp.tool(), lamp_colour.tool())
number = 7
'''


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "lampmodule.py").write_text(MODULE)
    (tmp_path / "notthere.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("lampmodule", "notthere", "leaves"):
        sys.modules.pop(name, None)


def entry(value: str, name: str = "lamp", package: str = "lamps") -> Any:
    return {name: (Found(TOOLS, name, package, value),)}


@pytest.mark.parametrize(
    "value, expected",
    [
        ("lampmodule:lamp", ["lamp"]),
        ("lampmodule:both", ["lamp", "lamp_colour"]),
    ],
)
def test_what_a_package_brings_is_there(modules: Path, value: str, expected: list[str]):
    plugins = gather(entry(value), ())
    assert (list(plugins.tools), list(plugins.faults)) == (expected, [])
    assert {tool.spec.source for tool in plugins.tools.values()} == {"lamps"}


@pytest.mark.parametrize(
    "value, words",
    [
        (
            "notthere",
            "notthere of the package lamps cannot be imported: ModuleNotFoundError: No",
        ),
        ("leaves", "cannot be imported: SystemExit: 3"),
        ("lampmodule:nothing", "cannot be imported: AttributeError"),
        ("lampmodule:Empty", "has no tools"),
        ("lampmodule:number", "has no tools"),
        ("lampmodule:Broken", "cannot be told to a model: RuntimeError: no bulb"),
        ("lampmodule:taken", "calls a tool 'exec', and there is one"),
        ("lampmodule:other", "have to be called that, or lamp_ and something"),
        ("lampmodule:strange", "which no provider takes"),
        ("lampmodule:lamp_odd", "is no type of an argument"),
    ],
)
def test_a_package_at_fault_is_left_out_in_words(modules: Path, value: str, words: str):
    plugins = gather({**entry(value), **entry("lampmodule:lamp", "lamp2")}, {"exec"})
    faults = [fault for fault in plugins.faults if fault.name == "lamp"]
    assert len(faults) == 1
    assert words in faults[0].words


def test_two_packages_of_one_name_are_both_left_out(modules: Path):
    twice = (*entry("lampmodule:lamp")["lamp"], *entry("x:y", package="other")["lamp"])
    plugins = gather({"lamp": twice}, ())
    assert not plugins.tools
    assert "lamps and other both bring 'lamp'" in plugins.faults[0].words


# --- the example of the documentation, as if it was installed


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "beamclaw_dice-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: beamclaw-dice\n")
    (about / "entry_points.txt").write_text(
        "[beamclaw.tools]\ndice = beamclaw_dice.tools:Dice\n"
        "[beamclaw.providers]\nparrot = beamclaw_dice.parrot:connect\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)


async def test_the_example_has_tools(example: None):
    assert "dice" in found(TOOLS)
    plugins = load_plugins()
    dice = plugins.tools["dice"]
    assert {"dice", "dice_statistics"} <= {*plugins.tools}
    output = await dice.run(order(sides=2, times=50))
    assert {*output.text.split(", ")} <= {"1", "2"}
    assert (await plugins.tools["dice_statistics"].run(order())).text.startswith("{")


async def test_the_example_has_a_provider(example: None, tmp_path: Path):
    file = tmp_path / "b.yaml"
    file.write_text("providers: {polly: {api: parrot, default_model: grey}}")
    config = load({}, file=file, data=tmp_path).config
    assert config.providers["polly"].chosen_model == "grey"
    plugins = load_providers(config)
    provider = connect("polly", config.providers["polly"], 0, plugins)
    request = ModelRequest(model="grey", messages=(said("user", "hello"),))
    async with provider.stream(request) as events:
        first = await anext(aiter(events))
    assert first == TextDelta("Squawk! hello")


async def test_a_provider_that_cannot_be_imported_says_so_in_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    about = tmp_path / "broken-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\n")
    (about / "entry_points.txt").write_text(
        "[beamclaw.providers]\nruined = not_there_at_all:connect\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "b.yaml"
    file.write_text("providers: {x: {api: ruined, default_model: m}}")
    config = load({}, file=file, data=tmp_path).config
    plugins = load_providers(config)
    provider = connect("x", config.providers["x"], 0, plugins)
    request = ModelRequest(model="m", messages=(said("user", "hello"),))
    with pytest.raises(ProviderError, match="provider x: not_there_at_all:connect of"):
        async with provider.stream(request):
            pass
    assert plugins.faults[0].package == "broken"
    await provider.aclose()


def test_a_provider_that_nobody_speaks_is_a_mistake_in_the_configuration(
    example: None, tmp_path: Path
):
    file = tmp_path / "b.yaml"
    file.write_text("providers: {polly: {api: parot}, x: {api: parrot}}")
    with pytest.raises(ConfigError) as error:
        load({}, file=file, data=tmp_path)
    words = [problem.message for problem in error.value.problems]
    assert words == [
        'expected one of openai, anthropic, demo, parrot, found the text "parot"; did you mean parrot?',
        "is missing; nobody knows one for api: parrot",
    ]
