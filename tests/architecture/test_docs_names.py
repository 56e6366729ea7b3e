"""What README and docs name is there: commands, keys of the configuration, methods."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest
import yaml

from beamclaw.cli.parser import VERBS, build
from beamclaw.cli.verbs import Usage
from beamclaw.config import Config
from beamclaw.config.document import parse
from beamclaw.config.including import taken_together
from beamclaw.config.reference import EXAMPLES, keys
from beamclaw.config.secret_forms import Form
from beamclaw.config.structure import structure
from beamclaw.contracts.points import POINTS
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.methods.table import METHODS
from scripts.methods import why_absent
from tests.support.documents import PAGES, blocks, name, named, prose, typed

# Dotted names that begin like a key and are something else.
OTHERS = {
    "agents.md": "a file",
    "ledger.db": "a file",
    "telemetry.attach": "Elixir's",
}
# What stands behind the program's name in a text and is no command.
SAID = {"ready", "…"}
# Under these a person chooses names.
CHOSEN = {
    "agents": "main",
    "providers": "demo",
    "skills.entries": "NAME",
    "hooks.mappings": "NAME",
}


# --- commands


def test_a_command_that_a_reader_types_is_one():
    assert list(mistyped([(name(p), words) for p in PAGES for words in typed(p)])) == []


def mistyped(commands: list[tuple[str, list[str]]]) -> Iterator[str]:
    """What the parser says of those that are wrong."""
    parser = build()
    for page, words in commands:
        try:
            _, rest = parser.parse_known_args(words)
        except Usage as error:
            yield f"{page}: {' '.join(words)}: {error}"
            continue
        # argparse leaves over the words of a message behind an option.
        if any(word.startswith("-") for word in rest):
            yield f"{page}: {' '.join(words)}: {rest}"


def test_a_command_that_a_text_names_is_there():
    commands = [(name(page), words) for page in PAGES for words in named(page)]
    assert len(commands) > 50
    assert list(misnamed(commands)) == []


def misnamed(commands: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Those without such a verb, or without such an option of it."""
    verbs = {verb.name: verb for verb in VERBS}
    groups = {verb.partition(" ")[0] for verb in verbs}
    for page, words in commands:
        found = verbs.get(" ".join(words[:2])) or verbs.get(words[0])
        known = {n for option in found.options for n in option.names} if found else ()
        options = {word for word in words if word.startswith("-")}
        is_group = words[0] in groups and len(words) == 1
        if not (found or is_group or words[0] in SAID) or options - {*known, "--help"}:
            yield f"{page}: beamclaw {' '.join(words)}"


@pytest.mark.parametrize(
    "line", ["config chek", "statsu", "logs --folow", "run --tree"]
)
def test_one_that_is_not_there_is_found(line: str):
    assert list(mistyped([("page", line.split())]))
    assert list(misnamed([("page", line.split())]))


# --- the configuration


def known_keys() -> frozenset[str]:
    """Every key of the schema, with the examples for chosen names."""
    paths = {key.path for key in keys(Config())}
    for at, (example, value) in EXAMPLES.items():
        paths |= {f"{at}.{example}.{key.path}" for key in keys(value)}
    return frozenset(paths)


def is_key(dotted: str, known: frozenset[str]) -> bool:
    """Whether this is one; names that a person chooses may be any."""
    parts = dotted.split(".")
    for at, example in CHOSEN.items():
        depth = at.count(".") + 1
        if ".".join(parts[:depth]) == at and len(parts) > depth:
            parts[depth] = example
    return ".".join(parts) in known


def test_a_key_that_a_text_names_is_there():
    known = known_keys()
    tops = {path.partition(".")[0] for path in known}
    dotted = re.compile(r"`([a-z_]+(?:\.[\w<>-]+)+)(?:\[\d*\])?`")
    wrong = [
        f"{name(page)}: {found}"
        for page in PAGES
        for found in dotted.findall(prose(page))
        if found.partition(".")[0] in tops
        and not is_key(found, known)
        and found not in {*METHODS, *POINTS, *OTHERS}
        and not why_absent(found)
    ]
    assert wrong == []


def test_a_key_that_is_not_there_is_found():
    known = known_keys()
    assert is_key("gateway.port", known)
    assert is_key("agents.research.limits.day.cost", known)
    assert is_key("providers.<name>.models", known)
    assert not is_key("gateway.prot", known)
    assert not is_key("agents.research.limit", known)


def test_a_configuration_that_is_shown_has_keys_that_are_there():
    wrong: list[str] = []
    for page in PAGES:
        for text in configurations(page):
            wrong += [f"{name(page)}: {problem}" for problem in problems(text)]
    assert wrong == []


def configurations(page: Path) -> Iterator[str]:
    """The blocks of YAML whose keys are those of a configuration."""
    tops = {field.name for field in attrs.fields(Config)}
    for text in blocks(page, "yaml"):
        value = yaml.safe_load(text)
        if isinstance(value, Mapping) and tops.issuperset(value):
            yield text


def problems(text: str) -> list[str]:
    """What is wrong with a configuration, but for what only the whole of it can be."""
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "k" * 32)
    tree, errors = parse(text, "yaml", variables)
    whole = taken_together(tree, Path("yaml"), variables, _included)
    _, wrong, unknown = structure(whole.tree, Config, Path(), _secret)
    found = (*errors, *whole.problems, *wrong, *unknown)
    return [str(problem) for problem in found]


def _included(file: Path) -> str:
    """Nobody knows what stands there; a page shows it as a file of its own."""
    del file
    return ""


def _secret(form: Form) -> Secret:
    return Secret(f"of {form}")


def test_a_key_that_is_wrong_in_one_is_found():
    assert problems("gateway: {port: 1}") == []
    assert problems("gateway: {prot: 1}")
