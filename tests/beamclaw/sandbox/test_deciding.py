"""Which commands run where, within which limits: the rules as tables."""

import attrs
import pytest

from beamclaw.config.schema import SandboxConfig
from beamclaw.contracts.commands import Limits
from beamclaw.contracts.sandbox import (
    CannotIsolate,
    Hierarchy,
    Machine,
    Need,
    refusal,
    trust_of,
)
from beamclaw.sandbox.deciding import decide, least
from beamclaw.sandbox.server import isolation_of, where

ALL = frozenset({"memory", "pids", "cpu"})
FULL = Machine(
    bubblewrap="/usr/bin/bwrap",
    cgroups=(Hierarchy(folder="/cg", version=2, controllers=ALL),),
)
BARE = Machine(why="it is not installed", why_no_cgroups="none can be made")
ROOT = attrs.evolve(BARE, root=True)
TRUSTED, STRANGERS = Need(trust="trusted"), Need(trust="untrusted")
AGREED = attrs.evolve(STRANGERS, agreed=True)
OURS = Need(trust="untrusted", ours=True, network=False)


def comes_to(policy, machine, need):
    """``isolated``, ``isolated+net``, ``bare`` or ``no``."""
    try:
        plan = decide(SandboxConfig(**policy), machine, need)
    except CannotIsolate:
        return "no"
    if not plan.isolated:
        return "bare"
    return "isolated+net" if plan.network else "isolated"


@pytest.mark.parametrize(
    "policy, machine, need, result",
    [
        # a machine on which it works
        ({}, FULL, TRUSTED, "isolated+net"),
        ({}, FULL, STRANGERS, "isolated"),
        ({"network": "never"}, FULL, TRUSTED, "isolated"),
        ({"network": "always"}, FULL, STRANGERS, "isolated+net"),
        ({"mode": "bubblewrap"}, FULL, TRUSTED, "isolated+net"),
        ({"mode": "none"}, FULL, TRUSTED, "bare"),
        ({"mode": "none"}, FULL, STRANGERS, "isolated"),
        ({"untrusted": "none"}, FULL, STRANGERS, "bare"),
        ({"untrusted": "none"}, FULL, TRUSTED, "isolated+net"),
        # one on which it does not
        ({}, BARE, TRUSTED, "bare"),
        ({}, BARE, STRANGERS, "no"),
        ({}, BARE, AGREED, "bare"),
        ({"mode": "bubblewrap"}, BARE, TRUSTED, "no"),
        ({"untrusted": "bubblewrap"}, BARE, AGREED, "no"),
        ({"untrusted": "none"}, BARE, STRANGERS, "bare"),
        ({"network": "never"}, BARE, TRUSTED, "no"),
        ({"network": "never"}, BARE, attrs.evolve(TRUSTED, agreed=True), "bare"),
        ({"network": "never", "mode": "none"}, BARE, TRUSTED, "bare"),
        # root, whose processes nothing binds without cgroups
        ({}, ROOT, TRUSTED, "bare"),
        ({"untrusted": "none"}, ROOT, STRANGERS, "no"),
        ({"untrusted": "none"}, ROOT, AGREED, "bare"),
        ({"untrusted": "none", "require_limits": "never"}, ROOT, STRANGERS, "bare"),
        ({"require_limits": "always"}, ROOT, TRUSTED, "no"),
        ({"require_limits": "always"}, BARE, TRUSTED, "bare"),
        # a program of ours that reads what strangers wrote
        ({"untrusted": "none"}, FULL, OURS, "isolated"),
        ({"network": "always"}, FULL, OURS, "isolated"),
        ({"untrusted": "bubblewrap"}, BARE, OURS, "bare"),
        ({"require_limits": "always"}, ROOT, OURS, "bare"),
    ],
)
def test_where_a_command_runs(policy, machine, need, result):
    assert comes_to(policy, machine, need) == result


def test_a_refusal_says_what_a_person_can_do():
    with pytest.raises(CannotIsolate, match=r"it is not installed.*sandbox\.untrusted"):
        decide(SandboxConfig(), BARE, STRANGERS)
    with pytest.raises(CannotIsolate, match=r"runs as root, and none can be made"):
        decide(SandboxConfig(untrusted="none"), ROOT, STRANGERS)
    with pytest.raises(CannotIsolate, match=r"tools\.exec\.sandbox\.mode"):
        decide(SandboxConfig(mode="bubblewrap"), BARE, TRUSTED)


POLICY = SandboxConfig(
    memory=100, processes=7, cpu_seconds=5, disk=50, open_files=9, untrusted="none"
)


def test_limits_are_those_of_each_process_where_there_is_no_cgroup():
    plan = decide(POLICY, BARE, STRANGERS)

    assert plan.cgroups == ()
    assert plan.limits == Limits(
        memory=100, processes=7, cpu_seconds=5, file_size=50, open_files=9
    )


def test_roots_processes_are_not_limited_by_what_does_not_bind_it():
    plan = decide(attrs.evolve(POLICY, require_limits="never"), ROOT, STRANGERS)

    assert plan.limits.processes is None


def test_version_2_has_one_cgroup_for_all():
    plan = decide(POLICY, FULL, STRANGERS)

    (made,) = plan.cgroups
    assert (made.folder, dict(made.settings)) == (
        "/cg",
        {
            "memory.max": "100",
            "memory.swap.max": "0",
            "pids.max": "7",
            "cpu.weight": "25",
        },
    )
    assert (plan.limits.memory, plan.limits.processes) == (None, None)


def test_version_1_has_one_for_each_and_leaves_out_what_the_kernel_has_not():
    memory = Hierarchy(
        folder="/m",
        version=1,
        controllers=frozenset({"memory"}),
        files=frozenset({"memory.limit_in_bytes"}),
    )
    pids = Hierarchy(folder="/p", version=1, controllers=frozenset({"pids"}))
    machine = attrs.evolve(FULL, cgroups=(memory, pids))
    plan = decide(POLICY, machine, STRANGERS)

    assert [(each.folder, dict(each.settings)) for each in plan.cgroups] == [
        ("/m", {"memory.limit_in_bytes": "100"}),
        ("/p", {"pids.max": "7"}),
    ]


def test_what_a_command_has_itself_is_not_widened():
    both = least(Limits(memory=10, open_files=5), Limits(memory=20, file_size=3))

    assert both == Limits(memory=10, open_files=5, file_size=3)


# --- trust


@pytest.mark.parametrize(
    "key, tainted, trust",
    [
        ("agent:main:main", False, "trusted"),
        ("agent:main:main", True, "untrusted"),
        ("agent:main:letters", False, "trusted"),
        ("agent:main:openai:x", False, "trusted"),
        ("agent:main:openai-response:x", False, "trusted"),
        ("agent:main:dashboard:x", False, "trusted"),
        ("agent:main:openai-user:x", False, "untrusted"),
        ("agent:main:subagent:x", False, "untrusted"),
        ("agent:main:cron:x", False, "untrusted"),
        ("agent:main:hook:x", False, "untrusted"),
        ("agent:main:telegram:direct:7", False, "untrusted"),
        ("agent:main:telegram:group:7", False, "untrusted"),
        ("no key at all", False, "untrusted"),
    ],
)
def test_whose_words_a_session_acts_upon(key, tainted, trust):
    assert trust_of(key, tainted=tainted) == trust


# --- folders


HOME = "/homes/me"


@pytest.mark.parametrize(
    "path, writable, own, refused",
    [
        ("/srv/data", False, False, False),
        ("/srv/data", True, False, False),
        ("/homes/me/data", True, False, False),
        ("/homes/me", False, False, True),
        ("/homes/me", True, True, False),
        ("/homes", False, False, True),
        ("/", False, True, True),
        ("/usr/share", False, False, False),
        ("/usr/share", True, False, True),
        ("/etc", True, False, True),
        ("/proc", False, False, True),
        ("/proc/1/root", False, False, True),
        ("/var", False, False, True),
        ("/var/run/docker.sock", False, False, True),
        ("/run/user/1000", False, False, True),
        ("/var/lib/docker", False, False, True),
        ("/var/lib/beamclaw/workspace", True, True, False),
        ("/var/lib", True, True, True),
        ("/run/x", True, True, True),
        ("/dev/sda", False, False, True),
        ("/sys/fs/cgroup", True, True, True),
        ("/homes/me/.ssh", False, False, True),
        ("/homes/me/.ssh/known_hosts", False, False, True),
        ("/homes/me/.config/gcloud", False, True, True),
        ("relative", False, False, True),
        ("/srv/../etc", False, False, True),
        ("/srv\0", False, False, True),
    ],
)
def test_which_folders_a_sandbox_never_has(path, writable, own, refused):
    words = refusal(path, HOME, writable=writable, own=own)

    assert (words is not None) is refused


# --- words


def test_what_is_missing_is_said():
    assert isolation_of(SandboxConfig(), FULL).missing == ()
    bare = isolation_of(SandboxConfig(), BARE)
    root = isolation_of(SandboxConfig(), ROOT)

    assert bare.missing == (
        "commands cannot be isolated: bubblewrap: it is not installed",
        "commands are bound one process at a time: none can be made",
    )
    assert "the node runs as root" in root.missing[1]
    assert (bare.trusted, bare.limits) == ("not isolated", "by process")
    assert bare.untrusted == "not isolated, with consent only"


def test_who_wants_no_isolation_misses_none():
    policy = SandboxConfig(mode="none", untrusted="none")

    assert isolation_of(policy, attrs.evolve(FULL, bubblewrap="")).missing == ()


@pytest.mark.parametrize(
    "policy, machine, trust, words",
    [
        ({}, FULL, "trusted", "in bubblewrap, with the network"),
        ({}, FULL, "untrusted", "in bubblewrap, without network"),
        ({"mode": "none"}, FULL, "trusted", "not isolated"),
        ({"mode": "bubblewrap"}, BARE, "trusted", "refused"),
        ({"network": "never"}, BARE, "trusted", "not isolated, with consent only"),
    ],
)
def test_where_it_runs_in_words(policy, machine, trust, words):
    assert where(SandboxConfig(**policy), machine, trust) == words
