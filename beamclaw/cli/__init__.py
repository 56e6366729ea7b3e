"""The command ``beamclaw``: finds the verb, imports what it needs, ends with a code.

0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted. A person's mistake is
told in words on standard error; a traceback there is a mistake of ours.
"""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import cast

from beamclaw.cli.output import CommandError, tell
from beamclaw.cli.parser import Usage, parse

WINDOWS = "beamclaw does not run on Windows itself; run it in WSL2 (wsl --install)."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of the program."""
    if sys.platform == "win32":
        tell(WINDOWS)
        return 2
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except Usage as error:
        tell(str(error))
        return error.code
    except CommandError as error:
        tell(f"beamclaw: {error}")
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has seen enough; keep the interpreter's own flush quiet, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if options is None:  # help or version was printed
        return 0
    module, _, function = cast("str", options.run).partition(":")
    run = cast("Callable[[object], int]", getattr(_imported(module), function))
    code = run(options)
    sys.stdout.flush()
    return code


def _imported(module: str) -> ModuleType:
    """What is imported stays: to look for garbage in it is a fifth of a start."""
    gc.disable()
    try:
        return importlib.import_module(f"beamclaw.cli.{module}")
    finally:
        gc.freeze()
        gc.enable()
