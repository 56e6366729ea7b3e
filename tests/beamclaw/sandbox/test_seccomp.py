"""The filter of system calls, played by the rules of the kernel's packet filter."""

import struct

import pytest

from beamclaw.sandbox import seccomp

ALLOW, EPERM, ENOSYS, FAMILY = 0x7FFF0000, 0x50001, 0x50026, 0x50061
X86, ARM = 0xC000003E, 0xC00000B7


def verdict(program, audit, number, *arguments):
    """What the filter says of a call."""
    arguments = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *arguments)
    steps = [*struct.iter_unpack("=HBBI", program)]
    place, held = 0, 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            case 0x15:
                place += yes if held == value else no
            case 0x35:
                place += yes if held >= value else no
            case 0x45:
                place += yes if held & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"no such step: {code:#x}")


@pytest.mark.parametrize(
    "number, arguments, says",
    [
        (0, (), ALLOW),  # read
        (59, (), ALLOW),  # execve
        (101, (), ALLOW),  # ptrace: of its own
        (250, (), EPERM),  # keyctl
        (321, (), EPERM),  # bpf
        (165, (), EPERM),  # mount
        (425, (), EPERM),  # io_uring_setup
        (435, (), ENOSYS),  # clone3
        (56, (0x11,), ALLOW),  # clone, as fork does
        (56, (0x11 | 0x10000000,), EPERM),  # a user namespace
        (272, (0x20000,), ALLOW),  # unshare
        (272, (0x10000000,), EPERM),
        (16, (0, 0x5401), ALLOW),  # ioctl
        (16, (0, 0x5412), EPERM),  # TIOCSTI
        (16, (0, 0x7_0000_5412), EPERM),  # the kernel looks at the lower half, too
        (16, (0, 0x541C), EPERM),
        (41, (1,), ALLOW),  # socket
        (41, (2,), ALLOW),
        (41, (10,), ALLOW),
        (41, (16,), ALLOW),
        (41, (40,), FAMILY),  # to the machine below
        (41, (38,), FAMILY),
        (53, (1,), ALLOW),  # socketpair
        (53, (40,), FAMILY),
        (0x40000000 + 59, (), ENOSYS),  # another way to call the same
    ],
)
def test_a_call(number, arguments, says):
    assert verdict(seccomp.program("x86_64"), X86, number, *arguments) == says


@pytest.mark.parametrize(
    "number, arguments, says",
    [
        (63, (), ALLOW),
        (219, (), EPERM),
        (220, (0x10000000,), EPERM),
        (29, (0, 0x5412), EPERM),
        (198, (40,), FAMILY),
        (198, (2,), ALLOW),
    ],
)
def test_a_call_on_the_other_kind_of_processor(number, arguments, says):
    assert verdict(seccomp.program("aarch64"), ARM, number, *arguments) == says


def test_calls_of_another_kind_of_program_are_not_known():
    assert verdict(seccomp.program("x86_64"), 0x40000003, 1) == ENOSYS


def test_for_other_processors_there_is_none():
    assert seccomp.program("riscv64") == b""
