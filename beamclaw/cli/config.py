"""``beamclaw config check|show|schema``."""

import argparse
import json
import os
from typing import Any

from beamclaw.cli.output import result, result_json, tell
from beamclaw.config.json_schema import file_schema
from beamclaw.config.loader import load
from beamclaw.config.problems import ConfigError, Problem
from beamclaw.config.reference import effective, effective_values


def check(options: argparse.Namespace) -> int:
    """Print what is wrong; 2 if it cannot be used."""
    try:
        loaded = load(
            os.environ, file=options.config, data=options.data, strict=options.strict
        )
    except ConfigError as error:
        return _report(options, error.problems, error.warnings)
    if not options.json:
        where = loaded.file or "there is no file; what holds without one"
        _report(options, (), loaded.warnings)
        result(f"{where}: can be used")
        return 0
    return _report(options, (), loaded.warnings)


def _report(
    options: argparse.Namespace,
    problems: tuple[Problem, ...],
    warnings: tuple[Problem, ...],
) -> int:
    code = 2 if problems else 0
    if options.json:
        errors = [_plain(problem) for problem in problems]
        found = [_plain(problem) for problem in warnings]
        result_json({"ok": not problems, "errors": errors, "warnings": found})
        return code
    say(problems, warnings)
    return code


def say(problems: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> None:
    """Tell them on standard error, one per line."""
    for problem in problems:
        tell(f"error: {problem}")
    for problem in warnings:
        tell(f"warning: {problem}")


def _plain(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.where.source,
        "line": problem.where.line,
        "column": problem.where.column,
        "path": problem.path,
        "message": problem.message,
    }


def show(options: argparse.Namespace) -> int:
    """Print what holds, and where it was set."""
    try:
        loaded = load(os.environ, file=options.config, data=options.data)
    except ConfigError as error:
        say(error.problems, error.warnings)
        return 2
    say((), loaded.warnings)
    if options.json:
        result_json(effective_values(loaded))
    else:
        result(effective(loaded).rstrip())
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the configuration's JSON Schema; with ``--json`` in one line."""
    if options.json:
        result_json(file_schema())
    else:
        result(json.dumps(file_schema(), indent=2, ensure_ascii=False))
    return 0
