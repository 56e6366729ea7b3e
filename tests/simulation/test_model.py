"""Whose conversation a model is asked in, by what stands in its prompt."""

import pytest

from tests.simulation.model import _was_given_out

TASK = 'assistant: p0.0-2-0 calls spawn({"task":"<<sub_p0_0_2_0>> please"})'


@pytest.mark.parametrize(
    "text, person, given_out",
    [
        # A summary that has lost its person's own words, and still has the task's.
        (f"{TASK}\ntool: accepted", "sub_p0_0_2_0", True),
        (f"user: <<sub_p0_0_2_0>> please\n{TASK}", "sub_p0_0_2_0", False),
        ("user: <<sub_p0_0_2_0>> please", "sub_p0_0_2_0", False),
        ("user: <<p0.0>> please", "p0", False),
        (TASK, "p0", False),
    ],
)
def test_what_a_sub_agent_was_asked_for_is_not_said_by_it(
    text: str, person: str, given_out: bool
):
    assert _was_given_out(text, person) is given_out
