"""``beamclaw service show|install|remove``."""

import argparse
import getpass
import os
import pwd
import sys
from pathlib import Path

from beamclaw.cli.configured import configured
from beamclaw.cli.output import CommandError, result, result_json, tell
from beamclaw.config.problems import ConfigError
from beamclaw.config.schema import ShutdownConfig
from beamclaw.contracts.shell import data_folder
from beamclaw.service.unit import NAME, Unit, folder


def show(options: argparse.Namespace) -> int:
    """Print the unit."""
    unit = _unit(options)
    if options.json:
        result_json({"path": str(_path(options)), "text": unit.text()})
    else:
        result(unit.text().rstrip())
    return 0


def install(options: argparse.Namespace) -> int:
    """Write the unit, and say how it is started."""
    path, unit = _path(options), _unit(options)
    text = unit.text()
    try:
        there = path.read_text() if path.exists() else None
        if there not in (None, text) and not options.force:
            raise CommandError(
                f"{path} is there and says something else; look at it (beamclaw service "
                "show prints this one), then replace it with --force"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    except OSError as error:
        raise CommandError(_refused(path, error)) from None
    if options.json:
        result_json({"path": str(path), "changed": there != text})
        return 0
    result(str(path))
    manager = "systemctl" if options.system else "systemctl --user"
    tell("next:")
    tell(f"  {manager} daemon-reload && {manager} enable --now beamclaw")
    if not options.system:
        tell(f"  loginctl enable-linger {getpass.getuser()}   # also while logged out")
    tell(f"  keys of providers, as NAME=value, in {unit.data / 'service.env'} (0600)")
    return 0


def remove(options: argparse.Namespace) -> int:
    """Take the unit away."""
    path = _path(options)
    manager = "systemctl" if options.system else "systemctl --user"
    try:
        path.unlink()
    except FileNotFoundError:
        raise CommandError(f"there is no {path}") from None
    except OSError as error:
        raise CommandError(_refused(path, error)) from None
    if options.json:
        result_json({"path": str(path), "changed": True})
        return 0
    result(f"{path}: removed")
    tell(f"next:\n  {manager} disable --now beamclaw; {manager} daemon-reload")
    return 0


def _refused(path: Path, error: OSError) -> str:
    words = f"{path} cannot be written: {error.strerror or error}"
    return f"{words}; a unit of the whole system is root's: sudo beamclaw service …"


def _path(options: argparse.Namespace) -> Path:
    home = Path(os.environ.get("HOME") or Path.home())
    place = folder(home, os.environ.get("XDG_CONFIG_HOME", ""), system=options.system)
    return place / NAME


def _unit(options: argparse.Namespace) -> Unit:
    user = options.user or os.environ.get("SUDO_USER") or getpass.getuser()
    if options.user and not options.system:
        raise CommandError("--user is for --system: a unit of your own runs as you", 2)
    home = {"HOME": _home(user)} if options.system else {}
    data = data_folder({**os.environ, **home}, options.data)
    words = [sys.executable, "-m", "beamclaw", "run", "--data", str(data)]
    config = options.config or os.environ.get("BEAMCLAW_CONFIG")
    if config:
        words += ["--config", str(Path(config).absolute())]
    if options.last_good:
        words.append("--last-good")
    return Unit(
        command=words,
        data=data,
        user=user if options.system else None,
        drain=_drain(options),
    )


def _home(user: str) -> str:
    """Where the data folder of whom the unit runs as is, not of who writes it."""
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        raise CommandError(f"--user {user}: there is no such user here", 2) from None


def _drain(options: argparse.Namespace) -> float:
    """As it is configured; what is wrong there is another command's."""
    try:
        return configured(options).shutdown.drain_seconds
    except ConfigError:
        return ShutdownConfig().drain_seconds
