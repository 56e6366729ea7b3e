"""The command: play, repeat one scenario, look for faults that were put in."""

import argparse
import sys

from . import erlang
from .compare import Difference, compare
from .families import SHARES, generate
from .play import play
from .run import Report, run
from .scenario import Scenario
from .shown import elsewhere
from .shown.expected import expected
from .shrink import command, shrink, told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--family", choices=list(SHARES))
    parser.add_argument(
        "--scenario", type=int, help="play only this one, and shrink it"
    )
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument(
        "--counts", action="store_true", help="print what the traces show"
    )
    options = parser.parse_args()
    if options.scenario is not None:
        return repeat(
            options.seed,
            options.scenario,
            options.family,
            shrinking=not options.no_shrink,
        )
    report = run(options.seed, options.first, options.count, options.family, progress)
    print()
    print(summary(report, options.seed, options.first))
    if options.counts:
        print(table(report))
    for scenario, _ in report.different[1:6]:
        print("it differs, too:", command(scenario))
    for scenario, difference in report.different[:1]:
        tell(scenario, difference, shrinking=not options.no_shrink)
    return 1 if report.different else 0


def progress(report: Report) -> None:
    done = report.played + report.untimed
    rate = done / report.seconds
    text = f"\r{done} played, {rate:.0f} per second, {len(report.different)} different"
    print(text, end="", file=sys.stderr, flush=True)


def table(report: Report) -> str:
    """How often everything occurred, and where the rest is shown."""
    lines = ["what the traces show, and how often:"]
    lines += [f"  {report.occurred[key]:7}  {key}" for key in expected()]
    others = sorted(report.occurred.keys() - set(expected()))
    lines += [f"  {report.occurred[key]:7}  {key}" for key in others]
    lines.append("what they do not show, and the tests that do:")
    for item, tests in elsewhere().items():
        where = tests[0] if tests else "none; docs/reference/otp.md says why"
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        lines.append(f"  {item:>7}  {where}{more}")
    return "\n".join(lines)


def summary(report: Report, seed: int, first: int) -> str:
    done = report.played + report.untimed
    kinds = ", ".join(f"{name} {n}" for name, n in sorted(report.families.items()))
    return (
        f"seed {seed}, scenarios {first} to {first + done - 1}: "
        f"{report.played} compared ({kinds}), {report.untimed} could not be timed, "
        f"{report.quirks} only in part, "
        f"{report.seconds:.0f} s, {len(report.different)} different"
    )


def repeat(seed: int, number: int, family: str | None, *, shrinking: bool) -> int:
    """Play one scenario again."""
    scenario = generate(seed, number, family)
    (theirs,) = erlang.play([scenario])
    difference = compare(scenario, theirs, play(scenario))
    if difference is None:
        print(told(scenario))
        print("could not be timed" if isinstance(theirs, str) else "no difference")
        return 0
    tell(scenario, difference, shrinking=shrinking)
    return 1


def tell(scenario: Scenario, difference: Difference, *, shrinking: bool) -> None:
    """Show a scenario that differs, as small as it gets."""
    print(f"scenario {scenario.number} of seed {scenario.seed} ({scenario.family}):")
    if shrinking:
        small, less = shrink(scenario, difference)
        print("made small:")
        print(told(small))
        print(less)
    else:
        print(told(scenario))
        print(difference)
    print("to repeat it:", command(scenario))


if __name__ == "__main__":
    sys.exit(main())
