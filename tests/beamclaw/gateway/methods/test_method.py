"""What is proved: parameters are read strictly, and a method is found by who may."""

from collections.abc import Mapping
from typing import Annotated, Any

import attrs
import pytest

from beamclaw.arguments import Null
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.auth.scopes import ADMIN, NODE, READ, WRITE
from beamclaw.gateway.errors import MethodError
from beamclaw.gateway.methods import finding
from beamclaw.gateway.methods._method import Context, Method, Text, Whole, method


@attrs.frozen
class Inner:
    max_chars: Whole = 5


@attrs.frozen(kw_only=True)
class Params:
    session_key: Text
    limit: Whole | None = None
    label: Annotated[str | None, Null()] = None
    deliver: bool = False
    inner: Inner | None = None
    names: tuple[Text, ...] = ()
    anything: Mapping[str, Any] | None = None


def more(params: Params) -> tuple[str, ...]:
    return (ADMIN,) if params.deliver else ()


@method("x.do", scope=WRITE, params=Params, more=more)
async def do(context: Context, params: Params) -> object:
    """Do it.

    And more.
    """
    return params


@method("x.look", scope=READ)
async def look(context: Context, params: object) -> object:
    """Look."""
    return None


@method("x.result", scope=NODE)
async def result(context: Context, params: object) -> object:
    """Give a result."""
    return None


TABLE = finding.table_of([look, do, result])


def principal(*scopes: str, role: Any = "operator") -> Principal:
    return Principal(role=role, scopes=frozenset(scopes))


def test_parameters_are_in_camel_case():
    given = {"sessionKey": "main", "inner": {"maxChars": 3}, "names": ["a"]}
    assert do.read(given) == Params(
        session_key="main", inner=Inner(max_chars=3), names=("a",)
    )


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "'sessionKey' is missing"),
        ({"session_key": "x"}, "no 'session_key'"),
        ({"sessionKey": "x", "sessionkey": "y"}, "no 'sessionkey'"),
        ({"sessionKey": ""}, "at /sessionKey: expected a length of at least 1"),
        ({"sessionKey": None}, "at /sessionKey: expected a text, found null"),
        ({"sessionKey": 3}, "at /sessionKey: expected a text, found the number 3"),
        ({"sessionKey": "x", "limit": None}, "'limit' is null"),
        ({"sessionKey": "x", "limit": "3"}, "at /limit: expected a whole number"),
        ({"sessionKey": "x", "limit": True}, "at /limit"),
        ({"sessionKey": "x", "limit": 1.5}, "at /limit"),
        ({"sessionKey": "x", "limit": -1}, "at /limit"),
        ({"sessionKey": "x", "deliver": "yes"}, "at /deliver: expected true or false"),
        ({"sessionKey": "x", "inner": {"maxChars": "x"}}, "at /inner/maxChars:"),
        ({"sessionKey": "x", "inner": {"more": 1}}, "at /inner: there is no 'more'"),
        ({"sessionKey": "x", "inner": []}, "at /inner: expected an object"),
        ({"sessionKey": "x", "names": ["a", 3]}, "at /names/1: expected a text"),
        ({"sessionKey": "x", "names": "a"}, "at /names: expected a list"),
        ({"sessionKey": "x", "__proto__": {}}, "no '__proto__'"),
        ([], "expected an object"),
        ("main", "expected an object"),
        (3, "expected an object"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(given, words):
    with pytest.raises(MethodError) as caught:
        do.read(given)
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.message.startswith("invalid x.do params: ")
    assert words in caught.value.message


def test_all_faults_are_found_at_once():
    with pytest.raises(MethodError) as caught:
        do.read({"limit": "x", "more": 1})
    for words in ("no 'more' here", "'sessionKey' is missing", "at /limit: "):
        assert words in caught.value.message


def test_null_is_a_value_where_it_says_something():
    assert do.read({"sessionKey": "x", "label": None}).label is None
    assert do.read({"sessionKey": "x", "label": "a"}).label == "a"
    assert do.read({"sessionKey": "x", "anything": {"a": None}}).anything == {"a": None}


def test_a_method_without_parameters_takes_none_and_an_empty_object():
    assert look.read(None) == look.read({})
    with pytest.raises(MethodError, match="no 'x' here"):
        look.read({"x": 1})


def test_a_method_says_in_a_line_what_it_does():
    assert do.summary == "Do it."
    assert isinstance(do, Method)


@pytest.mark.parametrize(
    "name, who, error",
    [
        ("x.look", principal(READ), None),
        ("x.look", principal(WRITE), None),
        ("x.do", principal(WRITE), None),
        ("x.do", principal(READ), ("FORBIDDEN", "missing scope: operator.write")),
        ("x.do", principal(), ("FORBIDDEN", "missing scope: operator.write")),
        ("x.no", principal(ADMIN), ("INVALID_REQUEST", "unknown method: x.no")),
        # Who does not administer learns nothing of what there is.
        ("x.no", principal(WRITE), ("FORBIDDEN", "missing scope: operator.admin")),
        ("x.result", principal(role="node"), None),
        ("x.result", principal(ADMIN), ("INVALID_REQUEST", "unauthorized role: oper")),
        ("x.look", principal(role="node"), ("INVALID_REQUEST", "unauthorized role: n")),
        ("x.look", principal(READ, role="node"), ("INVALID_REQUEST", "unauthorized")),
        ("x.look", principal(READ, role="worker"), None),
    ],
)
def test_who_may_ask_for_what(name, who, error):
    if error is None:
        assert finding.find(TABLE, name, who).name == name
        return
    with pytest.raises(MethodError) as caught:
        finding.find(TABLE, name, who)
    assert caught.value.code == error[0]
    assert error[1] in caught.value.message


def test_a_missing_scope_is_named_for_programs():
    with pytest.raises(MethodError) as caught:
        finding.find(TABLE, "x.do", principal(READ))
    assert caught.value.shape == {
        "code": "FORBIDDEN",
        "message": "missing scope: operator.write",
        "details": {
            "code": "MISSING_SCOPE",
            "missingScope": "operator.write",
            "requiredScopes": ["operator.write"],
        },
    }


def test_what_is_asked_for_in_particular_may_need_more():
    do.check(principal(WRITE), do.read({"sessionKey": "x"}))
    with pytest.raises(MethodError) as caught:
        do.check(principal(WRITE), do.read({"sessionKey": "x", "deliver": True}))
    assert caught.value.details == {
        "code": "MISSING_SCOPE",
        "missingScope": "operator.admin",
        "requiredScopes": ["operator.write", "operator.admin"],
    }
    do.check(principal(ADMIN), do.read({"sessionKey": "x", "deliver": True}))


def test_operators_and_nodes_are_greeted_with_their_own_methods():
    assert finding.advertised(TABLE, principal(READ)) == ["x.do", "x.look"]
    assert finding.advertised(TABLE, principal(role="node")) == ["x.result"]


def test_no_name_stands_twice():
    with pytest.raises(finding.TwiceError):
        finding.table_of(
            [look, Method(name="x.look", scope=READ, params=Params, run=do.run)]
        )
