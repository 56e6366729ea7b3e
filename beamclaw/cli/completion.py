"""``beamclaw completion``: scripts made from the table of verbs."""

import argparse

from beamclaw.cli.output import result, result_json
from beamclaw.cli.parser import GROUPS, PROGRAM, VERBS


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    script = SCRIPTS[options.shell]()
    if options.json:
        result_json({"shell": options.shell, "script": script})
    else:
        result(script.rstrip())
    return 0


def _words() -> dict[str, list[str]]:
    """What may follow after each beginning of a command."""
    after: dict[str, list[str]] = {"": ["--help", "--version"]}
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        after[""].append(first)
        if second:
            after.setdefault(first, ["--help"]).append(second)
        options = [n for o in verb.options for n in o.names if n.startswith("--")]
        choices = [c for o in verb.options for c in o.settings.get("choices", ())]
        after[verb.name] = [*options, "--help", *choices]
    return {key: list(dict.fromkeys(words)) for key, words in after.items()}


def _bash() -> str:
    cases = "\n".join(
        f'    "{verb}") words="{" ".join(words)}" ;;'
        for verb, words in _words().items()
    )
    return f"""\
_{PROGRAM}() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  local verb="" words="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) [ "$verb" = "" ] && verb="$word" ||
      case " {" ".join(GROUPS)} " in *" $verb "*) verb="$verb $word" ;; esac ;; esac
  done
  case "$previous" in
    --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --data) COMPREPLY=($(compgen -d -- "$current")); return ;;
  esac
  case "$verb" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _{PROGRAM} {PROGRAM}
"""


def _zsh() -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash()


def _fish() -> str:
    lines: list[str] = [f"complete -c {PROGRAM} -f"]
    for verb, words in _words().items():
        condition = (
            "__fish_use_subcommand"
            if not verb
            else "; and ".join(f"__fish_seen_subcommand_from {w}" for w in verb.split())
        )
        for word in words:
            kind = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            files = " -r -F" if word in ("--config", "--data") else ""
            lines.append(f"complete -c {PROGRAM} -n '{condition}' {kind}{files}")
    return "\n".join(lines) + "\n"


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
