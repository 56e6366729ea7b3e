"""A filter for the calls that a command in the sandbox makes to the kernel.

Namespaces do not hold everything: keys that the kernel keeps, sockets to the machine
below a virtual one, characters typed into somebody's terminal. And whole parts of the
kernel are of use to nobody there but who looks for a hole in it. So these calls are
refused; all others pass. It is a program for the kernel's packet filter, put together
here: a library for it would be one more thing that has to be installed.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

from beamclaw.values import frozen

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_PASS: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
# Flags of clone and unshare: a further user namespace is where most holes were found.
_NEW_USER: Final = 0x10000000
# Typing into a terminal, as if somebody did; in the console, the same and more.
_TYPING: Final = (0x5412, 0x541C)
# Local ones, IP, and what programs ask the kernel for addresses with.
_FAMILIES: Final = (0, 1, 2, 10, 16)

_NAMES: Final = (
    *("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd"),
    *("kexec_load", "kexec_file_load", "open_by_handle_at", "name_to_handle_at"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "setns", "acct"),
    *("init_module", "finit_module", "delete_module", "swapon", "swapoff", "reboot"),
    *("mount", "umount2", "pivot_root", "quotactl", "fanotify_init", "lookup_dcookie"),
    *("move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr", "syslog"),
)


@frozen
class _Machine:
    audit: int
    # Numbers from here on are another way to call the same.
    foreign: int | None
    clone: int
    clone3: int
    unshare: int
    ioctl: int
    socket: int
    socketpair: int
    refused: Mapping[str, int]


def _machine(audit: int, foreign: int | None, six: str, refused: str) -> _Machine:
    numbers = dict(zip(_NAMES, map(int, refused.split()), strict=True))
    return _Machine(audit, foreign, *map(int, six.split()), refused=numbers)


# As `platform.machine()` has it.
_MACHINES: Final[Mapping[str, _Machine]] = {
    "x86_64": _machine(
        0xC000003E,
        0x40000000,
        "56 435 272 16 41 53",
        "250 248 249 321 298 323 246 320 304 303 425 426 427 308 163 175 313 176 167 168 "
        "169 165 166 155 179 300 212 429 428 430 432 442 103",
    ),
    "aarch64": _machine(
        0xC00000B7,
        None,
        "220 435 97 29 198 199",
        "219 217 218 280 241 282 104 294 265 264 425 426 427 268 89 105 273 106 224 225 "
        "142 40 39 41 60 262 18 429 428 430 432 442 116",
    ),
}


def program(machine: str) -> bytes:
    """The filter for this kind of processor; empty where we have none."""
    known = _MACHINES.get(machine)
    return b"" if known is None else _program(known)


def _program(machine: _Machine) -> bytes:
    """Each rule is a piece that is jumped over where it is not meant."""
    head = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        _refuse(_ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.foreign is not None:
        head += [(_AT_LEAST, 0, 1, machine.foreign), _refuse(_ENOSYS)]
    return _packed(
        [
            *head,
            *(
                step
                for number in machine.refused.values()
                for step in ((_EQUAL, 0, 1, number), _refuse(_EPERM))
            ),
            # Its flags cannot be looked at; libraries fall back to the other one.
            *((_EQUAL, 0, 1, machine.clone3), _refuse(_ENOSYS)),
            *_if_called(
                machine.clone, 0, [(_ANY_BIT, 0, 1, _NEW_USER), _refuse(_EPERM)]
            ),
            *_if_called(
                machine.unshare, 0, [(_ANY_BIT, 0, 1, _NEW_USER), _refuse(_EPERM)]
            ),
            *_if_called(
                machine.ioctl,
                1,
                [
                    step
                    for request in _TYPING
                    for step in ((_EQUAL, 0, 1, request), _refuse(_EPERM))
                ],
            ),
            *_only_families(machine.socket),
            *_only_families(machine.socketpair),
            (_RETURN, 0, 0, _PASS),
        ]
    )


def _refuse(error: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _REFUSE | error)


def _if_called(
    number: int, argument: int, steps: list[tuple[int, int, int, int]]
) -> list[tuple[int, int, int, int]]:
    """For one call: look at the lower half of an argument; all else goes on behind it."""
    inner = [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), *steps, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(inner), number), *inner]


def _only_families(number: int) -> list[tuple[int, int, int, int]]:
    count = len(_FAMILIES)
    tests = [
        (_EQUAL, count - place, 0, family) for place, family in enumerate(_FAMILIES)
    ]
    return _if_called(number, 0, [*tests, _refuse(_EAFNOSUPPORT)])


def _packed(steps: Iterable[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
