"""A part of a configuration put into the text of the whole: comments and order stay."""

import io
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, cast

import yaml

from beamclaw.config.document import child, mask, parse, unmask
from beamclaw.config.writing.documents import Refusal
from beamclaw.config.writing.hiding import AS_WRITTEN, as_json, composed

_PLAIN: Final = re.compile(r"[A-Za-z][\w./-]*")
_MEANS_SOMETHING: Final = frozenset(
    {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
)


def read_patch(text: str) -> Mapping[str, Any]:
    """What *text* says, in YAML, JSON or JSON5.

    Raises:
        Refusal: It says nothing that could be put into a configuration.
    """
    value = _json5(text) if text.lstrip().startswith(("{", "//", "/*")) else None
    if value is None:
        tree, problems = parse(text, "patch", AS_WRITTEN)
        if problems:
            raise Refusal("unreadable", f"the patch cannot be read: {problems[0]}")
        value = as_json(tree)
    if not isinstance(value, dict) or not value:
        raise Refusal(
            "unreadable", "a patch has keys with values, as {gateway: {port: 18790}}"
        )
    return cast("dict[str, Any]", value)


def _json5(text: str) -> Any:
    import pyjson5  # noqa: PLC0415 -- only for a patch

    try:
        return pyjson5.decode(text)
    except pyjson5.Json5Exception:
        return None  # `{a: ${B}}` is YAML as we read it, and no JSON5


def patched(text: str, patch: Mapping[str, Any], replace: Collection[str] = ()) -> str:
    """*text* with *patch* in it.

    Mappings are joined, whatever else replaces what was there, and ``None`` takes a key
    away. At the paths in *replace* a mapping replaces as well.

    Raises:
        Refusal: The text cannot be changed without losing something.
    """
    import ruamel.yaml  # noqa: PLC0415 -- only for a patch

    editor: Any = ruamel.yaml.YAML()
    editor.preserve_quotes = True
    editor.width = 4096
    tree, problems = parse(text, "the file", AS_WRITTEN)
    if problems:
        raise Refusal("invalid", f"a patch needs a file to go into: {problems[0]}")
    if not tree:  # comments at most
        kept = text if not text or text.endswith("\n") else text + "\n"
        return kept + _dumped(editor, _made(without_nulls(patch)))
    masked = mask(text)
    edited = editor.load(masked)
    editor.indent(**_indents(masked))
    _merge(edited, patch, "", frozenset(replace))
    after = unmask(_dumped(editor, edited))
    wanted = merged(as_json(tree), patch, "", frozenset(replace))
    now, problems = parse(after, "", AS_WRITTEN)
    if problems or _sorted(as_json(now)) != _sorted(wanted):
        raise Refusal(
            "invalid",
            "this file is written in a way that a patch would change elsewhere, too; "
            "send the whole file instead",
        )
    return after


def _indents(text: str) -> dict[str, int]:
    """How the first mapping and the first list inside of *text* are indented."""
    found = {"mapping": 2, "item": 2, "dash": 0}
    seen = set[str]()

    def note(what: str, columns: int) -> None:
        if what not in seen and columns >= 0:
            seen.add(what)
            found[what] = columns

    todo: list[tuple[yaml.Node, int]] = [(composed(text), 0)]
    while todo:
        node, outer = todo.pop()
        if isinstance(node, yaml.ScalarNode) or cast("Any", node).flow_style:
            continue
        column, below = int(node.start_mark.column), list[yaml.Node]()
        if isinstance(node, yaml.MappingNode):
            if column > outer:
                note("mapping", column - outer)
            below = [value for _, value in node.value]
        elif node.value:
            below = list(node.value)
            note("dash", column - outer)
            note("item", int(below[0].start_mark.column) - column)
            column = int(below[0].start_mark.column)
        todo += [(each, column) for each in reversed(below)]
    return {
        "mapping": found["mapping"],
        "sequence": found["dash"] + found["item"],
        "offset": found["dash"],
    }


def _dumped(editor: Any, tree: Any) -> str:
    out = io.StringIO()
    editor.dump(tree, out)
    return out.getvalue()


def _merge(
    tree: Any, patch: Mapping[str, Any], path: str, replace: frozenset[str]
) -> None:
    for key, value in patch.items():
        at = child(path, key)
        if value is None:
            tree.pop(key, None)
        elif (
            isinstance(value, dict) and isinstance(tree.get(key), dict)
        ) and at not in replace:
            _merge(tree[key], cast("Mapping[str, Any]", value), at, replace)
        else:
            tree[key] = _made(without_nulls(value))


def without_nulls(value: Any) -> Any:
    """*value* without the keys that a patch takes away."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: without_nulls(each) for key, each in items if each is not None}
    return value


def _made(value: Any) -> Any:
    from ruamel.yaml.scalarstring import (  # noqa: PLC0415 -- only for a patch
        DoubleQuotedScalarString,
    )

    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _made(each) for key, each in items}
    if isinstance(value, list):
        return [_made(each) for each in cast("list[Any]", value)]
    if isinstance(value, str) and not _is_plain(value):
        return DoubleQuotedScalarString(value)
    return value


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _MEANS_SOMETHING


def merged(
    value: Any, patch: Mapping[str, Any], path: str, replace: frozenset[str]
) -> Any:
    """What the file has to say afterwards, by the rule alone."""
    whole = dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else {}
    for key, each in patch.items():
        at = child(path, key)
        if each is None:
            whole.pop(key, None)
        elif isinstance(each, dict) and isinstance(whole.get(key), dict):
            inside = cast("dict[str, Any]", each)
            joined = at not in replace
            whole[key] = (
                merged(whole[key], inside, at, replace)
                if joined
                else without_nulls(inside)
            )
        else:
            whole[key] = without_nulls(each)
    return whole


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
