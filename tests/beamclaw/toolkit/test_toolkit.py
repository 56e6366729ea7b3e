"""Writing a tool: schema and validation come from one signature."""

import math
from typing import Annotated, Any, Literal

import attrs
import pytest

from beamclaw.contracts.approvals import Ask, Clear, Clearance, Deny
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.toolkit import Length, Range, tool, tools_of
from tests.support.orders import order

Kind = Literal["file", "folder"]


@attrs.frozen(kw_only=True)
class Edit:
    """One change.

    Attributes:
        old_text: What stands there.
        new_text: What shall.
    """

    old_text: Annotated[str, Length(1)]
    new_text: str = ""


class Files:
    """Some tools with something in common."""

    def __init__(self) -> None:
        self.log: list[object] = []

    @tool(effect="pure", group="fs", deadline=5.0)
    async def read(
        self,
        order: Order,
        path: str,
        offset: int = 1,
        max_lines: Annotated[int, Range(1, 5000)] = 2000,
        kind: Kind | None = None,
    ) -> str:
        """Read a text file,
        or a part of it.

        Long ones are cut.

        Args:
            path: Where it is,
                in the workspace.
            offset: The first line.
            max_lines: How many.
            kind: What is expected.

        Returns:
            Nothing that a model reads.
        """
        self.log.append((order.call_id, path, offset, max_lines, kind))
        return "text"

    @tool(effect="checkable", group="fs", asks="by-call")
    async def edit(self, order: Order, path: str, edits: tuple[Edit, ...]) -> Output:
        """Change a file.

        Args:
            path: Where it is.
            edits: The changes.
        """
        self.log.append(edits)
        return Output("changed", is_error=path == "bad")

    @edit.checks
    async def _edited(self, path: str) -> str | None:
        return "was changed" if path == "done" else None

    @edit.clears
    async def _edit_clear(self, order: Order, path: str) -> Clearance:
        if path == "secret":
            return Deny("no")
        if path == "ask":
            return Ask(question="may it?", digest=order.call_id)
        return Clear()


async def refusal(made: Any, **arguments: Any) -> str:
    with pytest.raises(ToolFailed) as failed:
        await made.run(order(**arguments))
    return str(failed.value)


def test_the_schema_comes_from_signature_and_docstring():
    spec = tools_of(Files())[0].spec
    assert spec.name == "read"
    assert (
        spec.description == "Read a text file, or a part of it.\n\nLong ones are cut."
    )
    assert (spec.effect, spec.group, spec.asks) == ("pure", "fs", "never")
    assert spec.deadline == 5.0
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "Where it is, in the workspace.",
            },
            "offset": {
                "type": "integer",
                "description": "The first line.",
                "default": 1,
            },
            "maxLines": {
                "type": "integer",
                "minimum": 1,
                "maximum": 5000,
                "description": "How many.",
                "default": 2000,
            },
            "kind": {
                "type": "string",
                "enum": ["file", "folder"],
                "description": "What is expected.",
            },
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_a_class_of_arguments_is_shown_in_full():
    schema = tools_of(Files())[1].spec.parameters["properties"]["edits"]
    assert schema == {
        "type": "array",
        "description": "The changes.",
        "items": {
            "type": "object",
            "properties": {
                "oldText": {
                    "type": "string",
                    "minLength": 1,
                    "description": "What stands there.",
                },
                "newText": {
                    "type": "string",
                    "default": "",
                    "description": "What shall.",
                },
            },
            "required": ["oldText"],
            "additionalProperties": False,
        },
    }


async def test_arguments_come_as_the_types_say():
    files = Files()
    read, edit = tools_of(files)
    assert await read.run(order(path="a", maxLines=3)) == Output("text")
    assert await edit.run(order(path="a", edits=[{"oldText": "x"}])) == Output(
        "changed"
    )
    assert files.log == [("c", "a", 1, 3, None), (Edit(old_text="x"),)]


async def test_names_as_in_the_source_are_understood_and_null_is_nothing():
    files = Files()
    await tools_of(files)[0].run(order(path="a", max_lines=3.0, kind=None))
    assert files.log == [("c", "a", 1, 3, None)]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({}, "- 'path' is missing"),
        ({"path": 1}, "- path: expected a text, found the number 1"),
        (
            {"path": "a", "maxLine": 3},
            "- there is no 'maxLine' here; did you mean maxLines?",
        ),
        (
            {"path": "a", "zzz": 3},
            "- there is no 'zzz' here; there are: path, offset, maxLines, kind",
        ),
        (
            {"path": "a", "maxLines": 9000},
            "- maxLines: expected a whole number from 1 to 5000, found the number 9000",
        ),
        (
            {"path": "a", "offset": "2"},
            "- offset: expected a whole number, found the text '2'",
        ),
        (
            {"path": "a", "offset": True},
            "- offset: expected a whole number, found true",
        ),
        (
            {"path": "a", "offset": 1.5},
            "- offset: expected a whole number, found the number 1.5",
        ),
        (
            {"path": "a", "kind": "flie"},
            "- kind: expected one of file, folder, found the text 'flie'; did you mean file?",
        ),
        (
            {"path": "a", "offset": math.inf},
            "- offset: expected a whole number, found the number inf",
        ),
        ({"path": "a", "maxLines": 1, "max_lines": 2}, "- 'maxLines' is given twice"),
        ({"path": None}, "- path: expected a text, found null"),
    ],
)
async def test_what_does_not_fit_is_said_so_that_it_can_be_mended(
    arguments: dict[str, Any], words: str
):
    files = Files()
    said = await refusal(tools_of(files)[0], **arguments)
    assert said == f"read was not begun, its arguments do not fit:\n{words}"
    assert files.log == []


async def test_all_faults_are_told_at_once_each_with_its_place():
    said = await refusal(
        tools_of(Files())[1],
        edits=[{"oldText": "x"}, {"oldText": ""}, {"oldText": 1, "newTxet": "y"}, 7],
        path="a",
    )
    assert said.splitlines()[1:] == [
        "- edits[1].oldText: expected a length of at least 1, found 0",
        "- edits[2]: there is no 'newTxet' here; did you mean newText?",
        "- edits[2].oldText: expected a text, found the number 1",
        "- edits[3]: expected an object, found the number 7",
    ]


async def test_check_and_clear_get_those_arguments_that_they_name():
    edit: Any = tools_of(Files())[1]
    given = {"edits": [{"oldText": "x"}]}
    assert await edit.check(order(path="done", **given)) == Output("was changed")
    assert await edit.check(order(path="open", **given)) is None
    assert await edit.clear(order(path="a", **given)) == Clear()
    assert await edit.clear(order(path="secret", **given)) == Deny("no")
    asked = await edit.clear(order(path="ask", **given))
    assert asked == Ask(question="may it?", digest="c")
    with pytest.raises(ToolFailed, match="'edits' is missing"):
        await edit.clear(order(path="a"))


async def test_a_method_stays_one():
    files = Files()
    assert await files.read(order(), "p") == "text"
    assert files.log == [("c", "p", 1, 2000, None)]


@tool(effect="unsafe", name="many_things")
async def many(  # noqa: PLR0917 -- each type once
    flag: bool = False,
    share: float = 0.5,
    names: list[str] | None = None,
    env: dict[str, str] | None = None,
    either: str | list[str] = "x",
    free: Any = None,
) -> dict[str, Any]:
    """Take everything."""
    return {"got": [flag, share, names, env, either, free]}


async def test_a_function_and_any_value_as_its_answer():
    (made,) = tools_of(many)
    assert made.spec.name == "many_things"
    assert made.spec.parameters["properties"] == {
        "flag": {"type": "boolean", "default": False},
        "share": {"type": "number", "default": 0.5},
        "names": {"type": "array", "items": {"type": "string"}},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "either": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ],
            "default": "x",
        },
        "free": {},
    }
    output = await made.run(order(share=1, env={"A": "b"}, either=["y"], free={"z": 1}))
    assert '"got": [' in output.text
    said = await refusal(made, env={"A": 1}, either=3, share="a", names="b")
    assert said.splitlines()[1:] == [
        "- share: expected a number, found the text 'a'",
        "- names: expected a list, found the text 'b'",
        "- env['A']: expected a text, found the number 1",
        "- either: expected a text, found the number 3; or expected a list, found the number 3",
    ]
    assert "expected true or false" in await refusal(made, flag=0)


def _no_docstring() -> Any:
    @tool(effect="pure")
    async def strange(a: int) -> str:
        return ""

    return strange


def _not_async() -> Any:
    @tool(effect="pure")  # pyright: ignore[reportArgumentType] -- what is tested
    def strange(a: int) -> str:
        """Do."""
        return ""

    return strange


def _no_type() -> Any:
    @tool(effect="pure")
    async def strange(a) -> str:
        """Do."""
        return ""

    return strange


def _too_many() -> Any:
    @tool(effect="pure")
    async def strange(*a: int) -> str:
        """Do."""
        return ""

    return strange


def _strange_type() -> Any:
    @tool(effect="pure")
    async def strange(a: tuple[int, str]) -> str:
        """Do."""
        return ""

    return tools_of(strange)[0].spec


def _unchecked() -> Any:
    @tool(effect="checkable")
    async def strange(a: int) -> str:
        """Do."""
        return ""

    return tools_of(strange)


def _uncleared() -> Any:
    @tool(effect="pure", asks="by-call")
    async def strange(a: int) -> str:
        """Do."""
        return ""

    return tools_of(strange)


def _other_arguments() -> Any:
    @tool(effect="checkable")
    async def strange(a: int) -> str:
        """Do."""
        return ""

    @strange.checks
    async def _check(b: int) -> None: ...

    return _check


@pytest.mark.parametrize(
    "declare, words",
    [
        (_no_docstring, "has no docstring"),
        (_not_async, "is not async"),
        (_no_type, "has no type"),
        (_too_many, "is no argument for a model"),
        (_strange_type, "is no type of an argument"),
        (_unchecked, "what checks it"),
        (_uncleared, "what clears it"),
        (_other_arguments, "has no argument 'b'"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_where_it_is_declared(
    declare: Any, words: str
):
    with pytest.raises(TypeError, match=words):
        declare()
