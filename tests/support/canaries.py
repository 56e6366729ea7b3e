"""A canary for each key of the configuration that takes a secret, and who looks for them."""

import base64
import hashlib
import html
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import yaml

from tests.support.secrets import Path as KeyPath
from tests.support.secrets import put, secret_paths

NAME: Final = "SOME_TOKEN"
MODEL: Final = f"{NAME}/some-model"
# A key that was refused is asked for again at once, and so is a provider that was ill.
QUICK: Final = {
    "max_attempts": 2,
    "retry_first": 0.01,
    "key_hold": 0.01,
    "breaker_first": 0.01,
    "breaker_most": 0.01,
}
# Characters at either end that are as good as found: some show those of a key.
TELLING: Final = 12


# Keys whose canaries have letters and digits alone, as most keys that people are given.
PLAIN: Final = {
    ("gateway", "auth", "password"),
    ("skills", "entries", "*", "api_key"),
}
# What is written otherwise wherever a text stands inside of another: what is shown by way
# of JSON, an address, a page or a shell has another spelling of these.
STRANGE: Final = ('"', "\\%", "&<'", "+/", '"\\', "<&%")


def canary(path: KeyPath, life: int = 0) -> str:
    """Another one for each key, and when it is renewed.

    No two begin alike: where a piece of one is hidden, the rest of another would look
    like nothing.
    """
    digits = hashlib.sha256(f"{path} {life}".encode()).hexdigest()[:28]
    if path in PLAIN:
        return digits
    pieces = [digits[n : n + 4] for n in range(0, len(digits), 4)]
    return "".join(
        piece + strange for piece, strange in zip(pieces, (*STRANGE, ""), strict=True)
    )


CANARIES: Final = {path: canary(path) for path in secret_paths()}
RENEWED: Final = {path: canary(path, 1) for path in secret_paths()}
TOKEN: Final = CANARIES["gateway", "auth", "token"]
HOOKS: Final = CANARIES["hooks", "token"]
KEY: Final = ("providers", "*", "api_key")
# What the node has from its environment in either life.
ENVIRONMENT: Final = {
    f"IN_{number}_{life}": value
    for life, canaries in enumerate((CANARIES, RENEWED))
    for number, value in enumerate(canaries.values())
}


def merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """*one* with all of *other* in it."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(one.get(key), dict):
            merged(one[key], value)
        else:
            one[key] = value
    return one


def configuration(
    folder: Path,
    urls: tuple[str, str],
    script: Sequence[Mapping[str, Any]] = (),
    *,
    life: int = 0,
) -> str:
    """All of them: as texts, in files, from a program, and from the environment, in turns.

    Two sections stand in files of their own, which the configuration includes. The agent
    *scripted* goes by *script*.

    Args:
        folder: Where the files are made.
        urls: Of the model, and of who takes traces.
        script: What the built-in demo does.
        life: 1 has the renewed ones, each told in another way; but for those that a
            test comes in by.
    """
    says = folder / "says"
    says.write_text(
        f"#!{sys.executable}\nimport sys; print(open(sys.argv[1]).read())\n"
    )
    says.chmod(0o700)
    scenes = folder / "script.yaml"
    scenes.write_text(yaml.safe_dump([*script, {"reply": "hello from the script"}]))
    config: dict[str, Any] = {}
    for number, path in enumerate(CANARIES):
        own = life if path[0] not in ("gateway", "hooks") else 0
        value = canary(path, own)
        file = folder / f"secret-{number}"
        file.write_text(f"{value}\n")
        forms = [
            value,
            {"file": file.name},
            {"command": [str(says), file.name]},
            {"env": f"IN_{number}_{own}"},
        ]
        merged(config, put(path, forms[(number + life) % len(forms)], NAME))
    more = {
        "providers": {
            NAME: {"base_url": urls[0], **QUICK},
            "demo": {"api": "demo", "script": str(scenes), "delay": 0},
        },
        "agents": {"main": {"model": MODEL}, "scripted": {"model": "demo/demo"}},
        "hooks": {"enabled": True},
        "gateway": {"auth": {"mode": "token"}},
        "logging": {"level": "debug"},
        "telemetry": {"otlp": {"endpoint": urls[1], "interval": 0.1}},
        "shell": {"expressions": "everywhere", "children": 10_000},
    }
    merged(config, more)
    for name in ("providers", "telemetry"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config[name]))
        config[name] = {"$include": f"{name}.yaml"}
    return yaml.safe_dump(config)


def spelled(text: str) -> Iterator[tuple[str, str]]:
    """How *text* stands in another text, by the name of what writes it so."""
    in_json, as_page = json.dumps(text)[1:-1], html.escape(text)
    yield "as it is", text
    yield "in JSON", in_json
    yield "in JSON in JSON", json.dumps(in_json)[1:-1]
    yield "in JSON for a page", in_json.replace("<", "\\u003c").replace("&", "\\u0026")
    yield "in Python", repr(text)[1:-1]
    yield "in an address", quote(text, safe="")
    yield "in a path", quote(text)
    yield "in a form", quote_plus(text)
    yield "in a page", as_page
    yield "in a page's text", html.escape(text, quote=False)
    yield "in a page in JSON", json.dumps(as_page)[1:-1]
    yield "in YAML", text.replace("'", "''")


def encoded(value: str) -> Iterator[tuple[str, str]]:
    """What base64 makes of it, wherever it stands in what is encoded."""
    for before in range(3):
        # The first characters and the last are made of what stands beside, too.
        made = base64.b64encode(bytes(before) + value.encode())[4:-4].decode()
        yield "in base64", made[:TELLING]
        yield "in base64", made[-TELLING:]
        yield "in base64 for addresses", made.replace("+", "-").replace("/", "_")


# What tells of a canary, and what is said of it.
_TELLTALES: Final = {
    telltale: f"the canary of {'.'.join(path)}, {how}"
    for path, value in (*CANARIES.items(), *RENEWED.items())
    for how, telltale in (
        *encoded(value),
        *spelled(value[-TELLING:]),
        *spelled(value[:TELLING]),
    )
}
_LOOKED_FOR: Final = re.compile("|".join(map(re.escape, _TELLTALES)))


def found(text: str) -> Iterator[str]:
    """The canaries of which *text* has more than a little, however they are written."""
    for telltale in dict.fromkeys(_LOOKED_FOR.findall(text)):
        yield _TELLTALES[telltale]


def where_seen(seen: Mapping[str, str]) -> list[str]:
    """Where somebody saw one, of what was *seen* by where."""
    return [f"{where}: {what}" for where, text in seen.items() for what in found(text)]


def in_files(folder: Path) -> list[str]:
    """The files in *folder* with one in it."""
    return [
        f"{file.relative_to(folder)}: {what}"
        for file in folder.rglob("*")
        # Files that were replaced are kept as they were, for nobody else to read.
        if file.is_file() and file.parent.name != "config-history"
        for what in found(file.read_bytes().decode("latin-1"))
    ]
