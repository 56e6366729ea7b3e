"""Which variables commands get for the skills of an agent."""

import pytest

from beamclaw.config.schema import SkillEntryConfig
from beamclaw.contracts.secret import Secret
from beamclaw.skills.eligible import value_of, variables_of
from beamclaw.skills.manifest import Manifest

KEY = Secret("key")
TIDY = Manifest(name="tidy", description="tidies", primary_env="TIDY_KEY")
PLAIN = Manifest(name="plain", description="is plain")


@pytest.mark.parametrize(
    ("skill", "entry", "expected"),
    [
        (TIDY, SkillEntryConfig(), {}),
        (TIDY, SkillEntryConfig(api_key=KEY), {"TIDY_KEY": "key"}),
        (TIDY, SkillEntryConfig(env={"MORE": "1"}), {"MORE": "1"}),
        (
            TIDY,
            SkillEntryConfig(api_key=KEY, env={"MORE": "1"}),
            {"MORE": "1", "TIDY_KEY": "key"},
        ),
        (
            TIDY,
            SkillEntryConfig(api_key=KEY, env={"TIDY_KEY": "own"}),
            {"TIDY_KEY": "own"},
        ),
        (
            TIDY,
            SkillEntryConfig(api_key=KEY, env={"TIDY_KEY": ""}),
            {"TIDY_KEY": "key"},
        ),
        (PLAIN, SkillEntryConfig(api_key=KEY), {}),
        (TIDY, SkillEntryConfig(api_key=Secret("")), {}),
    ],
)
def test_they_are_those_that_have_a_value(
    skill: Manifest, entry: SkillEntryConfig, expected: dict[str, str]
):
    found = {name: value_of(entry, name) for name in variables_of(skill, entry)}
    assert {name: value.reveal() for name, value in found.items() if value} == expected
    assert len(found) == len(expected)
