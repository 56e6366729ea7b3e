"""What a configuration is that includes others: the whole rule, without a disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.document import MAX_VALUES, parse
from beamclaw.config.including import (
    MAX_FILES,
    MAX_LEVELS,
    MAX_TOTAL,
    CannotInclude,
    Whole,
    includes_of,
    taken_together,
)
from beamclaw.config.writing.hiding import as_json

MAIN = Path("/etc/claw/main.yaml")
CANARY = "sk-canary-40ad"


def whole_of(
    main: str, files: Mapping[str, str], variables: Mapping[str, str] | None = None
) -> Whole:
    """*main* with *files*, by their names from its folder on."""

    def read(file: Path) -> str:
        name = str(file.relative_to(MAIN.parent))
        if name not in files:
            raise CannotInclude("cannot be read: No such file or directory")
        return files[name]

    tree, problems = parse(main, "main.yaml", variables or {})
    assert problems == []
    return taken_together(tree, MAIN, variables or {}, read)


TOGETHER: dict[str, tuple[str, dict[str, str], Any]] = {
    "no include": ("a: {b: 1}", {}, {"a": {"b": 1}}),
    "a file in the place of a mapping": (
        "a: {$include: f.yaml}",
        {"f.yaml": "b: 1\nc: {d: 2}"},
        {"a": {"b": 1, "c": {"d": 2}}},
    ),
    "a file in the place of everything": (
        "$include: f.yaml",
        {"f.yaml": "a: {b: 1}"},
        {"a": {"b": 1}},
    ),
    "of several files the later ones go before": (
        "a: {$include: [f, g, h]}",
        {"f": "x: 1\ny: 1\nz: 1", "g": "y: 2\nz: 2", "h": "z: 3"},
        {"a": {"x": 1, "y": 2, "z": 3}},
    ),
    "mappings in them are joined": (
        "$include: [f, g]",
        {"f": "a: {b: {c: 1}}", "g": "a: {b: {d: 2}}"},
        {"a": {"b": {"c": 1, "d": 2}}},
    ),
    "lists are put one behind the other": (
        "$include: [f, g]\nl: [3]",
        {"f": "l: [1]", "g": "l: [2]"},
        {"l": [1, 2, 3]},
    ),
    "keys beside go before what is included, wherever they stand": (
        "a: {b: 1, $include: f, c: {d: 1}}",
        {"f": "b: 2\nc: {d: 2, e: 2}"},
        {"a": {"b": 1, "c": {"d": 1, "e": 2}}},
    ),
    "a value goes before a mapping, and a mapping before a value": (
        "$include: f\na: 1\nb: {c: 1}",
        {"f": "a: {x: 1}\nb: 2"},
        {"a": 1, "b": {"c": 1}},
    ),
    "a key without a value says nothing": (
        "$include: f\na:\nb: ~",
        {"f": "a: {x: 1}\nb: 2"},
        {"a": {"x": 1}, "b": 2},
    ),
    "an empty file says nothing": (
        "a: {$include: [f, g, h], b: 1}",
        {"f": "", "g": "# words\n", "h": "~"},
        {"a": {"b": 1}},
    ),
    "in a list": (
        "l: [{$include: f}, 2, {b: 3, $include: f}]",
        {"f": "b: 1\nc: 1"},
        {"l": [{"b": 1, "c": 1}, 2, {"b": 3, "c": 1}]},
    ),
    "relative to the file that includes": (
        "$include: d/f.yaml",
        {"d/f.yaml": "a: {$include: e/g.yaml}", "d/e/g.yaml": "$include: ../../h.yaml"}
        | {"h.yaml": "b: 1"},
        {"a": {"b": 1}},
    ),
    "by an absolute name": (
        "$include: /etc/claw/d/../f.yaml",
        {"f.yaml": "a: 1"},
        {"a": 1},
    ),
    "one file in two places": (
        "a: {$include: f}\nb: {$include: f}",
        {"f": "c: 1"},
        {"a": {"c": 1}, "b": {"c": 1}},
    ),
    "as deep as it goes": (
        "$include: f1",
        {f"f{n}": f"$include: f{n + 1}" for n in range(1, MAX_LEVELS)}
        | {f"f{MAX_LEVELS}": "a: 1"},
        {"a": 1},
    ),
    "as many as there may be": (
        "$include: [" + ", ".join(["f"] * MAX_FILES) + "]",
        {"f": "a: 1"},
        {"a": 1},
    ),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_holds(name: str):
    main, files, wanted = TOGETHER[name]
    whole = whole_of(main, files)
    assert ([*whole.problems], whole.complete) == ([], True)
    assert as_json(whole.tree) == wanted
    assert {str(file.relative_to(MAIN.parent)) for file in whole.texts} == set(files)
    assert [*whole.files] == [*whole.texts]


WRONG: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "a missing file": (
        "a:\n  $include: f.yaml",
        {},
        [
            (
                "main.yaml:2:13: a.$include: f.yaml cannot be read: "
                "No such file or directory"
            )
        ],
    ),
    "a missing file of an included one": (
        "a: {$include: d/f.yaml}",
        {"d/f.yaml": "b:\n  $include: g.yaml"},
        [
            (
                "d/f.yaml:2:13: a.b.$include: d/g.yaml cannot be read: "
                "No such file or directory"
            )
        ],
    ),
    "a file that includes itself": (
        "a: {$include: f.yaml}",
        {"f.yaml": "$include: f.yaml"},
        ["f.yaml:1:11: a.$include: f.yaml is included by itself: f.yaml -> f.yaml"],
    ),
    "the configuration itself": (
        "$include: main.yaml",
        {},
        [
            (
                "main.yaml:1:11: $include: main.yaml is included by itself: "
                "main.yaml -> main.yaml"
            )
        ],
    ),
    "a circle": (
        "$include: d/f",
        {"d/f": "$include: ../g", "g": "$include: d/f"},
        ["g:1:11: $include: d/f is included by itself: d/f -> g -> d/f"],
    ),
    "too far away": (
        "$include: f0",
        {f"f{n}": f"$include: f{n + 1}" for n in range(20)},
        [
            (
                f"f{MAX_LEVELS - 1}:1:11: $include: f{MAX_LEVELS} is more than "
                f"{MAX_LEVELS} files away from the first"
            )
        ],
    ),
    "too many": (
        "a: {$include: [" + ", ".join(["f"] * MAX_FILES) + "]}\nb: {$include: g}",
        {"f": "", "g": ""},
        [
            (
                "main.yaml:2:15: b.$include: g is one too many: "
                f"at most {MAX_FILES} are included"
            )
        ],
    ),
    "out of the folder": (
        "$include: ../f.yaml",
        {},
        [
            (
                "main.yaml:1:11: $include: ../f.yaml is not in the folder of the "
                "configuration, /etc/claw"
            )
        ],
    ),
    "out of the folder by an absolute name": (
        "$include: /etc/claws/f.yaml",
        {},
        [
            (
                "main.yaml:1:11: $include: /etc/claws/f.yaml is not in the folder of the "
                "configuration, /etc/claw"
            )
        ],
    ),
    "out of the folder, in steps": (
        "$include: d/f",
        {"d/f": "$include: ../../g"},
        [
            (
                "d/f:1:11: $include: ../g is not in the folder of the configuration, "
                "/etc/claw"
            )
        ],
    ),
    "a list in the file": (
        "a: {$include: f}",
        {"f": "- 1\n- 2"},
        ["f:1:1: a: expected keys with values, like `gateway:`, found a list"],
    ),
    "a text in the file, which may be a secret": (
        "a: {$include: token}",
        {"token": CANARY},
        ["token:1:1: a: expected keys with values, like `gateway:`, found a text"],
    ),
    "no YAML in the file": (
        "a: {$include: f}",
        {"f": "b: [1"},
        [
            (
                "f:1:6: not valid YAML: did not find expected ',' or ']' "
                "(while parsing a flow sequence, begun in line 1)"
            )
        ],
    ),
    "too deep together": (
        "{a: " * 20 + "{$include: f}" + "}" * 20,
        {"f": "[" * 20 + "]" * 20},
        ["f:1:14: more than 100000 values or 32 levels, with repetitions by * counted"],
    ),
    "of a wrong type": (
        "a: {$include: 3}\nb: {$include: {c: 1}}\nc: {$include: true}",
        {},
        [
            (
                "main.yaml:1:15: a.$include: expected the name of a file or a list of "
                "such, found the number 3"
            ),
            (
                "main.yaml:2:15: b.$include: expected the name of a file or a list of "
                "such, found a mapping"
            ),
            (
                "main.yaml:3:15: c.$include: expected the name of a file or a list of "
                "such, found true"
            ),
        ],
    ),
    "of nothing": (
        'a: {$include: }\nb: {$include: ""}\nc: {$include: []}\nd: {$include: [f, 1]}',
        {"f": ""},
        [
            (
                "main.yaml:1:15: a.$include: expected the name of a file or a list of "
                "such, found nothing"
            ),
            (
                "main.yaml:2:15: b.$include: expected the name of a file or a list of "
                'such, found the text ""'
            ),
            (
                "main.yaml:3:15: c.$include: expected the name of a file or a list of "
                "such, found an empty list"
            ),
            (
                "main.yaml:4:19: d.$include: expected the name of a file or a list of "
                "such, found the number 1"
            ),
        ],
    ),
    "a variable in the name": (
        "a: {$include: '${SECRET}.yaml'}",
        {},
        [
            (
                "main.yaml:1:15: a.$include: a file's name is written out; no variable "
                "stands in it"
            )
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_file_line_and_key(name: str):
    main, files, wanted = WRONG[name]
    whole = whole_of(main, files, {"SECRET": CANARY})
    assert [str(problem) for problem in whole.problems] == wanted
    assert not whole.complete


def test_all_files_together_have_a_size_and_behind_it_none_is_read():
    part = "# " + "x" * (MAX_TOTAL // 4)
    five = "$include: [" + ", ".join(f"f{n}" for n in range(5)) + "]"
    read: list[str] = []

    def one(file: Path) -> str:
        read.append(file.name)
        return part

    tree, _ = parse(five, "main.yaml", {})
    whole = taken_together(tree, MAIN, {}, one)
    words = f"makes it more than {MAX_TOTAL} characters, all files together"
    assert [str(problem) for problem in whole.problems] == [
        f"main.yaml:1:24: $include: f3 {words}",
        f"main.yaml:1:28: $include: f4 {words}",
    ]
    assert not whole.complete
    assert read == ["f0", "f1", "f2", "f3"]


def test_all_files_together_have_a_number_of_values():
    half = json.dumps({"l": [0] * (MAX_VALUES // 2)})
    whole = whole_of("a: {$include: f}\nb: {$include: f}", {"f": half})
    assert [str(problem) for problem in whole.problems] == [
        (
            f"main.yaml:2:15: b.$include: f makes it more than {MAX_VALUES} values, "
            "all files together"
        )
    ]


def test_a_value_that_is_wrong_leaves_the_rest_to_be_judged():
    whole = whole_of("a: {$include: f}", {"f": "b: ${GONE}\nc: 1\nc: 2"})
    assert [str(problem) for problem in whole.problems] == [
        "f:1:4: a.b: the variable GONE is not set",
        "f:3:1: a.c: this key stands here a second time (first in line 2)",
    ]
    assert (as_json(whole.tree), whole.complete) == ({"a": {"c": 1}}, True)


def test_each_value_knows_its_file_and_its_key():
    whole = whole_of(
        "l: [{x: 1}]\na: {$include: f, c: 1}\n$include: g",
        {"f": "b: 1\nc: 2", "g": "l: [{y: [0]}, 0]"},
    )
    tree = whole.tree
    assert str(tree["a"]["b"].where) == "f:1:4"
    assert str(tree["a"]["c"].where) == "main.yaml:2:21"
    assert str(tree["a"].keys_at["b"]) == "f:1:1"
    moved = tree["l"][2]
    assert (moved.path, moved["x"].path) == ("l[2]", "l[2].x")
    assert (tree["l"][0].path, tree["l"][0]["y"][0].path) == ("l[0]", "l[0].y[0]")


def test_a_mapping_stands_where_what_it_says_stands():
    whole = whole_of("a: {$include: f}\nb: {$include: f, d: 1}", {"f": "\nc: 1"})
    places = [str(whole.tree[key].where) for key in ("a", "b")]
    assert places == ["f:2:1", "main.yaml:2:4"]


def test_where_something_is_included_is_known():
    tree, _ = parse("a: {$include: f}\nl: [{$include: [g, h]}]", "main.yaml", {})
    found = [(path, as_json(value)) for path, value in includes_of(tree)]
    assert found == [("a", "f"), ("l[0]", ["g", "h"])]
