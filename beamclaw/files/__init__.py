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
    looking, changing = LookTools(setting), ChangeTools(setting)
    return (
        *(Aliased(each, forgets=looking.forget) for each in tools_of(looking)),
        *(Aliased(each, forgets=changing.forget) for each in tools_of(changing)),
    )
