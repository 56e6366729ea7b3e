"""What a command finds in its environment, and what a model may put there.

Of the node's own variables only those come along that say who and where one is: keys and
tokens are in variables, too. A model may not set those that have another program run,
other code loaded or another file read than what stands in the command: a person who
agrees to ``git log`` does not agree to ``GIT_PAGER``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

# Of the node's own; all names that begin with LC_, too.
INHERITED: Final = frozenset(
    {"HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"}
)
# For programs, and profiles of shells, that want to know.
MARKS: Final[Mapping[str, str]] = {"OPENCLAW_SHELL": "exec", "BEAMCLAW_SHELL": "exec"}
USUAL_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
# Of what a model gives: characters of a value, and variables.
MOST_VALUE: Final = 32_768
MOST_VARIABLES: Final = 64

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFUSED: Final = frozenset(
    """
    ALL_PROXY BROWSER CC CDPATH CLASSPATH CPATH CURL_HOME CXX EDITOR ENV EXINIT
    GCONV_PATH HOME HOSTALIASES IFS INFOPATH INPUTRC LESSCLOSE LESSKEY LESSOPEN
    LOCALDOMAIN LOCPATH LOGNAME MAIL MAILPATH MAKEFLAGS MANPAGER MANPATH MFLAGS
    NLSPATH OLDPWD OPENSSL_CONF OPENSSL_ENGINES PAGER PATH PROMPT_COMMAND PS1 PS2 PS4
    PWD RESOLV_HOST_CONF RES_OPTIONS SHELL SHELLOPTS SSH_ASKPASS SSH_AUTH_SOCK
    SYSTEMD_PAGER TCLLIBPATH TERMCAP TERMINFO TERMINFO_DIRS TMPDIR TZDIR USER VIMINIT
    VISUAL WGETRC XAUTHORITY ZDOTDIR
    """.split()  # noqa: SIM905 -- read as a list, not as a column
)
_BEGINNINGS: Final = (
    *("ANT_", "AWS_", "BASH", "BEAMCLAW_", "CARGO_", "CMAKE_", "CONDA_", "DBUS_"),
    *("DENO_", "DOCKER_", "DOTNET_", "DYLD_", "ELECTRON_", "EMACS", "ERL_", "GCC_"),
    *("GEM_", "GIT_", "GLIBC_", "GO", "GPG_", "GRADLE_", "GTK_", "HG", "JAVA_", "JDK_"),
    *("JULIA_", "KUBE", "LD_", "LESS", "LIBPATH", "LUA", "MALLOC_", "MAVEN_", "MONO_"),
    *("NIX_", "NODE_", "NPM_", "OCAML", "OPENCLAW_", "PERL", "PHP", "PIP_", "POETRY_"),
    *("PYENV_", "PYTHON", "QT_", "RBENV_", "RIPGREP_", "RPM_", "RSYNC_", "RUBY"),
    *("RUSTC", "RUSTFLAGS", "RUSTUP_", "R_", "SSL_", "SUDO_", "SVN_", "UV_", "VIM"),
    *("VIRTUAL_ENV", "WINE", "XDG_", "YARN_", "ZSH"),
)
_ENDS: Final = (
    "_OPTIONS",
    "_OPTS",
    "_FLAGS",
    "FLAGS",
    "_PRELOAD",
    "_PROXY",
    "_ASKPASS",
)


def refusal(given: Mapping[str, str]) -> str | None:
    """Why a model may not set these; None: it may.

    >>> refusal({"LD_PRELOAD": "x.so"})
    'LD_PRELOAD may not be set for a command'
    """
    if len(given) > MOST_VARIABLES:
        return f"more than {MOST_VARIABLES} variables"
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            return f"{name!r} is no name of a variable"
        if is_refused(name):
            return f"{name} may not be set for a command"
        if "\0" in value or len(value) > MOST_VALUE:
            return (
                f"the value of {name} has a NUL, or more than {MOST_VALUE} characters"
            )
    return None


def is_refused(name: str) -> bool:
    """Whether a variable is among those that change what a command is."""
    name = name.upper()
    return name in _REFUSED or name.startswith(_BEGINNINGS) or name.endswith(_ENDS)


def inherited(own: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """Of the node's *own* variables those that every command gets; *named* ones, too."""
    names = {*INHERITED, *named}
    found = {
        name: value
        for name, value in own.items()
        if name in names or name.startswith("LC_")
    }
    return found | {"PATH": search_path(own.get("PATH", ""))}


def search_path(path: str, closed: Iterable[str] = ()) -> str:
    """Where programs are looked for: whole paths only, none below one of *closed*.

    An empty one would be the working folder, where anybody may have put an ``ls``.
    """
    kept = [
        folder
        for folder in path.split(":")
        if folder.startswith("/")
        and not any(f"{folder}/".startswith(f"{each.rstrip('/')}/") for each in closed)
    ]
    return ":".join(kept) or USUAL_PATH
