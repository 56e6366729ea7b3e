"""One look at all that an agent is told: the files of its workspace, and its skills.

It blocks, and is done in a thread. A second look, where nothing has changed, asks the
disk for the state of each file and reads none.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

import attrs

from beamclaw.agents import workspace_of
from beamclaw.config.schema import AgentConfig, Config
from beamclaw.contracts.skills import Persona, Scope
from beamclaw.skills.files import contents, seed
from beamclaw.skills.marks import Marks
from beamclaw.skills.prompt import FILES, Caps, Part, assemble, told_files

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@attrs.frozen
class Looked:
    """What a look has found.

    Attributes:
        personas: What the agent is told, by the sort of conversation.
        parts: What takes how much of it, in the main one.
        marks: By which a change is seen.
    """

    personas: Mapping[Scope, Persona]
    parts: tuple[Part, ...] = ()
    marks: Marks = attrs.field(factory=lambda: Marks({}))


NOTHING: Final = Looked(dict.fromkeys(SCOPES, Persona()))


@attrs.frozen
class Setting:
    """What there is to look at, of one agent.

    Attributes:
        workspace: None: the agent is told nothing by files.
        strict: Its required files are missed when they are not there.
        closed: What is never read, wherever it lies.
    """

    workspace: Path | None
    caps: Caps
    strict: bool = True
    closed: tuple[Path, ...] = ()


def setting_of(config: Config, agent: str) -> Setting:
    """By the configuration."""
    own = config.agents.get(agent, AgentConfig())
    sizes = config.workspace
    return Setting(
        workspace=None if own.context == "none" else workspace_of(config, agent),
        caps=Caps(sizes.file_chars, sizes.user_chars, sizes.total_chars),
        strict=not own.skip_bootstrap,
        closed=(config.data,),
    )


def look(setting: Setting, before: Looked | None) -> Looked:
    """What the agent is told now: *before* itself, if nothing has changed since.

    Raises:
        OSError: The workspace cannot be made.
    """
    if setting.workspace is None:
        return NOTHING
    if before is not None and before.marks.unchanged:
        return before
    if setting.strict:
        seed(setting.workspace)
    return _read(setting, setting.workspace)


def _read(setting: Setting, folder: Path) -> Looked:
    # Before they are read: who writes meanwhile is seen the next time.
    marks = Marks.take((folder, *(folder / rule.name for rule in FILES)))
    found = list(contents(folder, setting.closed))
    personas: dict[Scope, Persona] = {}
    parts: tuple[Part, ...] = ()
    for scope in reversed(SCOPES):
        sections, sizes = told_files(
            found, scope, setting.caps, str(folder), strict=setting.strict
        )
        personas[scope] = Persona(assemble(str(folder), "", sections))
        parts = tuple(sizes)
    return Looked(personas, parts, marks)
