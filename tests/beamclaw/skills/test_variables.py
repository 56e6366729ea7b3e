"""Which variables commands get for the skills of an agent."""

import pytest

from beamclaw.config.schema import SkillEntryConfig
from beamclaw.contracts.secret import Secret
from beamclaw.skills.eligible import unset_of, value_of, variables_of
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


OFTEN = Manifest(name="often", description="asks often", primary_env="GOOGLE_API_KEY")


def test_one_that_only_begins_as_a_dangerous_one_is_given():
    entry = SkillEntryConfig(api_key=KEY, env={"VIMEO_TOKEN": "v"})
    assert variables_of(OFTEN, entry) == ("VIMEO_TOKEN", "GOOGLE_API_KEY")
    assert unset_of(OFTEN, entry) == ()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("LD_PRELOAD", "secret", "LD_PRELOAD may not be set for a command"),
        ("GOPROXY", "secret", "GOPROXY may not be set for a command"),
        ("MY-KEY", "secret", "'MY-KEY' is no name of a variable"),
        ("MY_KEY", "secret\0", "the value of MY_KEY has a NUL"),
    ],
)
def test_one_that_is_not_set_is_told_without_its_value(name: str, value: str, why: str):
    entry = SkillEntryConfig(env={name: value, "MORE": "1"})
    assert variables_of(TIDY, entry) == ("MORE",)
    ((variable, words),) = unset_of(TIDY, entry)
    assert variable == name
    assert words.startswith(why)
    assert "secret" not in words
    named = Manifest(name="bad", description="is bad", primary_env=name)
    if value == "secret":
        assert unset_of(named, SkillEntryConfig(api_key=KEY))[0][0] == name
