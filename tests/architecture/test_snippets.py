"""A snippet of the documentation that fails, in a pytest of its own."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

FAILS_FROM_ANOTHER = """
```python
try:
    raise KeyError("cause")
except KeyError as error:
    cause = error
raise RuntimeError("what the page does wrong") from cause
```

```python
after = "the next snippet"
```
"""


def test_a_snippet_that_fails_from_another_failure_does_not_end_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "conftest.py").read_text())
    page = pytester.mkdir("docs") / "page.md"
    page.write_text(FAILS_FROM_ANOTHER)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", str(page))
    outcome.assert_outcomes(failed=1, passed=1)
    outcome.stdout.fnmatch_lines(["*RuntimeError: what the page does wrong"])
