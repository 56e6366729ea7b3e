"""Reads secrets from where they are: variables, files, programs, the system's keyring.

Everything here blocks, and is done before the node runs, or in a thread.
"""

import os
import selectors
import signal
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from beamclaw.config.secret_forms import (
    CannotRead,
    Form,
    FromCommand,
    InFile,
    InKeyring,
    InVariable,
)
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen

if TYPE_CHECKING:
    from subprocess import Popen

# Seconds for which an answer of a program is taken again: a change of the file is read
# several times until it is written, and whoever unlocks a safe is asked once.
FRESH: Final = 10.0
# Seconds between two looks at whether a program has ended whose output stays open.
_LOOK: Final = 0.1
_CHUNK: Final = 65_536


@frozen
class SecretLimits:
    """What reading one secret may take.

    Attributes:
        seconds: That a program may run.
        most: Bytes of a secret.
    """

    seconds: float
    most: int


@attrs.define
class SecretReader:
    """Reads secrets, and knows those that programs have said.

    Attributes:
        known: By form: what it was, and when, in seconds of the monotonic clock.
    """

    _known: dict[Form, tuple[float, Secret]] = attrs.field(
        factory=dict[Form, tuple[float, Secret]], repr=False
    )

    def read(
        self,
        form: Form,
        variables: Mapping[str, str],
        limits: SecretLimits,
        *,
        again: bool = True,
    ) -> Secret:
        """The secret that *form* leads to.

        Args:
            form: Where it is.
            variables: The environment, also that of programs.
            limits: For this one.
            again: Whether a program is asked again that has answered some time ago.

        Raises:
            CannotRead: It is not there; the words have nothing of it.
        """
        match form:
            case InVariable(name):
                return _variable(name, variables)
            case InFile(path):
                return _secret(_file(path, limits.most), form)
            case _:
                return self._said(form, variables, limits, again=again)

    def let_grow_old(self) -> None:
        """Programs are asked again by the next read that may, however fresh they are."""
        self._known = {
            form: (float("-inf"), secret) for form, (_, secret) in self._known.items()
        }

    def _said(
        self,
        form: FromCommand | InKeyring,
        variables: Mapping[str, str],
        limits: SecretLimits,
        *,
        again: bool,
    ) -> Secret:
        now = time.monotonic()
        at, known = self._known.get(form, (0.0, None))
        if known is not None and (not again or now - at < FRESH):
            return known
        if isinstance(form, InKeyring):
            run = FromCommand(_keyring_words(form), Path("/"))
        else:
            run = form
        secret = _secret(_output(form, run, variables, limits), form)
        self._known[form] = (time.monotonic(), secret)
        return secret


class NotReading(SecretReader):
    """Reads nothing: for whoever wants to know what else the configuration says."""

    def read(
        self,
        form: Form,
        variables: Mapping[str, str],
        limits: SecretLimits,
        *,
        again: bool = True,
    ) -> Secret:
        """Something in its place: one for each form, and of a length that will do."""
        del variables, limits, again
        return Secret(sha256(repr(attrs.astuple(form)).encode()).hexdigest())


def _variable(name: str, variables: Mapping[str, str]) -> Secret:
    if not variables.get(name):
        raise CannotRead(f"the variable {name} is not set")
    return Secret(variables[name])


def _file(path: Path, most: int) -> bytes:
    try:
        # What is no file may never be readable, and would keep whoever opens it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CannotRead(f"{path} is no file")
            content = file.read(most + 1)
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise CannotRead(f"{path} is larger than {most} bytes; a secret is not")
    return content


def _secret(content: bytes, form: Form) -> Secret:
    """Ends of lines after it belong to whatever wrote it, as in a shell's ``$(...)``."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise CannotRead(f"{form} is not UTF-8 text") from None
    text = text.rstrip("\r\n")
    if not text.strip() or "\0" in text:
        what = "is empty" if not text.strip() else "has a NUL in it"
        raise CannotRead(f"{form} {what}")
    return Secret(text)


def _keyring_words(form: InKeyring) -> tuple[str, ...]:
    from importlib.util import find_spec  # noqa: PLC0415 -- for whoever uses it

    if find_spec("keyring") is None:
        raise CannotRead(
            f"{form} needs the package keyring beside beamclaw; install it by: "
            'pip install "beamclaw[keyring]"'
        )
    # In a process of its own: it may wait for a person, and has no time-out.
    return (sys.executable, "-m", "keyring", "get", form.service, form.name)


def _output(
    form: Form, run: FromCommand, variables: Mapping[str, str], limits: SecretLimits
) -> bytes:
    """What a program prints until it ends; what it has started ends with it."""
    import subprocess  # noqa: PLC0415 -- for whoever uses it

    seconds, most = run.seconds or limits.seconds, limits.most
    try:
        program = subprocess.Popen(  # noqa: S603 -- the owner of the node has written it
            run.words,
            cwd=run.folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # It may say anything there, the secret as well.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CannotRead(f"{form} cannot be started: {why}") from None
    try:
        content = _read(program, time.monotonic() + seconds, most)
        if content is None:
            raise CannotRead(f"{form} did not end within {seconds:g} s")
        if len(content) > most:
            raise CannotRead(f"{form} said more than {most} bytes; a secret is shorter")
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, signal.SIGKILL)
        if program.stdout is not None:
            program.stdout.close()
        code = program.wait()
    if code and isinstance(form, InKeyring):
        by_hand = f"keyring get {form.service} {form.name}"
        raise CannotRead(f"{form} is not there, or not open; see: {by_hand}")
    if code:
        how = f"ended with {code}" if code > 0 else f"was ended by signal {-code}"
        raise CannotRead(f"{form} {how}; run it by hand to see why")
    return content


def _read(program: "Popen[bytes]", until: float, most: int) -> bytes | None:
    """What it prints, a little more than *most* of it; None: time is over."""
    assert program.stdout is not None
    handle, content = program.stdout.fileno(), bytearray()
    os.set_blocking(handle, False)
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while len(content) <= most:
            left = until - time.monotonic()
            if left <= 0:
                return None
            # Something that it has left behind may hold its output open for ever.
            ended = _ended(program.pid)
            if not selector.select(0 if ended else min(left, _LOOK)):
                if ended:
                    break
                continue
            piece = os.read(handle, _CHUNK)
            if not piece:
                break
            content += piece
    while len(content) <= most and not _ended(program.pid):
        if time.monotonic() > until:
            return None
        with selectors.DefaultSelector() as nothing:
            nothing.select(_LOOK)
    return bytes(content)


def _ended(pid: int) -> bool:
    """Whether it has; its number stays taken until it is waited for."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None
