"""Every key has a right value that changes it alone, and a wrong one that is told of."""

from pathlib import Path

import pytest

from beamclaw.config.applying import rule_of
from beamclaw.config.loader import load_text
from beamclaw.config.problems import ConfigError
from beamclaw.config.schema import Config
from beamclaw.config.writing.differing import differences
from tests.support.edits import Edit, edit, every_key, one_holds_other

pytestmark = pytest.mark.slow


def read(folder: Path, text: str) -> Config:
    file = folder / "beamclaw.yaml"
    return load_text(text, file, {}, folder=folder / "data").config


def test_every_key_of_the_schema_is_edited():
    found = [key.path for key in every_key()]
    assert len(found) == len(set(found)) > 300
    assert all(rule_of(path).when for path in found)


def test_a_right_value_is_taken_and_a_wrong_one_named_by_line_and_key(tmp_path: Path):
    (tmp_path / "script.yaml").write_text("- reply: words\n")
    base = {"agents": {"second": {}}}
    was = read(tmp_path, Edit(every_key()[0], right=True, document=base).text)
    for number, key in enumerate(every_key()):
        now = read(tmp_path, edit(key, base, tmp_path, right=True, number=number).text)
        changed = [change.path for change in differences(was, now)]
        assert any(one_holds_other(path, key.path) for path in changed), key.path
        wrong = edit(key, base, tmp_path, right=False, number=number)
        with pytest.raises(ConfigError) as refused:
            read(tmp_path, wrong.text)
        start = f"{tmp_path}/beamclaw.yaml:{wrong.line}:"
        said = [str(problem) for problem in refused.value.problems]
        assert any(
            each.startswith(start) and f": {key.path}" in each for each in said
        ), (key.path, said)
