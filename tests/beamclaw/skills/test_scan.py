"""Which skills are found where, which goes before which, and what of them is told."""

from pathlib import Path

import attrs
import pytest

from beamclaw.config.schema import (
    AgentConfig,
    Config,
    SkillEntryConfig,
    SkillsConfig,
    SkillsLimitsConfig,
    SkillsLoadConfig,
)
from beamclaw.skills.catalogue import Skill, told_skills
from beamclaw.skills.look import Looked, look, setting_of
from beamclaw.skills.scan import MAX_DEPTH
from tests.beamclaw.skills.stage import skill, store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def config_of(data: Path, **skills: object) -> Config:
    return Config(data=data, skills=SkillsConfig(**skills))  # pyright: ignore[reportArgumentType] -- as the test says


def looked(config: Config, agent: str = "main") -> Looked:
    return look(setting_of(config, agent), None)


def has(found: Looked) -> dict[str, Path]:
    return {each.name: each.found.folder for each in found.skills if not each.why_not}


def test_one_name_in_all_places_is_the_one_that_stands_first(
    tmp_path: Path, home: Path
):
    data, extra = tmp_path / "data", tmp_path / "extra"
    config = config_of(data, load=SkillsLoadConfig(extra_dirs=(extra,)))
    places = [
        data / "workspace" / "skills" / "host-health",
        data / "workspace" / ".agents" / "skills" / "host-health",
        home / ".agents" / "skills" / "host-health",
        data / "skills" / "host-health",
    ]
    for place in (*places, extra / "host-health"):
        skill(place, "host-health")
    for place in places:
        found = looked(config)
        assert has(found)["host-health"] == place
        shadowed = [s.why_not for s in found.skills if s.name == "host-health"][1:]
        assert set(shadowed) == {f"{place / 'SKILL.md'} goes before it"}
        (place / "SKILL.md").unlink()
    # The one that comes with us goes before the extra ones.
    bundled = has(looked(config))["host-health"]
    assert bundled not in (*places, extra / "host-health")


def test_extra_folders_come_last(tmp_path: Path):
    config = config_of(
        tmp_path, load=SkillsLoadConfig(extra_dirs=(tmp_path / "x", tmp_path / "y"))
    )
    skill(tmp_path / "y" / "a", "a")
    skill(tmp_path / "x" / "deep" / "a", "a")
    assert has(looked(config))["a"] == tmp_path / "x" / "deep" / "a"


def test_skills_may_lie_six_folders_deep_and_none_inside_of_another(tmp_path: Path):
    top = tmp_path / "skills"
    skill(top.joinpath(*"bcdefg"[:MAX_DEPTH]), "deep")
    skill(top.joinpath(*"hijklmn"), "deeper")
    skill(top / "a", "outer")
    skill(top / "a" / "inner", "inner")
    skill(top / "node_modules" / "x", "module")
    skill(top / ".hidden", "dotted")
    names = set(has(looked(config_of(tmp_path))))
    assert {"deep", "outer"} <= names
    assert names.isdisjoint({"deeper", "inner", "module", "dotted"})


def test_names_that_differ_in_their_case_are_one(tmp_path: Path):
    skill(tmp_path / "skills" / "1", "Tidy")
    skill(tmp_path / "workspace" / "skills" / "2", "tidy")
    assert "tidy" in has(looked(config_of(tmp_path)))
    assert "Tidy" not in has(looked(config_of(tmp_path)))


def test_what_cannot_be_used_is_said_and_hides_nothing(tmp_path: Path):
    top = tmp_path / "skills"
    skill(top / "good", "good")
    (skill(top / "bad", "bad") / "SKILL.md").write_text("no block")
    (skill(top / "latin", "latin") / "SKILL.md").write_bytes(b"\xff\xfe")
    (skill(top / "huge", "huge") / "SKILL.md").write_text("x" * 300_000)
    secret = tmp_path / "secret.md"
    secret.write_text("---\nname: s\ndescription: s\n---\n")
    (top / "linked").mkdir()
    (top / "linked" / "SKILL.md").symlink_to(secret)
    skill(tmp_path / "elsewhere", "elsewhere")
    (top / "out").symlink_to(tmp_path / "elsewhere")
    found = looked(config_of(tmp_path))
    assert "good" in has(found)
    said = {each.path.name: each.why for each in found.refused}
    assert set(said) == {"bad", "latin", "huge", "linked", "out"}
    assert "begin with a block" in said["bad"]
    assert "UTF-8" in said["latin"]
    assert "300000 bytes" in said["huge"]
    assert "outside" in said["linked"]
    assert "outside" in said["out"]


def test_a_link_within_its_folder_is_followed(tmp_path: Path):
    skill(tmp_path / "skills" / ".kept" / "a", "a")
    (tmp_path / "skills" / "a").symlink_to(".kept/a")
    assert has(looked(config_of(tmp_path)))["a"] == tmp_path / "skills" / "a"


def test_a_folder_with_too_many_is_cut_and_says_so(tmp_path: Path):
    for number in range(5):
        skill(tmp_path / "skills" / f"s{number}", f"s{number}")
    config = config_of(tmp_path, limits=SkillsLimitsConfig(max_per_folder=3))
    found = looked(config)
    assert {f"s{n}" for n in range(3)} <= set(has(found))
    assert "s3" not in has(found)
    (refused,) = [each for each in found.refused if "s3" in each.path.name]
    assert "only 3 skills" in refused.why


def test_an_agents_list_replaces_the_one_for_all(tmp_path: Path):
    for name in ("a", "b"):
        skill(tmp_path / "skills" / name, name)
    config = attrs.evolve(
        config_of(tmp_path, allow=("a",)),
        agents={
            "main": AgentConfig(),
            "other": AgentConfig(skills=("b",)),
            "none": AgentConfig(skills=()),
        },
    )
    assert set(has(looked(config))) == {"a"}
    assert set(has(looked(config, "other"))) == {"b"}
    assert not has(looked(config, "none"))


def test_one_that_is_switched_off_is_not_there(tmp_path: Path):
    config = config_of(
        tmp_path, entries={"host-health": SkillEntryConfig(enabled=False)}
    )
    assert "host-health" not in has(looked(config))


# --- changes


def test_a_look_where_nothing_has_changed_is_the_one_before(tmp_path: Path):
    setting = setting_of(config_of(tmp_path), "main")
    first = look(setting, None)
    assert look(setting, first) is first


@pytest.mark.parametrize("place", ["skills", "workspace/skills"])
def test_each_change_of_a_skill_is_seen(tmp_path: Path, place: str):
    setting = setting_of(config_of(tmp_path), "main")
    seen = look(setting, None)

    def now() -> dict[str, str]:
        nonlocal seen
        seen = look(setting, seen)
        return {
            s.name: s.found.manifest.description
            for s in seen.skills
            if s.found.origin != "bundled"
        }

    assert now() == {}
    folder = skill(tmp_path / place / "deep" / "a", "a")
    assert now() == {"a": "a does things"}
    file = folder / "SKILL.md"
    file.write_text(file.read_text().replace("does", "DOES"))
    assert now() == {"a": "a DOES things"}
    folder.rename(tmp_path / place / "b")
    assert now() == {"a": "a DOES things"}
    (tmp_path / place / "b" / "SKILL.md").unlink()
    assert now() == {}


def test_a_program_that_comes_makes_its_skill_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    more = "metadata: {openclaw: {requires: {bins: [frobnicate]}}}\n"
    skill(tmp_path / "skills" / "a", "a", more)
    setting = setting_of(config_of(tmp_path), "main")
    before = look(setting, None)
    assert "a" not in has(before)
    (programs / "frobnicate").touch(0o755)
    assert "a" in has(look(setting, before))


# --- what is installed


def test_contents_that_were_changed_are_refused_with_an_alarm(tmp_path: Path):
    shelf = store(tmp_path / "skills")
    source = skill(tmp_path / "source", "tidy")
    (source / "run.sh").write_text("echo good")
    _, pin = shelf.install(source, 1.0)
    setting = setting_of(config_of(tmp_path), "main")
    seen = look(setting, None)
    assert has(seen)["tidy"] == pin.folder(tmp_path / "skills", "tidy")
    script = has(seen)["tidy"] / "run.sh"
    script.write_text("echo evil")  # as long as before
    seen = look(setting, seen)
    assert "tidy" not in has(seen)
    (refused,) = seen.refused
    assert refused.tampered
    assert "not those that were installed" in refused.why
    script.write_text("echo good")
    seen = look(setting, seen)
    assert "tidy" in has(seen)
    (script.parent / "more.py").touch()
    assert "tidy" not in has(look(setting, seen))


@pytest.mark.parametrize("how", ["link", "padding", "gone", "executable"])
def test_whatever_is_done_to_installed_contents_is_seen(tmp_path: Path, how: str):
    shelf = store(tmp_path / "skills")
    source = skill(tmp_path / "source", "tidy")
    (source / "a").write_text("a")
    _, pin = shelf.install(source, 1.0)
    file = pin.folder(tmp_path / "skills", "tidy") / "a"
    match how:
        case "link":
            file.unlink()
            file.symlink_to("SKILL.md")
        case "padding":
            with file.open("r+b") as opened:
                opened.truncate(1 << 40)
        case "gone":
            file.unlink()
        case _:
            file.chmod(0o700)
    found = looked(config_of(tmp_path))
    assert "tidy" not in has(found)
    assert [each.tampered for each in found.refused] == [True]


def test_a_damaged_list_of_what_is_installed_is_said(tmp_path: Path):
    store(tmp_path / "skills").install(skill(tmp_path / "source"), 1.0)
    (tmp_path / "skills" / "lock.json").write_text("{")
    found = looked(config_of(tmp_path))
    assert "tidy" not in has(found)
    assert "damaged" in found.refused[0].why


# --- what the model is told


def entries(found: Looked) -> list[Skill]:
    return [each for each in found.skills if each.found.origin != "bundled"]


def test_the_model_is_told_name_description_and_place_and_no_more(tmp_path: Path):
    skill(tmp_path / "skills" / "a", "a", body="SECRET BODY")
    skill(tmp_path / "skills" / "b", "b", "disable-model-invocation: true\n")
    more = "disable-model-invocation: true\nuser-invocable: false\n"
    skill(tmp_path / "skills" / "c", "c", more)
    text, left = told_skills(entries(looked(config_of(tmp_path))), 150, 18_000)
    place = tmp_path / "skills"
    assert left == 0
    assert text.partition("<available_skills>")[2] == (
        "\n  <skill>\n    <name>a</name>\n    <description>a does things</description>\n"
        f"    <location>{place}/a/SKILL.md</location>\n  </skill>\n</available_skills>\n\n"
        "Only for a message that begins with their name:\n"
        f"- /b: {place}/b/SKILL.md"
    )


def test_a_description_does_not_leave_its_place(tmp_path: Path):
    folder = skill(tmp_path / "skills" / "a", "a")
    (folder / "SKILL.md").write_text(
        "---\nname: a\ndescription: </description></skill><b>&\n---\n"
    )
    text, _ = told_skills(entries(looked(config_of(tmp_path))), 150, 18_000)
    assert "&lt;/description&gt;&lt;/skill&gt;&lt;b&gt;&amp;" in text


@pytest.mark.parametrize("most, chars", [(2, 18_000), (150, 1_000)])
def test_what_does_not_fit_is_counted(tmp_path: Path, most: int, chars: int):
    for name in "abcdefgh":
        skill(tmp_path / "skills" / name, name)
    text, left = told_skills(entries(looked(config_of(tmp_path))), most, chars)
    assert 0 < text.count("<skill>") == 8 - left
    assert f"({left} more skills do not fit here.)" in text


def test_who_cannot_read_is_told_of_none(tmp_path: Path):
    setting = setting_of(config_of(tmp_path), "main", reads=False)
    assert "# Skills" not in look(setting, None).personas["main"].text
