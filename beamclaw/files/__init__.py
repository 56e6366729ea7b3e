"""Files of an agent: read, written, changed and searched, inside its workspace.

No process: the tools work in the processes of their calls, in threads of a
:class:`Bench` that a tenant's agents share.
"""

from beamclaw.contracts.tools import Tool
from beamclaw.files.aliases import Aliased
from beamclaw.files.bench import Bench
from beamclaw.files.changing import ChangeTools
from beamclaw.files.looking import LookTools
from beamclaw.files.setting import Setting
from beamclaw.toolkit import tools_of

__all__ = ["Bench", "Setting", "tools"]


def tools(setting: Setting) -> tuple[Tool, ...]:
    """The tools for files of one agent."""
    made = *tools_of(LookTools(setting)), *tools_of(ChangeTools(setting))
    return tuple(Aliased(each) for each in made)
