"""Values of the node are made by :func:`beamclaw.values.frozen`, which costs less."""

from tests.support.node import ROOT


def test_all_values_share_their_methods():
    dear = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "beamclaw").rglob("*.py"))
        if file != ROOT / "beamclaw" / "values.py"
        if "@attrs.frozen" in file.read_text()
    ]
    assert dear == [], "make it by beamclaw.values.frozen"
