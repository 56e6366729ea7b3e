"""For every test: the outside programs, what is tried, the snippets of README and docs."""

from typing import Any

from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["tests.peers.plugin", "tests.support.contract"]

# No example has a time: the machine's is no property of ours. `just check` takes *fast*,
# a fifth of the examples; `just test` has them all. A test that needs more or fewer than
# a hundred says so with `tests.support.examples.examples`.
ANY_TIME: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("whole", max_examples=100, **ANY_TIME)
settings.register_profile("fast", max_examples=20, **ANY_TIME)
settings.load_profile("whole")

# A ```python block runs; a ```console block is read by people. Blocks of one page share
# their names, from top to bottom.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
    excludes=["docs/_build/**"],
).pytest()
