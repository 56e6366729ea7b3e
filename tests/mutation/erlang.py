"""How soon the comparison with Erlang finds a fault.

Erlang plays the scenarios once. Each fault then gets a process of its own, which plays
them on a copy of the package with that fault, until one differs:

    python -m tests.mutation.erlang <traces>
"""

import json
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.differential import erlang
from tests.differential.compare import compare
from tests.differential.families import generate

from .copies import check_package, copied, run
from .fault import Fault

BATCH = 500
# Seconds for all scenarios on a faulty copy; they take a few.
PATIENCE = 180.0


@attrs.frozen
class Found:
    """What the comparison says of one fault.

    Attributes:
        after: How many scenarios were played when one differed; ``None``: none did.
        family: What that one was about.
        says: Where it differs; or what went wrong, if nothing was compared.
    """

    after: int | None
    family: str = ""
    says: str = ""


@contextmanager
def traces(seed: int, count: int) -> Iterator[Path]:
    """Have Erlang play the scenarios, and keep what it did in a file."""
    scenarios = [generate(seed, number) for number in range(count)]
    batches = [scenarios[at : at + BATCH] for at in range(0, count, BATCH)]
    played = [trace for batch in batches for trace in erlang.play(batch)]
    with tempfile.TemporaryDirectory(prefix="traces-") as folder:
        path = Path(folder) / "traces"
        path.write_bytes(pickle.dumps(list(zip(scenarios, played, strict=True))))
        yield path


def compare_with(source: Path, fault: Fault | None, path: Path) -> Found:
    """Play the scenarios on a copy of the package in *source* with *fault* in it."""
    with copied(source, fault) as folder:
        ended, said = run(folder, ["-m", __name__, str(path)], PATIENCE)
    lines = said.splitlines()
    if not ended or not lines or not lines[-1].startswith("{"):
        return Found(None, says=f"no end: {ended=} {said[-1000:]}")
    return Found(**json.loads(lines[-1]))


def main(arguments: Sequence[str]) -> None:
    """In the process of one fault."""
    check_package()
    from tests.differential.play import play  # noqa: PLC0415 - after the check

    found = Found(None)
    listed = pickle.loads(Path(arguments[0]).read_bytes())
    for number, (scenario, theirs) in enumerate(listed, 1):
        difference = compare(scenario, theirs, play(scenario))
        if difference is not None:
            found = Found(number, scenario.family, str(difference))
            break
    print(json.dumps(attrs.asdict(found)))  # noqa: T201 - its result


if __name__ == "__main__":
    main(sys.argv[1:])
