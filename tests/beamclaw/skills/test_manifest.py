"""What stands at the top of a SKILL.md, in all the ways that people write it."""

import pytest

from beamclaw.config.schema import SkillEntryConfig
from beamclaw.contracts.secret import Secret
from beamclaw.skills.eligible import Facts, why_not
from beamclaw.skills.manifest import BadSkill, Manifest, Requires, read_manifest


def text(front: str) -> str:
    return f"---\n{front}\n---\n# Body\n"


def test_all_that_openclaw_writes_is_read():
    found = read_manifest(
        text(
            "name: notes\n"
            "description: Apple notes\n"
            "homepage: https://example.org\n"
            "user-invocable: false\n"
            "disable-model-invocation: true\n"
            'metadata: { "openclaw": { "emoji": "x", "os": ["darwin"], "always": true,\n'
            '  "requires": { "bins": ["memo"], "anyBins": ["a", "b"],\n'
            '    "env": ["KEY"], "config": ["channels.x"] },\n'
            '  "primaryEnv": "KEY", "install": [{ "kind": "brew" }], } }'
        )
    )
    assert found == Manifest(
        name="notes",
        description="Apple notes",
        homepage="https://example.org",
        emoji="x",
        listed=False,
        user=False,
        always=True,
        os=("darwin",),
        requires=Requires(("memo",), ("a", "b"), ("KEY",), ("channels.x",)),
        primary_env="KEY",
        installs=True,
    )


@pytest.mark.parametrize("key", ["openclaw", "beamclaw", "clawdbot"])
def test_metadata_may_be_a_text_and_under_an_older_name(key):
    found = read_manifest(
        text(f"""name: a\ndescription: b\nmetadata: '{{"{key}": {{"emoji": "e"}}}}'""")
    )
    assert found.emoji == "e"


def test_what_is_no_yaml_is_read_line_by_line():
    found = read_manifest(
        text(
            "name: gog\n"
            "description: Mail: read, write: all of it\n"
            'metadata: {"openclaw":{"requires":{"bins":["gog"]}}}'
        )
    )
    assert found.description == "Mail: read, write: all of it"
    assert found.requires.bins == ("gog",)


@pytest.mark.parametrize(
    "given, why",
    [
        ("# no front matter", "does not begin with a block"),
        (text("description: x"), "it has no name"),
        (text("name: a"), "no description"),
        (text("name: ../x\ndescription: x"), "is none"),
        (text("name: a b\ndescription: x"), "is none"),
        (text(f"name: {'a' * 65}\ndescription: x"), "is none"),
        (text("name: \u0430bc\ndescription: x"), "is none"),
        (text("name: [a]\ndescription: x"), "it has no name"),
        (text(f"name: a\ndescription: {'x' * 1_025}"), "longer than 1024"),
        (text("name: a\ndescription: do\u202ethis"), "U+202E"),
        (text("name: a\ndescription: x\nmetadata: '{'"), "neither YAML nor JSON"),
        (text(f"name: a\ndescription: x\nmore: {'y' * 70_000}"), "longer than 65536"),
    ],
)
def test_what_is_no_skill_says_why(given, why):
    with pytest.raises(BadSkill) as caught:
        read_manifest(given)
    assert why in str(caught.value)


def test_characters_that_cannot_be_seen_are_named():
    smuggled = text("name: a\ndescription: x") + "\u200b\u202e\U000e0041\x07"
    assert read_manifest(smuggled).hidden == ("U+0007", "U+200B", "U+202E", "U+E0041")
    joined = text("name: a\ndescription: x") + "\U0001f468\u200d\U0001f469\ufe0f\t\r\n"
    assert read_manifest(joined).hidden == ()


def test_an_anchor_that_multiplies_itself_is_only_read():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for new, old in zip("bcdefgh", "abcdefg", strict=True):
        lines.append(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    lines += ["name: bomb", "description: d", "metadata: {openclaw: {os: *h}}"]
    assert read_manifest(text("\n".join(lines))).os == ()


HERE = Facts(
    system="linux",
    has_program={"git", "rg"}.__contains__,
    variables={"HOME"},
    is_set={"tools.exec.mode"}.__contains__,
    everywhere=("GIT_TOKEN",),
)


def needing(**needs: tuple[str, ...]) -> Manifest:
    return Manifest(name="a", description="d", requires=Requires(**needs))


@pytest.mark.parametrize(
    "skill, entry, allowed, why",
    [
        (needing(), {}, None, ""),
        (needing(), {"enabled": False}, None, "switched off"),
        (needing(), {}, (), "not among"),
        (needing(), {}, ("a",), ""),
        (needing(), {}, ("b",), "not among"),
        (needing(bins=("git", "rg")), {}, None, ""),
        (needing(bins=("git", "memo")), {}, None, "no program memo"),
        (needing(any_bins=("memo", "rg")), {}, None, ""),
        (needing(any_bins=("memo", "x")), {}, None, "none of the programs memo, x"),
        (needing(env=("HOME",)), {}, None, ""),
        (needing(env=("KEY",)), {}, None, "variable KEY is not set"),
        (needing(env=("KEY",)), {"env": {"KEY": "v"}}, None, ""),
        (needing(env=("KEY",)), {"env": {"KEY": ""}}, None, "variable KEY"),
        (needing(env=("GIT_DIR",)), {"env": {"GIT_DIR": "v"}}, None, "GIT_DIR is not"),
        (needing(env=("GIT_TOKEN",)), {}, None, ""),
        (needing(config=("tools.exec.mode",)), {}, None, ""),
        (needing(config=("channels.x",)), {}, None, "channels.x is not set"),
        (Manifest(name="a", description="d", os=("darwin",)), {}, None, "for darwin"),
        (
            Manifest(name="a", description="d", os=("darwin",), always=True),
            {},
            None,
            "for darwin",
        ),
        (
            Manifest(
                name="a", description="d", always=True, requires=Requires(bins=("x",))
            ),
            {},
            None,
            "",
        ),
        (
            Manifest(
                name="a",
                description="d",
                primary_env="K",
                requires=Requires(env=("K",)),
            ),
            {"api_key": Secret("s")},
            None,
            "",
        ),
    ],
)
def test_who_has_a_skill(skill, entry, allowed, why):
    said = why_not(skill, SkillEntryConfig(**entry), allowed, HERE)
    assert (why in said) if why else not said
