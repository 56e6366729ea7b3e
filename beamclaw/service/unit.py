"""The unit that systemd runs a node by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from beamclaw.values import frozen

NAME: Final = "beamclaw.service"
# Seconds in which a node that is ill has to be seen; a ping comes three times in them.
WATCHDOG: Final = 30
# Beside the drain: the orderly stop of the tree, and the last commits.
STOP_BESIDE: Final = 20

_TEXT: Final = """\
# Written by: beamclaw service install
# See docs/how-to/run-as-a-service.md. Change it with: systemctl {option}edit beamclaw
[Unit]
Description=BeamClaw, a personal agent gateway
Documentation=man:systemd.service(5)
After=network-online.target
Wants=network-online.target
# Ten starts in ten minutes that fail, and it stays down.
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
# Keys of providers: NAME=value, a line each. It may be absent.
EnvironmentFile=-{environment}
# It may be absent: the node makes it.
WorkingDirectory=-{data}
{user}Restart=on-failure
RestartSec=1
# 2: the configuration is wrong, and trying again does not mend it.
RestartPreventExitStatus=2
SuccessExitStatus=130 143
# A ping says: the loop turns, and the ledger has just committed to the disk.
WatchdogSec={watchdog}
WatchdogSignal=SIGKILL
TimeoutStartSec=180
TimeoutStopSec={stop}
# The node first, so that its turns can end; then whatever is left of the group.
KillMode=mixed
# A command that takes all memory ends alone.
OOMPolicy=continue
Delegate=memory pids cpu

UMask=0077
LimitCORE=0
LimitNOFILE=65536
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
{hardening}
[Install]
WantedBy={target}
"""
# What a user's own systemd cannot do everywhere. Not here, since bubblewrap, in which
# commands of agents run, needs what they take away: RestrictNamespaces, ProtectProc,
# ProtectKernelTunables, ProtectControlGroups, SystemCallFilter, PrivateUsers.
_SYSTEM: Final = """\
ProtectSystem=full
PrivateTmp=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
CapabilityBoundingSet=
AmbientCapabilities=
"""


@frozen(kw_only=True)
class Unit:
    """What differs from one to the next.

    Attributes:
        command: What is started: the program and its arguments.
        data: The data folder.
        user: Who runs it, for one of the whole system; None: one of this user's own.
        drain: Seconds that turns get to end.
    """

    command: Sequence[str]
    data: Path
    user: str | None = None
    drain: float = 30.0

    def text(self) -> str:
        """The file."""
        system = self.user is not None
        return _TEXT.format(
            option="" if system else "--user ",
            command=" ".join(quoted(word) for word in self.command),
            environment=specified(str(self.data / "service.env")),
            data=specified(str(self.data)),
            user=f"User={self.user}\n" if system else "",
            watchdog=WATCHDOG,
            stop=round(self.drain) + STOP_BESIDE,
            hardening=_SYSTEM if system else "",
            target="multi-user.target" if system else "default.target",
        )


def specified(text: str) -> str:
    """A path as it stands in a unit, where ``%`` begins a specifier."""
    return text.replace("%", "%%")


def quoted(word: str) -> str:
    """A word of ``ExecStart`` that arrives as it is."""
    escaped = specified(word).replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("$", "$$").replace("\n", "\\n").replace("\t", "\\t")
    plain = word and all(char.isalnum() or char in "/._-=:@+," for char in word)
    return escaped if plain else f'"{escaped}"'


def folder(home: Path, config_home: str, *, system: bool) -> Path:
    """Where units lie."""
    if system:
        return Path("/etc/systemd/system")
    return Path(config_home or home / ".config") / "systemd/user"
