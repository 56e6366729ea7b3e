"""The text of a configuration without its secrets, whether or not it can be used."""

import difflib
import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

import attrs
import yaml

from beamclaw.config.document import (
    Branch,
    Listing,
    Node,
    Scalar,
    mask,
    parse,
    unmask,
)
from beamclaw.config.including import INCLUDE
from beamclaw.config.redactor import TELLING
from beamclaw.config.schema import Config
from beamclaw.config.secret_forms import PLACES
from beamclaw.config.structure import keys_of
from beamclaw.contracts.secret import REDACTED, Secret

# OpenClaw's word for it, which its clients know and never take for a value.
HIDDEN: Final = "__OPENCLAW_REDACTED__"
_MARKERS: Final = (HIDDEN, REDACTED)
_REFERENCE: Final = re.compile(r"\$\{[^{}\n]*\}")


class _AsWritten(Mapping[str, str]):
    """Every variable stands for itself."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


AS_WRITTEN: Final = _AsWritten()


def without_secrets(text: str) -> str | None:
    """*text* with each secret replaced by a marker; None: it is no YAML.

    A value is secret where the schema says so, and under a key that nobody knows when
    its name sounds like one. What only names a variable stays.
    """
    tree, problems = parse(text, "", AS_WRITTEN)
    if problems and not tree:
        return None
    spans = sorted(set(_spans(composed(mask(text)), Config))) if tree else []
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if start < at:  # inside one that is hidden already
            continue
        pieces += [text[at:start], HIDDEN]
        at = end
    return "".join([*pieces, text[at:]])


def composed(text: str) -> yaml.Node:
    """The nodes of *text*, masked and known to be a document that can be read."""
    node: yaml.Node = cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)
    return node


def _spans(node: yaml.Node, kind: Any) -> Iterator[tuple[int, int]]:
    if kind is Secret:
        yield from _spans_of_secret(node)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _spans(item, kind)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value != INCLUDE:
                yield from _spans(value, _kind_below(kind, str(name.value)))


def _spans_of_secret(node: yaml.Node) -> Iterator[tuple[int, int]]:
    """Where a secret stands is none; the words of a command may have one in them."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _spans_of_secret(item)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == INCLUDE:
                continue
            if name.value == "command" and isinstance(value, yaml.SequenceNode):
                for word in value.value[1:]:
                    yield from _all_of(word)
            elif name.value not in PLACES or not isinstance(value, yaml.ScalarNode):
                yield from _all_of(value)
    else:
        yield from _all_of(node)


def _all_of(node: yaml.Node) -> Iterator[tuple[int, int]]:
    if isinstance(node, yaml.ScalarNode):
        text = unmask(str(node.value))
        if text and text != "null" and _REFERENCE.sub("", text).strip():
            yield node.start_mark.index, node.end_mark.index
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _all_of(item)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _all_of(value)


def _kind_below(kind: Any, name: str) -> Any:
    """What stands under *name*: a class of the schema, ``Secret``, or nothing known."""
    if get_origin(kind) is Mapping:
        value = get_args(kind)[1]
        # Headers and variables of a person's choice: any of them may be a key.
        return Secret if value is str else _plain_kind(value)
    known = _kinds_of(kind) if attrs.has(kind or int) else {}
    if name in known:
        return known[name]
    secrets = [key for key, each in known.items() if each is Secret]
    misspelt = difflib.get_close_matches(name, secrets, n=1)
    return Secret if misspelt or TELLING.search(name) else None


def _kinds_of(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: _plain_kind(hints[name]) for name in keys_of(cls)}


def _plain_kind(hint: Any) -> Any:
    """The class, the mapping or ``Secret`` in *hint*; lists and options are taken off."""
    if get_origin(hint) in (Union, types.UnionType, tuple):
        kinds = [_plain_kind(each) for each in get_args(hint)]
        known = [each for each in kinds if each is not None]
        return Secret if Secret in known else (known or [None])[0]
    if hint is Secret or get_origin(hint) is Mapping or attrs.has(hint):
        return hint
    return None


def marked(node: Node) -> str | None:
    """The path of a value that is a marker, in a document that somebody sent."""
    if isinstance(node, Scalar):
        return node.path if any(each in node.text for each in _MARKERS) else None
    if isinstance(node, Listing):
        if [getattr(item, "text", "") for item in node] == [REDACTED.strip("[]")]:
            return node.path  # [secret], read as a list
        below: Any = node
    else:
        below = node.values()
    return next((path for each in below if (path := marked(each)) is not None), None)


def as_json(node: Node) -> Any:
    """A tree as JSON has it; a variable stays as it is written."""
    if isinstance(node, Branch):
        return {key: as_json(value) for key, value in node.items()}
    if isinstance(node, Listing):
        return [as_json(item) for item in node]
    return node.text if node.variables else _scalar(node)


def _scalar(node: Scalar) -> str | bool | float | None:
    if node.null:
        return None
    if node.boolean:
        return node.text.lower() == "true"
    if not node.number:
        return node.text
    # As much as fits into 64 bits; nothing here is meant to be larger.
    whole = node.whole and len(node.text) <= 18  # noqa: PLR2004
    return int(node.text) if whole else float(node.text)
