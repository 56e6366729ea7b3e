"""One path of the REST API: a function with its scope, parameters and answer."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import attrs

from beamclaw.arguments import object_of
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Context, NoParams, read_params
from beamclaw.values import frozen

Verb = Literal["GET", "POST", "DELETE"]
MOST_PARAMETERS: Final = 32
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


@frozen
class Input:
    """What a request says beside its path.

    Attributes:
        place: The variable part of the path.
        query: Read as the resource's ``query``, *body* as its ``body``.
        key: The header ``Idempotency-Key``.
    """

    place: str = ""
    query: Any = None
    body: Any = None
    key: str | None = None


@frozen(kw_only=True)
class Resource:
    """See the module.

    Attributes:
        verb: HTTP's method.
        path: With its variable part as ``{key}`` or ``{runId}``; one at most.
        scope: What who asks needs.
        run: Does it; its docstring says what.
        query: Class of the parameters behind ``?``; *body*: of the JSON object sent.
        answer: JSON Schema of what is answered.
        status: Of the answer.
        patterns: What texts of the body have to look like, beside their length.
        keyed: Whether a repeat under one ``Idempotency-Key`` is the same request.
    """

    verb: Verb
    path: str
    scope: str
    run: Callable[[Context, Input], Awaitable[object]]
    query: type[Any] = NoParams
    body: type[Any] | None = None
    answer: Mapping[str, Any]
    status: int = 200
    keyed: bool = False
    patterns: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @property
    def rule(self) -> str:
        """The path as the application routes it."""
        return re.sub(r"\{[^}]*\}", "<path:place>", self.path)

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]

    def read_query(self, query: str) -> Any:
        """The parameters in *query*.

        Raises:
            MethodError: They are not what it takes.
        """
        given: dict[str, object] = {}
        try:
            pairs = parse_qsl(
                query,
                keep_blank_values=True,
                strict_parsing=bool(query),
                max_num_fields=MOST_PARAMETERS,
                errors="strict",
            )
        except ValueError:
            raise invalid("the query is malformed") from None
        kinds = object_of(self.query)["properties"]
        for name, value in pairs:
            if name in given:
                raise invalid(f"{name[:100]} stands twice in the query")
            given[name] = _as(kinds.get(name, {}).get("type"), value)
        return read_params(self.path, given, self.query)

    def read_body(self, body: object) -> Any:
        """The parameters in *body*, which was JSON.

        Raises:
            MethodError: They are not what it takes.
        """
        return None if self.body is None else read_params(self.path, body, self.body)


def _as(kind: object, text: str) -> object:
    """*text* as JSON would have it where a number, or true or false, is wanted."""
    if kind == "integer" and _NUMBER.fullmatch(text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
