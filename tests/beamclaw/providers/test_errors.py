"""Failures of model calls: their class, and the words that a person gets."""

import base64

import attrs
import orjson
import pytest

from beamclaw.contracts.secret import REDACTED, Secret
from beamclaw.providers.errors import Failures, classify, retry_after, scrub, show_url
from tests.support.canaries import spelled

KEY = "sk-proj-canary4711abcdefgh"
FAILURES = Failures(
    provider="openai",
    address="https://api.openai.com/v1",
    key=Secret(KEY),
    others=(Secret("proxy-canary-0815"),),
    key_source="environment variable OPENAI_API_KEY",
    key_variable="OPENAI_API_KEY",
    url_variable="OPENAI_BASE_URL",
)


def openai(status, code=None, kind=None, message="sorry", **headers):
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return FAILURES.response(status, headers, orjson.dumps(body), "gpt-x")


def anthropic(status, kind, message="sorry"):
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return FAILURES.response(status, {}, orjson.dumps(body), "claude-x")


# status, (code, type), message -> kind
TABLE = [
    (400, ("invalid_request_error",), "bad", "invalid"),
    (400, ("context_length_exceeded", "invalid_request_error"), "", "context_length"),
    (400, ("invalid_request_error",), "prompt is too long: 9 tokens > 8 maximum", "context_length"),
    (400, (), "The input token count (9) exceeds the maximum number of tokens allowed (8).", "context_length"),
    (400, (), "This model's maximum prompt length is 8 but the request contains 9 tokens.", "context_length"),
    (400, ("exceed_context_size_error",), "request (9 tokens) exceeds the size", "context_length"),
    (500, ("exceed_context_size_error",), "", "context_length"),
    (400, (), "Context size has been exceeded.", "context_length"),
    (400, (), "However, the model is loaded with context length of only 8 tokens", "context_length"),
    (400, (), "API key not valid. Please pass a valid API key.", "auth"),
    (400, (), "This model's maximum context length is 8192 tokens", "context_length"),
    (400, ("invalid_request_error",), "Your credit balance is too low", "quota"),
    (400, ("content_policy_violation",), "no", "refused"),
    (401, ("invalid_api_key", "invalid_request_error"), "", "auth"),
    (401, ("authentication_error",), "", "auth"),
    (401, (), "", "auth"),
    (402, ("billing_error",), "", "quota"),
    (403, ("permission_error",), "", "refused"),
    (403, (), "", "refused"),
    (404, ("model_not_found", "invalid_request_error"), "", "model_not_found"),
    (404, ("not_found_error",), "model: x", "model_not_found"),
    (408, (), "", "server"),
    (409, ("api_error",), "", "server"),
    (413, ("request_too_large",), "", "context_length"),
    (413, (), "", "context_length"),
    (422, (), "", "invalid"),
    (418, (), "", "invalid"),
    (429, ("rate_limit_exceeded", "requests"), "", "rate_limit"),
    (429, ("rate_limit_error",), "", "rate_limit"),
    (429, (), "", "rate_limit"),
    (429, ("insufficient_quota", "insufficient_quota"), "", "quota"),
    (500, ("api_error",), "", "server"),
    (500, ("server_error",), "", "server"),
    (500, ("overloaded_error",), "", "overloaded"),
    (502, (), "", "server"),
    (503, (), "", "overloaded"),
    (504, ("timeout_error",), "", "server"),
    (529, ("overloaded_error",), "", "overloaded"),
    (529, (), "", "overloaded"),
    (None, ("overloaded_error",), "", "overloaded"),
    (None, ("api_error",), "", "server"),
    (None, ("rate_limit_exceeded",), "", "rate_limit"),
    (None, ("invalid_request_error",), "", "invalid"),
    (None, ("invalid_request_error",), "prompt is too long", "context_length"),
    (None, ("never_heard_of",), "", "server"),
    (None, (), "", "server"),
]  # fmt: skip


@pytest.mark.parametrize("status, names, message, kind", TABLE)
def test_the_class_of_a_failure(status, names, message, kind):
    assert classify(status, names, message) == kind


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT",
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_how_long_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_refused_key_names_its_variable_and_never_the_key():
    error = openai(401, "invalid_api_key", message=f"Incorrect API key: {KEY}.")
    assert error.kind == "auth"
    assert error.status == 401
    assert error.message == (
        "provider openai refused the key (401) from environment variable "
        "OPENAI_API_KEY: check its value there; it says: "
        "Incorrect API key: [secret]."
    )


def test_a_missing_key_says_which_variable_to_set():
    failures = attrs.evolve(FAILURES, key=None)
    error = failures.response(401, {}, b"{}", "m")
    assert "none is set: set environment variable OPENAI_API_KEY or " in error.message
    assert "providers.openai.api_key in the configuration" in error.message


def test_a_model_that_does_not_exist_names_the_key_of_the_agent():
    error = openai(404, "model_not_found", message="The model `gpt-x` does not exist")
    assert error.kind == "model_not_found"
    assert "has no model gpt-x (404)" in error.message
    assert "agents.main.model" in error.message


@pytest.mark.parametrize(
    "body", [b"<html>404</html>", b'{"detail":"Not Found"}', b"", b"404 page not found"]
)
def test_another_kind_of_404_is_a_wrong_address(body):
    error = FAILURES.response(404, {"content-type": "text/html"}, body, "m")
    assert error.kind == "invalid"
    assert "check environment variable OPENAI_BASE_URL" in error.message


def test_an_error_from_anthropic():
    error = anthropic(429, "rate_limit_error", "Slow down")
    assert error.kind == "rate_limit"
    assert error.message.endswith("it says: Slow down")


def test_waiting_times_come_along():
    assert openai(429, **{"retry-after": "3"}).retry_after == 3.0


@pytest.mark.parametrize(
    "status, code, told, kind",
    [
        (400, None, "true", "server"),
        (429, None, "false", "refused"),
        (500, None, "false", "refused"),
        (429, "insufficient_quota", "true", "quota"),
        (500, None, "true", "server"),
    ],
)
def test_the_providers_own_word_on_retrying_beats_the_table(status, code, told, kind):
    error = openai(status, code, **{"x-should-retry": told})
    assert error.kind == kind


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b'{"error":null}', b'{"error":["x"]}', b"\xff"],
)
def test_any_body_makes_an_error_in_words(body):
    error = FAILURES.response(500, {}, body, "m")
    assert (error.kind, error.message) == ("server", "provider openai failed (500)")


def test_a_plain_sentence_is_taken_as_the_reason():
    error = FAILURES.response(500, {}, b'{"error":"out of memory"}', "m")
    assert error.message == "provider openai failed (500); it says: out of memory"


@pytest.mark.parametrize(
    "told",
    [
        KEY,
        f"Bearer {KEY}!",
        f"{KEY[:10]}...{KEY[-8:]}",
        "sk-proj-********efgh",
        f'{{"headers":"{KEY}"}}',
        "x" * 490 + KEY,
        KEY * 50,
        "via proxy-canary-0815",
    ],
)
def test_whatever_a_provider_echoes_no_part_of_a_key_is_shown(told):
    message = openai(400, message=told).message
    for secret in (KEY, "proxy-canary-0815"):
        for start in range(len(secret) - 7):
            assert secret[start : start + 8] not in message


@pytest.mark.parametrize("how", dict(spelled("")))
def test_a_key_is_not_shown_however_a_provider_quotes_it(how):
    key = """sk"\\a%b&c<d'e+f/g0123"""
    failures = attrs.evolve(FAILURES, key=Secret(key))
    told = f"you sent: {dict(spelled(key))[how]}."
    for body in (told.encode(), orjson.dumps({"error": {"message": told}})):
        message = failures.response(400, {}, body, "gpt-x").message
        assert "sk" not in message.replace("ask", "")
        assert "0123" not in message


@pytest.mark.parametrize("user", ["", "a", "me"])
def test_a_key_is_not_shown_in_base64(user):
    told = base64.b64encode(f"{user}:{KEY}".encode()).decode()
    shown = scrub(f"Basic {told}", [Secret(KEY)])
    assert REDACTED in shown
    assert len(shown) < len(f"Basic {REDACTED}") + 12


def test_what_a_provider_says_is_bounded_and_harmless():
    shown = scrub("a\x1b[31mred\x00\r\nline\u202e" + "z" * 5000, ())
    assert len(shown) == 500
    assert shown.startswith("a\\x1b[31mred\\x00 line\\u202ezzz")
    assert shown.endswith("…")


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://me:pass@host:8443/v1?key=1#f", "https://host:8443/v1"),
        ("http://[::1]:9/v1", "http://[::1]:9/v1"),
        ("http://host:port", "an address that is none"),
        ("http://[", "an address that is none"),
    ],
)
def test_addresses_are_shown_without_what_is_secret_in_them(url, shown):
    assert show_url(url) == shown


def test_the_errors_themselves_show_no_key():
    assert KEY not in repr(FAILURES)
