"""What agents are told how to do: workspaces and skills."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from beamclaw.config.schema.fields import Count, Seconds, hidden, key, table
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen


@frozen(kw_only=True)
class WorkspaceConfig:
    """How much of the files of a workspace an agent is told."""

    file_chars: Count = key(
        20_000, "Characters of one file, at most; of a longer one its middle goes."
    )
    user_chars: Count = key(4_000, "The same for USER.md.")
    total_chars: Count = key(60_000, "Characters of all of them together.")
    set_bytes: Count = key(
        262_144, "Bytes of one file, at most, that a client may set (agents.files.set)."
    )
    check_seconds: Seconds = key(
        1.0,
        "Seconds that a look at the files may take before a turn begins; then what was\n"
        "read last holds.",
    )
    wait_seconds: Seconds = key(
        60.0,
        "Seconds that a turn waits for files that were never read; then it is refused.",
    )


@frozen(kw_only=True)
class SkillsLoadConfig:
    """Where skills are looked for, beside the folders that are known."""

    extra_dirs: tuple[Path, ...] = key(
        (), "Further folders with skills; those in all other places go before them."
    )
    watch: bool = key(
        True,  # noqa: FBT003 -- the default
        "Whether the folders are watched. What has changed is seen in any case when\n"
        "the next turn begins.",
    )
    poll_seconds: Seconds = key(
        30.0, "Seconds between two looks at them where they cannot be watched."
    )


@frozen(kw_only=True)
class SkillEntryConfig:
    """One skill, by its name."""

    enabled: bool = key(True, "Whether there is this skill.")  # noqa: FBT003 -- the default
    env: Mapping[str, str] = table(
        "Variables that it needs, and that commands get of an agent that has it. One that\n"
        "they get anyway goes before.",
        repr=hidden,
    )
    api_key: Secret | None = key(
        None, "The value of the variable that the skill names as its primaryEnv."
    )


@frozen(kw_only=True)
class SkillsLimitsConfig:
    """How many skills there are, and how large."""

    max_per_folder: Count = key(300, "Skills below one folder; more are left out.")
    max_in_prompt: Count = key(150, "Skills that an agent is told of, at most.")
    prompt_chars: Count = key(18_000, "Characters that this takes, at most.")
    file_bytes: Count = key(256_000, "Bytes of a SKILL.md.")


@frozen(kw_only=True)
class SkillsInstallConfig:
    """What may be installed."""

    max_archive_bytes: Count = key(16 * 1024 * 1024, "Bytes of an archive.")
    max_bytes: Count = key(64 * 1024 * 1024, "Bytes of all files in it, unpacked.")
    max_file_bytes: Count = key(16 * 1024 * 1024, "Bytes of one of them.")
    max_files: Count = key(2_000, "Files and folders in it.")


@frozen(kw_only=True)
class SkillsConfig:
    """What agents are told how to do."""

    allow: tuple[str, ...] | None = key(
        None, "Skills that agents have, by name; null is all, [] none."
    )
    load: SkillsLoadConfig = attrs.field(factory=SkillsLoadConfig)
    entries: Mapping[str, SkillEntryConfig] = table("Single skills, by name.")
    limits: SkillsLimitsConfig = attrs.field(factory=SkillsLimitsConfig)
    install: SkillsInstallConfig = attrs.field(factory=SkillsInstallConfig)
