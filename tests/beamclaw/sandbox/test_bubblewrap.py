"""What bubblewrap is told: the whole list, and what cannot slip into it."""

import pytest

from beamclaw.contracts.commands import Launch
from beamclaw.contracts.sandbox import CannotIsolate, Machine
from beamclaw.sandbox.bubblewrap import View, environment, wrapped

MACHINE = Machine(
    bubblewrap="/usr/bin/bwrap",
    filtered=True,
    links=(("/bin", "usr/bin"),),
    folders=("/usr",),
)
LAUNCH = Launch(argv=("ls", "-l"), path="/usr/bin/ls", cwd="/w", env={"A": "1"})


def told(view, launch=LAUNCH, machine=MACHINE):
    made = wrapped(launch, "/usr/bin/ls", view, machine, b"rules")
    return made, made.inherited[len(launch.inherited)].decode().split("\0")[:-1]


def mounts(words):
    """What is mounted, in order: (how, where)."""
    found = []
    for place, word in enumerate(words):
        if word in {"--bind", "--ro-bind"}:
            found.append((word, words[place + 2]))
        elif word in {"--tmpfs", "--remount-ro"}:
            found.append((word, words[place + 1]))
    return found


def test_nothing_of_the_command_is_in_bubblewraps_own_arguments_and_environment():
    made, words = told(View())

    assert made.argv == ("/usr/bin/bwrap", "--args", "3", "--", "/usr/bin/ls", "-l")
    assert (made.env, made.cwd, made.path, made.guarded) == ({}, "/", "", True)
    assert made.inherited[1] == b"rules"
    assert words[-2:] == ["--seccomp", "4"]


def test_files_that_the_command_inherits_keep_their_places():
    launch = Launch(argv=("x",), cwd="/", env={}, inherited=(b"one", b"two"))
    made, words = told(View(), launch)

    assert made.inherited[:2] == (b"one", b"two")
    assert made.argv[1:3] == ("--args", "5")
    assert words[words.index("--seccomp") + 1] == "6"


def test_what_is_closed_is_always_closed():
    _, words = told(View(network=True))

    assert {"--unshare-all", "--die-with-parent", "--clearenv", "--share-net"} <= {
        *words
    }
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert "--share-net" not in told(View())[1]
    assert not {"--dev-bind", "--cap-add", "--bind-try", "--setuid"} & {*words}


def test_what_is_deeper_is_mounted_later_and_all_that_is_hidden_is_read_only():
    view = View(
        writable=("/homes/me", "/homes/me/.beamclaw/workspace"),
        readable=("/homes/me/.beamclaw/skills",),
        hidden=("/homes/me/.beamclaw",),
        hidden_files=("/homes/me/.netrc",),
    )
    order = [where for _, where in mounts(told(view)[1])]

    home = order.index("/homes/me")
    hidden = order.index("/homes/me/.beamclaw")
    assert home < hidden < order.index("/homes/me/.beamclaw/workspace")
    assert hidden < order.index("/homes/me/.beamclaw/skills")
    assert home < order.index("/homes/me/.netrc")
    assert mounts(told(view)[1])[-3:] == [
        ("--remount-ro", "/homes/me/.beamclaw"),
        ("--remount-ro", "/dev"),
        ("--remount-ro", "/"),
    ]


@pytest.mark.parametrize(
    "launch",
    [
        Launch(argv=("x",), cwd="/w\0--bind\0/\0/", env={}),
        Launch(argv=("x",), cwd="/w", env={"A": "1\0--share-net"}),
    ],
)
def test_nothing_slips_in_behind_a_nul(launch):
    with pytest.raises(CannotIsolate, match="NUL"):
        told(View(), launch)


def test_a_home_that_it_has_stays_its_home():
    env = {"HOME": "/srv/agent", "SSH_AUTH_SOCK": "/run/x", "LANG": "C"}

    assert environment(env, View(writable=("/srv/agent",)))["HOME"] == "/srv/agent"
    assert environment(env, View()) == {"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C"}


def test_bytes_that_are_no_text_are_told_as_they_are():
    launch = Launch(argv=("x",), cwd="/w\udcff", env={})
    made = wrapped(launch, "x", View(), MACHINE, b"")

    assert b"/w\xff\0" in made.inherited[0]
