"""Which tools there are, and what they take on."""

from collections.abc import Mapping
from typing import Annotated, Literal

import attrs

from beamclaw.config.schema.commands import ExecConfig
from beamclaw.config.schema.fields import (
    ENDLESS,
    Count,
    Port,
    Range,
    Seconds,
    key,
    table,
)
from beamclaw.config.tool_names import Profile
from beamclaw.contracts.subagents import Visibility
from beamclaw.values import frozen


@frozen(kw_only=True)
class ToolPolicy:
    """Which tools there are."""

    profile: Profile | None = key(
        None,
        "What one begins with: minimal (session_status), coding, messaging or full,\n"
        "which is everything. Without one: what allow says, or full where that says\n"
        "nothing.",
    )
    allow: tuple[str, ...] = key(
        (),
        "Tools beside those of the profile: names, patterns (web_*), group:fs,\n"
        "group:runtime, group:web, group:sessions, group:plugins.",
    )
    deny: tuple[str, ...] = key(
        (), "The same, for what is not there. It wins, wherever it is said."
    )


@frozen(kw_only=True)
class AgentToolsConfig(ToolPolicy):
    """Which tools this agent has. What the node denies stays denied."""

    by_provider: Mapping[str, ToolPolicy] = table(
        "By the provider that is asked, or provider/model: what it may use of these."
    )


@frozen(kw_only=True)
class SessionToolsConfig:
    """What the turns of one session may see of others, and say to them."""

    visibility: Visibility = key(
        "tree",
        "self: nothing but the session itself; tree: also those it has started, and\n"
        "theirs; agent: all of the same agent; all: those of other agents, too.",
    )
    agent_to_agent: tuple[str, ...] = key(
        (),
        'With visibility all: agents that reach one another\'s sessions; "*" is all.',
    )


@frozen(kw_only=True)
class FilesConfig:
    """What the tools for files take on."""

    read_lines: Count = key(2_000, "Lines that one read shows.")
    read_chars: Count = key(40_000, "Characters that one read, list or search shows.")
    line_chars: Count = key(
        2_000, "Characters of one line that a read shows; a search shows 500."
    )
    max_bytes: Count = key(
        10 * 1024 * 1024,
        "Bytes of a file that is written, or that an edit or a patch changes.",
    )
    picture_bytes: Count = key(
        5 * 1024 * 1024, "Bytes of a picture that a read shows to the model."
    )
    patch_files: Count = key(100, "Files that one patch may change.")
    list_entries: Count = key(500, "Entries that one list shows.")
    found_files: Count = key(1_000, "Files that one find shows.")
    found_lines: Count = key(200, "Lines that one grep shows.")
    looked_at: Count = key(
        200_000, "Files and folders that one list, find or grep looks at."
    )
    search_bytes: Count = key(
        256 * 1024 * 1024, "Bytes that one grep reads, of all files."
    )
    search_seconds: Seconds = key(30.0, "Seconds that one find or grep takes.")
    skip: tuple[str, ...] = key(
        (".git", "node_modules", "__pycache__", ".venv"),
        "Names of folders that find and grep pass over, unless they begin there.",
    )
    at_once: Count = key(8, "Threads in which files are read and written.")
    receipt_seconds: Seconds = key(
        2_592_000.0,
        "Seconds that is kept what an edit or a patch has done, for who asks after a\n"
        "crash. It goes sooner when the result is in the journal.",
    )


@frozen(kw_only=True)
class WebConfig:
    """What agents fetch from the internet."""

    hosts: tuple[str, ...] = key(
        (),
        "Hosts that are fetched from: names, or *. and a name for all below it. Without\n"
        "one: all that are public.",
    )
    ports: tuple[Port, ...] = key(
        (80, 443, 8000, 8080, 8443), "Ports that are connected to."
    )
    private_networks: tuple[str, ...] = key(
        (),
        "Networks that are not public and are fetched from all the same, for example\n"
        "192.168.1.0/24. Agents then reach whatever listens there.",
    )
    after_untrusted: Literal["ask", "allow", "deny"] = key(
        "ask",
        "What becomes of a fetch from a host that nobody has named, when words of\n"
        "strangers are in the conversation: a person is asked, it is done, or it is not.",
    )
    own_chars: Annotated[int, Range(0, ENDLESS)] = key(
        64,
        "Characters that the model may then put behind a host without asking. What a\n"
        "person or a page has written may be longer.",
    )
    seconds: Seconds = key(30.0, "Seconds that a fetch takes, redirects included.")
    connect_seconds: Seconds = key(10.0, "Seconds until there is a connection.")
    redirects: Annotated[int, Range(0, 100)] = key(
        5, "Redirects that are followed. Each is judged as if it were the first."
    )
    url_chars: Count = key(4_000, "Characters of a URL.")
    max_bytes: Count = key(
        2 * 1024 * 1024, "Bytes of a page, packed or unpacked; the rest is left out."
    )
    max_chars: Count = key(
        40_000, "Characters of a page's text that the model gets, at most."
    )
    at_once: Count = key(8, "Fetches of an agent at once; more of them wait.")
    read_seconds: Seconds = key(20.0, "Seconds that the reading of a page takes.")
    read_memory: Annotated[int, Range(64 * 1024 * 1024, ENDLESS * 64)] = key(
        512 * 1024 * 1024, "Bytes of memory of the process that reads a page."
    )
    user_agent: str = key(
        "Mozilla/5.0 (compatible; BeamClaw)", "How a fetch calls itself."
    )


@frozen(kw_only=True)
class ToolsConfig(AgentToolsConfig):
    """What agents may use."""

    call_seconds: Seconds = key(
        1_800.0, "Seconds that a tool call may take, where the tool does not say."
    )
    max_calls: Count = key(
        1_000, "Tool calls in progress at once; one more is refused."
    )
    max_grants: Count = key(
        1_000,
        "What persons may allow for good, of all agents; one more can be allowed once.\n"
        "As many that were revoked are kept, to be looked at.",
    )
    max_result: Count = key(
        50_000, "Characters of a tool's output that the model gets; the middle goes."
    )
    max_media: Annotated[int, Range(0, ENDLESS)] = key(
        8 * 1024 * 1024,
        "Bytes of the pictures and files in one result of a tool, as base64.",
    )
    max_kept: Annotated[int, Range(0, ENDLESS)] = key(
        8 * 1024 * 1024,
        "Bytes of such an output that are kept, to be looked at: its beginning, where\n"
        "it is longer. 0 keeps none.",
    )
    keep_seconds: Seconds = key(
        2_592_000.0, "Seconds that it is kept; with its conversation it goes at once."
    )
    sessions: SessionToolsConfig = attrs.field(factory=SessionToolsConfig)
    exec: ExecConfig = attrs.field(factory=ExecConfig)
    files: FilesConfig = attrs.field(factory=FilesConfig)
    web: WebConfig = attrs.field(factory=WebConfig)
