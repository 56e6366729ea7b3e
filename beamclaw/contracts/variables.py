"""Variables that have a command do something else, which only a person's settings give.

A model may not set those that have another program run, other code loaded or another file
read than what stands in the command: a person who agrees to ``git log`` does not agree to
``GIT_PAGER``. Nor does a skill, whose author has named them.
"""

import re
from collections.abc import Mapping
from typing import Final

# Of what a model gives: characters of a value, and variables.
MOST_VALUE: Final = 32_768
MOST_VARIABLES: Final = 64

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFUSED: Final = frozenset(
    """
    ALL_PROXY AZURE_AUTH_LOCATION BROWSER BUNDLE_GEMFILE CC CDPATH CLASSPATH
    CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE CLOUDSDK_CONFIG COMPOSER_HOME CPATH
    CPLUS_INCLUDE_PATH CURL_CA_BUNDLE CURL_HOME CXX C_INCLUDE_PATH EDITOR ENV
    EXINIT FCEDIT GCONV_PATH GOOGLE_APPLICATION_CREDENTIALS
    GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES HISTFILE HOME HOSTALIASES IFS
    INFOPATH INPUTRC LESSCLOSE LESSKEY LESSOPEN LIBRARY_PATH LOCALDOMAIN LOCPATH
    LOGNAME MAIL MAILPATH MAKEFLAGS MANPAGER MANPATH MFLAGS NLSPATH
    OBJC_INCLUDE_PATH OLDPWD OPENSSL_CONF OPENSSL_ENGINES PAGER PATH
    PROMPT_COMMAND PS1 PS2 PS4 PWD REQUESTS_CA_BUNDLE RESOLV_HOST_CONF RES_OPTIONS
    SHELL SHELLOPTS SSH_ASKPASS SSH_AUTH_SOCK SSLKEYLOGFILE SYSTEMD_PAGER
    TCLLIBPATH TERMCAP TERMINFO TERMINFO_DIRS TMPDIR TZDIR USER VIMINIT VISUAL
    WGETRC XAUTHORITY ZDOTDIR
    """.split()  # noqa: SIM905 -- read as a list, not as a column
)
_BEGINNINGS: Final = (
    *("ANT_", "AWS_", "BASH", "BEAMCLAW_", "BUNDLE_", "BUN_CONFIG_", "CARGO_"),
    *("CGO_", "CLOUDSDK_PYTHON", "CMAKE_", "CONDA_", "CORECLR_", "DBUS_"),
    *("DENO_", "DOCKER_", "DOTNET_", "DYLD_", "ELECTRON_", "EMACS", "ERL_"),
    *("GCC_", "GEM_", "GIT_", "GLIBC_", "GO_", "GPG_", "GRADLE_", "GTK_"),
    *("HELM_", "HG", "JAVA_", "JDK_", "JULIA_", "KUBE", "LD_", "LESS", "LIBPATH"),
    *("LUA", "MALLOC_", "MAVEN_", "MONO_", "NIX_", "NODE_", "NPM_", "OCAML"),
    *("OPENCLAW_", "PERL", "PHP", "PIP_", "POETRY_", "PYENV_", "PYTHON", "QT_"),
    *("RBENV_", "RIPGREP_", "RPM_", "RSYNC_", "RUBY", "RUSTC", "RUSTFLAGS"),
    *("RUSTUP_", "R_", "SSL_", "SUDO_", "SVN_", "UV_", "VIM_", "VIRTUAL_ENV"),
    *("WINE", "XDG_", "YARN_", "ZSH"),
)
# Go's own are one word, as GOPROXY, and so are Vim's; GOOGLE_API_KEY and VIMEO_TOKEN are
# somebody else's.
_WORDS: Final = re.compile(r"(?:GO|VIM)[A-Z0-9]*")
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
    """Why a model, or a skill, may not set these; None: it may.

    No value stands in what is said.

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
    return (
        name in _REFUSED
        or name.startswith(_BEGINNINGS)
        or name.endswith(_ENDS)
        or _WORDS.fullmatch(name) is not None
    )
