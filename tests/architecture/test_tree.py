"""The tree is readable twice, from folders and specs, and once more in the docs."""

import re
from pathlib import Path

import pytest

import supervision
from beamclaw.config import Config
from beamclaw.tree import outline, tree
from scripts.tree import COLUMNS, cells, drawing

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "supervision-tree.md"

# Folders of `beamclaw` that are no part of the tree, and why.
NO_PROCESS = {
    "backup": "a command beside the node",
    "agents": "an agent is a definition, not a process",
    "arguments": "what is read from models and clients: a library of tools and methods",
    "cli": "the commands, outside the node",
    "doctor": "a command beside the node",
    "contracts": "what parts may know of one another",
    "files": "tools, which work in the processes of their calls",
    "paths": "the one way from a written path to a file: a library of every tool",
    "service": "a child only where a service manager listens",
    "storage": "how the ledger and the store keep a database: a library of both",
    "toolkit": "what tools are written with: a library",
    "testing": "the fakes",
    "web": "a tool, which works in the process of its call",
}
# A child whose id is not the name of a folder, and the folder whose it is.
ELSEWHERE: dict[str, str] = {
    "notices": "commands",
    "config-watch": "config",
    "statistics": "telemetry",
}


@pytest.fixture(scope="module")
def rows():
    return outline(Config())


def folders() -> set[str]:
    inside = (ROOT / "beamclaw").iterdir()
    return {path.name for path in inside if (path / "__init__.py").is_file()}


def test_every_folder_is_a_child_somewhere_or_says_why_not(rows):
    ids = {row.path[-1].partition(":")[0] for row in rows}
    assert folders() - set(NO_PROCESS) <= ids
    assert set(NO_PROCESS) <= folders()
    assert not set(NO_PROCESS) & ids


def modules_of(supervisor: supervision.Supervisor, above: tuple[str, ...] = ()):
    """Each child that is a class of ours, with the module that has its code."""
    for spec in supervisor.children:
        path = (*above, spec.id)
        start = spec.start
        code = getattr(start, "func", start)
        yield path, code.__module__
        if spec.type == "supervisor":
            child = spec.start()
            if isinstance(child, supervision.Supervisor):
                yield from modules_of(child, path)


def test_the_module_of_a_child_lies_in_its_folder_or_its_supervisor_s():
    for path, module in modules_of(tree(Config())):
        parts = module.split(".")
        if parts[:2] == ["beamclaw", "tree"] or parts[0] == "supervision":
            continue  # the composition itself, or a plain supervisor
        names = {name.partition(":")[0] for name in path}
        assert parts[1] in names | {ELSEWHERE.get(path[-1])}, (path, module)


def fenced(text: str) -> str:
    match = re.search(r"```text\n(beamclaw .*?)\n```", text, re.DOTALL)
    assert match is not None
    return match[1]


def table(text: str) -> list[list[str]]:
    start = re.search(rf"^\| {COLUMNS[0]} \|.*\n\|[- |]+\n", text, re.MULTILINE)
    assert start is not None
    lines = text[start.end() :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_drawing_in_the_docs_is_what_just_tree_prints(rows):
    drawn = drawing(rows, tree(Config()).strategy)
    assert fenced(PAGE.read_text()) == drawn


def test_the_table_in_the_docs_is_what_the_specs_say(rows):
    written = table(PAGE.read_text())
    assert [tuple(line[:-2]) for line in written] == [cells(row) for row in rows]


def test_the_table_says_for_each_child_what_else_changes():
    for line in table(PAGE.read_text()):
        assert len(line) == len(COLUMNS) + 2
        assert line[-1], f"{line[0]}: what else changes when it is killed?"
