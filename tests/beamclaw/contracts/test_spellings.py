"""What is proved: a text is found in another one however it is written there."""

import base64
import html
import json
import shlex
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.spellings import any_of, spellings

ODD = "ab\"c\\d%e&f<g>h'i+j/k=l$m n\u00e9"
WRITERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON of any letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda text: json.dumps(json.dumps([text])[2:-2])[1:-1],
    "a page": html.escape,
    "a page's text": lambda text: html.escape(text, quote=False),
    "a page in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "JSON in a page": lambda text: html.escape(json.dumps(text)[1:-1]),
    "an address": lambda text: quote(text, safe=""),
    "a path": quote,
    "a form": quote_plus,
    "Python": lambda text: repr(text)[1:-1],
    "a shell": lambda text: shlex.quote(text)[1:-1],
    "YAML": lambda text: yaml.safe_dump(
        text, width=1_000, allow_unicode=True, default_style="'"
    )[1:-2],
}


def hidden(secret: str, text: str) -> str:
    pattern = any_of(frozenset({secret}))
    assert pattern is not None
    return pattern.sub("#", text)


@pytest.mark.parametrize("how", WRITERS)
def test_a_text_is_found_however_it_is_written(how):
    assert hidden(ODD, f"before {WRITERS[how](ODD)} after") == "before # after"


def test_what_echo_has_made_of_a_text_is_found():
    secret = r"ab\0cd\nef\\gh\041ij\1"
    done = subprocess.run(
        ["sh", "-c", 'echo "$0"', secret], capture_output=True, check=True, text=True
    )
    assert hidden(secret, done.stdout) == "#\n"
    # As a shell that reads octal numbers has it, whichever one sh is here.
    assert hidden(secret, "ab\0cd\nef\\gh!ij\x01") == "#"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_base64_has_it_wherever_it_begins(before):
    secret = "0123456789"
    made = base64.b64encode(f"{before}:{secret}:x".encode()).decode()
    assert "#" in hidden(secret, made)
    # Too short to be told from what stands there by chance.
    assert hidden("012345", base64.b64encode(b"012345").decode()) == "MDEyMzQ1"


@given(st.sets(st.text(min_size=4, max_size=12), min_size=1, max_size=4))
def test_each_spelling_of_each_text_is_found_as_a_whole(texts):
    pattern = any_of(frozenset(texts))
    assert pattern is not None
    for each in {spelling for text in texts for spelling in spellings(text)}:
        assert pattern.fullmatch(each), each


def test_of_several_that_begin_alike_the_longest_is_taken():
    pattern = any_of(frozenset({"abcd", "abcdef", "abce"}))
    assert pattern is not None
    assert pattern.sub("#", "abcdefg abcdg abceg abcg") == "#g #g #g abcg"


def test_letters_and_digits_are_looked_for_as_they_are_and_in_base64():
    assert len(spellings("sk-0123456789")) == 4
    assert any_of(frozenset()) is None
