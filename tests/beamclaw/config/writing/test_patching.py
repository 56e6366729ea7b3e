"""A patch changes what it names and nothing else, comments included."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.config.document import parse
from beamclaw.config.writing.documents import Refusal
from beamclaw.config.writing.hiding import AS_WRITTEN, as_json
from beamclaw.config.writing.patching import merged, patched, read_patch

FILE = """\
# by hand
gateway:
  # where
  port: 1234   # here
  hosts:
    - a.example
    - b.example
providers:
  local: {api: openai, api_key: ${KEY}}
"""
CASES = {
    "a value": ("{gateway: {port: 99}}", "  port: 1234   #", "  port: 99     #"),
    "a new key": (
        "{gateway: {host: '::1'}}",
        "    - b.example\n",
        '    - b.example\n  host: "::1"\n',
    ),
    "a key less": ("gateway: {port: null}", "  port: 1234   # here\n", ""),
    "into a line": (
        "providers: {local: {base_url: 'http://x:1'}}",
        "api_key: ${KEY}}",
        'api_key: ${KEY}, base_url: "http://x:1"}',
    ),
    "a text like a number": ('{"a": "01"}', "${KEY}}\n", '${KEY}}\na: "01"\n'),
    "a word that is a word": ("{a: 'no'}", "${KEY}}\n", '${KEY}}\na: "no"\n'),
    "JSON5": (
        "// why\n{gateway: {port: 99,},}",
        "  port: 1234   #",
        "  port: 99     #",
    ),
    "a variable": ('{a: "${B}"}', "${KEY}}\n", '${KEY}}\na: "${B}"\n'),
}


@pytest.mark.parametrize("name", CASES)
def test_a_patch_changes_what_it_names(name: str):
    patch, before, after = CASES[name]
    assert patched(FILE, read_patch(patch)) == FILE.replace(before, after)


def test_of_a_file_with_comments_only_these_stay():
    assert patched("# mine", {"a": {"b": 1}}) == "# mine\na:\n  b: 1\n"
    assert patched("", {"a": 1}) == "a: 1\n"


def test_a_patch_can_stand_for_the_whole_of_a_mapping():
    after = patched(FILE, {"gateway": {"port": 1}}, ["gateway"])
    tree, _ = parse(after, "", AS_WRITTEN)
    assert as_json(tree)["gateway"] == {"port": 1}


@pytest.mark.parametrize(
    "patch", ["", "[]", "[1]", "a", "{}", "{a: 1", "a: 1\na: 2", "/* c */", "null"]
)
def test_what_is_no_patch_is_refused(patch: str):
    with pytest.raises(Refusal) as refused:
        read_patch(patch)
    assert refused.value.code == "unreadable"


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: 1\na: 2\n", "- 1\n", "a: &x {b: 1}\nc: *x\n", "--- \na: 1\n---\n"],
)
def test_a_file_that_a_patch_could_spoil_is_left_alone(text: str):
    with pytest.raises(Refusal) as refused:
        patched(text, {"a": {"b": 2}})
    assert refused.value.code == "invalid"


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | WORDS.filter(lambda text: "${" not in text),
    lambda inner: (
        st.lists(inner.filter(lambda v: v is not None), max_size=3)
        | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=6,
)
TREES = st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=4)


@given(TREES, TREES)
def test_a_patch_is_what_the_rule_says(whole: dict[str, Any], patch: dict[str, Any]):
    text = json.dumps(whole, ensure_ascii=False)
    was, _ = parse(text, "", AS_WRITTEN)
    after = patched(text, patch)
    now, problems = parse(after, "", AS_WRITTEN)
    assert not problems
    assert as_json(now) == merged(as_json(was), patch, "", frozenset())
