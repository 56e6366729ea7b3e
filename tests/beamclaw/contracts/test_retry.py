"""When a failed model call is tried again: the table of cases."""

import pytest

from beamclaw.contracts.providers import (
    TRANSIENT,
    ErrorKind,
    ProviderError,
    ProviderUnwell,
)
from beamclaw.contracts.retry import RetryPolicy, decide, falls_back, give_up_words

POLICY = RetryPolicy(max_attempts=3, first=0.5, most=4.0)
ALL = frozenset(
    {
        "auth", "rate_limit", "overloaded", "context_length", "invalid",
        "model_not_found", "quota", "network", "server", "refused",
    }
)  # fmt: skip


def asked(kind: ErrorKind = "overloaded", retry_after: float | None = None):
    return ProviderError(kind, "it failed", retry_after=retry_after)


# attempt, error, random, text_left, retractable -> wait
TABLE = {
    "the first wait is between half of it and all of it": (
        (1, asked(), 0.0, False, True), 0.25,
    ),
    "and all of it at the other end": ((1, asked(), 1.0, False, True), 0.5),
    "it doubles": ((2, asked(), 1.0, False, True), 1.0),
    "the last attempt is not followed by another": (
        (3, asked(), 0.0, False, True), None,
    ),
    "what the provider asks is obeyed": ((1, asked(retry_after=3), 0.0, False, True), 3),
    "our own wait is not undercut": ((2, asked(retry_after=0), 1.0, False, True), 1.0),
    "four times our longest wait is still waited": (
        (1, asked(retry_after=16), 0.0, False, True), 16,
    ),
    "more is given up": ((1, asked(retry_after=16.1), 0.0, False, True), None),
    "text that can be taken back does not matter": (
        (1, asked(), 0.0, True, True), 0.25,
    ),
    "text that cannot is the end": ((1, asked(), 0.0, True, False), None),
    "no text has left yet": ((1, asked(), 0.0, False, False), 0.25),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.replace(" ", "_"))
def test_the_table(case):
    (attempt, error, random, text_left, retractable), wait = TABLE[case]
    found = decide(
        POLICY, attempt, error, random, text_left=text_left, retractable=retractable
    )
    assert found == wait


def test_no_wait_of_ours_is_longer_than_most():
    policy = RetryPolicy(max_attempts=100, first=0.5, most=4.0)
    waits = [
        decide(policy, n, asked(), 1.0, text_left=False, retractable=True)
        for n in range(1, 60)
    ]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(waits[4:]) == {4.0}


@pytest.mark.parametrize("kind", sorted(ALL))
def test_only_what_passes_by_itself_is_tried_again(kind):
    wait = decide(POLICY, 1, asked(kind), 0.0, text_left=False, retractable=True)
    assert (wait is not None) == (kind in TRANSIENT)


@pytest.mark.parametrize(
    "attempt, error, text_left, words",
    [
        (1, asked("auth"), False, "it failed"),
        (3, asked(), False, "it failed; given up after 3 attempts"),
        (1, asked(retry_after=90), False, "asks to wait 90 s, longer than this node"),
        (1, asked(), True, "part of the answer had left"),
    ],
)
def test_giving_up_is_explained(attempt, error, text_left, words):
    assert words in give_up_words(POLICY, attempt, error, text_left=text_left)


@pytest.mark.parametrize(
    ("kind", "wait", "left", "retractable", "falls"),
    [
        ("overloaded", None, False, True, True),
        ("overloaded", 0.5, False, True, False),
        ("rate_limit", 5.1, False, True, True),
        ("auth", None, False, True, True),
        ("quota", None, False, True, True),
        ("model_not_found", None, False, True, True),
        ("invalid", None, False, True, False),
        ("refused", None, False, True, False),
        ("network", None, True, True, True),
        ("network", None, True, False, False),
    ],
)
def test_when_the_next_model_is_asked(kind, wait, left, retractable, falls):
    error = ProviderError(kind, "no")
    found = falls_back(error, wait, text_left=left, retractable=retractable)
    assert found is falls


# --- several keys


@pytest.mark.parametrize("kind", sorted(ALL))
def test_what_is_wrong_with_one_key_is_tried_with_the_next(kind: ErrorKind):
    found = [
        decide(
            POLICY, attempt, asked(kind), 0.0, text_left=False, retractable=True, keys=2
        )
        for attempt in (1, 2)
    ]
    if kind in ("auth", "quota", "rate_limit"):
        assert found[0] == 0.0
        assert (found[1] is None) == (kind != "rate_limit")
    else:
        assert 0.0 not in found


def test_text_that_is_out_is_not_begun_anew_by_another_key():
    found = decide(
        POLICY, 1, asked("auth"), 0.0, text_left=True, retractable=False, keys=2
    )
    assert found is None


def test_who_was_not_even_asked_is_not_asked_again():
    unwell = ProviderUnwell("overloaded", "it failed; it is left alone", retry_after=9)
    found = decide(POLICY, 1, unwell, 0.0, text_left=False, retractable=True)
    assert found is None
    assert falls_back(unwell, None, text_left=False, retractable=True)
    words = give_up_words(POLICY, 1, unwell, text_left=False)
    assert words == "it failed; it is left alone"
