"""Whether a command may be carried out: by its mode, by what is allowed, by a person.

A decision without I/O: whoever wants to start a command looks up the program, the folder
and what a script says, puts that into an :class:`~beamclaw.contracts.execution.Execution`, and asks :func:`judge`.

A rule or a grant allows one program, named by its resolved path, with arguments that look
as they should. It never allows what only carries something else out: a shell, an
interpreter, ``env``, ``find -exec``. What such a command does stands in its arguments, or
in a file that says something else tomorrow, so a person is asked each time.
"""

import re
import shlex
from collections.abc import Iterable
from typing import Literal

from beamclaw.contracts.approvals import Ask, Clear, Clearance, Deny, Grant
from beamclaw.contracts.execution import Execution, carries
from beamclaw.values import frozen

Mode = Literal["off", "on-miss", "always"]
"""When a person is asked. ``off``: never. ``on-miss``: where nothing allows the command."""

AfterUntrusted = Literal["ask", "allow", "deny"]
"""What becomes of a command that the model wants after it has read words of strangers.

``ask``: a person is asked, whatever was allowed. ``allow``: as always.
"""


# --- rules


class BadRule(Exception):  # noqa: N818 -- a situation
    """A rule of the configuration that means nothing; in words for a person."""


@frozen
class Rule:
    """One line of what the configuration allows: ``/usr/bin/git log *``.

    The first word is the resolved path of the program. Each other one stands for one
    argument: itself, or ``*``, which is any argument that is no option and leads nowhere
    out of the folder (not ``-x``, ``@file``, ``/etc``, ``~``, ``..``, also not behind a
    ``=``). ``**`` at the end stands for any number of those.
    """

    path: str
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """The rule that *text* is.

        Raises:
            BadRule: It is none.
        """
        try:
            path, *arguments = shlex.split(text)
        except ValueError:
            raise BadRule(f"{text!r} is no command") from None
        if not path.startswith("/"):
            raise BadRule(f"{text!r} has to begin with the path of a program")
        if "**" in arguments[:-1]:
            raise BadRule(f"in {text!r}, ** can only be the last word")
        return cls(path, tuple(arguments))

    def allows(self, path: str, arguments: tuple[str, ...]) -> bool:
        """Whether the program at *path* may be given *arguments*."""
        mine = self.arguments
        if path != self.path:
            return False
        if mine[-1:] == ("**",):
            mine = mine[:-1]
            rest = arguments[len(mine) :]
        else:
            rest = ()
        return (
            len(arguments) == len(mine) + len(rest)
            and all(map(_fits, mine, arguments))
            and all(map(_stays, rest))
        )


def _fits(pattern: str, argument: str) -> bool:
    return _stays(argument) if pattern == "*" else pattern == argument


def _stays(argument: str) -> bool:
    """It is no option and no file of options, and names nothing outside of the folder."""
    return (
        bool(argument)
        and not argument.startswith(("-", "@"))
        and not any(
            piece.startswith(("/", "~", "@", "file:")) or ".." in piece.split("/")
            for piece in re.split(r"[=:,]", argument)
        )
    )


# --- the decision


@frozen(kw_only=True)
class CommandPolicy:
    """What the configuration says of the commands of an agent.

    Attributes:
        mode: See :data:`Mode`.
        after_untrusted: See :data:`AfterUntrusted`.
        rules: What is allowed, whoever asks.
    """

    mode: Mode = "on-miss"
    after_untrusted: AfterUntrusted = "ask"
    rules: tuple[Rule, ...] = ()


def judge(
    execution: Execution,
    policy: CommandPolicy,
    grants: Iterable[Grant] = (),
    *,
    tainted: bool = False,
) -> Clearance:
    """Whether *execution* may go on.

    Args:
        execution: The command.
        policy: What is configured.
        grants: What persons have allowed its agent for good.
        tainted: The model had read words of strangers when it asked for it.
    """
    if tainted and policy.after_untrusted != "allow":
        return _after_untrusted(execution, policy)
    if policy.mode == "off":
        return Clear()
    if policy.mode == "always":
        return _ask(execution, "every command is asked for (tools.exec.mode: always)")
    carried = carries(execution)
    if carried:
        return _ask(execution, carried)
    granted = grant_of(execution)
    if any(granted.allows(grant) for grant in grants) or _is_allowed(execution, policy):
        return Clear()
    return _ask(execution, "nothing allows it yet", granted)


def _after_untrusted(execution: Execution, policy: CommandPolicy) -> Clearance:
    """Whatever was allowed: what the model wants now may be what a stranger wants."""
    if policy.after_untrusted == "ask":
        return _ask(execution, "text from outside was read in this conversation")
    return Deny(
        "after text from outside was read no command is carried out "
        "(tools.exec.after_untrusted: deny); in a new conversation it may be"
    )


def _is_allowed(execution: Execution, policy: CommandPolicy) -> bool:
    """By a rule. Those know of no environment: with one it is another command."""
    arguments = execution.argv[1:]
    return not execution.environment and any(
        rule.allows(execution.path, arguments) for rule in policy.rules
    )


def grant_of(execution: Execution) -> Grant:
    """What "always" means for it: this very command, in this folder."""
    return Grant(
        tool=execution.tool,
        pattern=execution.path,
        arguments=f"sha256:{execution.digest}",
        words=f"{execution.text} (in {execution.folder})",
    )


def _ask(execution: Execution, why: str, grant: Grant | None = None) -> Ask:
    details = {
        "command": execution.text,
        "program": execution.path,
        "folder": execution.folder,
    }
    if execution.environment:
        details["environment"] = " ".join(
            f"{name}={value}" for name, value in sorted(execution.environment.items())
        )
    if execution.given:
        details["skills"] = ", ".join(
            f"{variable} of {skill}" for variable, skill in execution.given
        )
    for path, content in sorted(execution.contents.items()):
        details[f"script {path}"] = f"sha256:{content}"
    if execution.where:
        details["sandbox"] = execution.where
    details["why"] = why
    return Ask(
        question=f"run: {execution.text}",
        digest=execution.digest,
        details=details,
        grant=grant,
    )
