"""The gateway's shared secret when nobody set one: made once, kept in the data folder."""

import os
import secrets
from pathlib import Path
from typing import Final

import attrs

from beamclaw.config.checks import SHORTEST_TOKEN
from beamclaw.config.problems import ConfigError, Problem, Where
from beamclaw.config.schema import Config
from beamclaw.contracts.points import point
from beamclaw.contracts.secret import Secret

FILE_NAME: Final = "token"


def kept_token(data: Path) -> Secret:
    """The token in the data folder *data*, which exists; made if there is none.

    Raises:
        ConfigError: The file is there and holds no token.
        OSError: It cannot be read or written.
    """
    path = data / FILE_NAME
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
        return _read(path)


def with_token(config: Config) -> Config:
    """*config* with the shared secret in it: made now if it names none and needs one.

    Raises:
        ConfigError: The file that keeps it holds no token.
        OSError: It cannot be read or written.
    """
    auth = config.gateway.auth
    if auth.mode != "token" or auth.token is not None:
        return config
    auth = attrs.evolve(auth, token=kept_token(config.data))
    return attrs.evolve(config, gateway=attrs.evolve(config.gateway, auth=auth))


def usable(token: str) -> bool:
    """Whether the file that keeps the token may hold this one."""
    return len(token) >= SHORTEST_TOKEN and token.isprintable() and " " not in token


def _read(path: Path) -> Secret:
    token = path.read_text("ascii", "replace").strip()
    if not usable(token):
        words = "holds no usable token; delete it and a new one is made at the start"
        raise ConfigError([Problem(Where(str(path)), "", words)])
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return Secret(token)


def _make(path: Path) -> None:
    # Written beside and linked: a reader never sees half of it, and of two starts at
    # the same moment one wins and both read the same.
    draft = path.with_name(f".{FILE_NAME}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            with point("token.sync"):
                os.fsync(handle)
        with point("token.link"):
            path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
