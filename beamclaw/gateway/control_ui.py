"""OpenClaw's Control UI, served from a folder that somebody has installed.

Which paths there are is settled once, when the gateway starts: a request names one of
the files that were found then, or a page of the program, for which it gets the one
document there is. So no path of a request ever becomes a path of the disk. Anybody may
have the files: who uses the program has to say who they are on its WebSocket.
"""

import base64
import hashlib
import mimetypes
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from quart import Response

import supervision
from beamclaw.config.schema import ControlUiConfig
from beamclaw.contracts.outside import Worker
from beamclaw.gateway.admission import Asked
from beamclaw.values import frozen

UNREADABLE: Final = "beamclaw.gateway.control_ui.unreadable"
PAGE: Final = "index.html"
CONFIG: Final = "/control-ui-config.json"
# Of so many files the folder is read; more is no Control UI.
MOST_FILES: Final = 20_000
# Their names change with what is in them.
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_INLINE: Final = re.compile(r"<script(?![^>]*\ssrc\s*=)[^>]*>(.+?)</script>", re.DOTALL)
_RELATIVE: Final = re.compile(r'\b(src|href)="\./')
_BASE_ATTRIBUTE: Final = "data-openclaw-control-ui-base-path"
# What the folder holds beside a file for who can unpack it.
_PACKED: Final = {"br": ".br", "gzip": ".gz"}
_KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class NoControlUiError(Exception):
    """The folder is none that a Control UI is in; the text says why."""


@frozen
class Found:
    """What a path stands for.

    Attributes:
        file: In the folder.
        packed: How it is encoded; empty: not.
        moved: Where it is instead, if it is somewhere else.
    """

    file: str = PAGE
    packed: str = ""
    moved: str = ""


@frozen(kw_only=True)
class ControlUi:
    """The files by their paths.

    Attributes:
        root: The folder.
        base: The path under which they stand, without a slash at its end.
        files: Their names in the folder.
        worker: Reads them.
        version: Of this gateway.
        taken: First parts of paths that are the gateway's own.
    """

    root: Path
    base: str
    files: frozenset[str]
    worker: Worker
    version: str = ""
    taken: frozenset[str] = frozenset()

    @property
    def config_path(self) -> str:
        """Where the program asks what this gateway is."""
        return self.base + CONFIG

    def renamed(self, asked: Asked) -> Asked:
        """*asked*, if it is for what this gateway is, under that one's own path."""
        if self.base and asked.path == self.config_path:
            return attrs.evolve(asked, path=CONFIG)
        return asked

    def find(self, asked: Asked) -> Found | None:
        """What a request is answered with; None: it is not for the Control UI."""
        if asked.method not in ("GET", "HEAD") or asked.path == CONFIG:
            return None
        if self.base and asked.path == self.base:
            return Found(moved=f"{self.base}/")
        base, name = asked.path[: len(self.base) + 1], asked.path[len(self.base) + 1 :]
        own = not self.base and name.partition("/")[0] in self.taken
        return None if own or base != f"{self.base}/" else self._named(name, asked)

    def _named(self, name: str, asked: Asked) -> Found | None:
        if name and name != PAGE and name in self.files:
            return Found(name, self._packed(name, asked.headers))
        # A page of the program, or its start; a file that is missing is not one.
        if not name or name == PAGE or "text/html" in asked.headers.get("accept", ""):
            return Found()
        return None

    def _packed(self, name: str, headers: Mapping[str, str]) -> str:
        words = headers.get("accept-encoding", "").lower().split(",")
        accepted = {word.strip() for word in words}
        for packed, end in _PACKED.items():
            if packed in accepted and name + end in self.files:
                return packed
        return ""

    def read(self, found: Found) -> bytes:
        """The file, from the disk.

        Raises:
            OSError: It is not there any more.
        """
        end = _PACKED[found.packed] if found.packed else ""
        return (self.root / (found.file + end)).read_bytes()

    def response(self, found: Found, content: bytes, host: str) -> Response:
        """The answer; *host* is what the client calls this gateway."""
        if found.file == PAGE:
            page = self.page(content.decode())
            headers = {
                "content-type": _KINDS[".html"],
                "content-security-policy": policy(page, host),
                "cache-control": _ASK_AGAIN,
            }
            return Response(page, headers=headers)
        headers = {
            "content-type": kind_of(found.file),
            "cache-control": _FOR_EVER
            if found.file.startswith("assets/")
            else _ASK_AGAIN,
            "vary": "accept-encoding",
        }
        if found.packed:
            headers["content-encoding"] = found.packed
        return Response(content, headers=headers)

    def page(self, page: str) -> str:
        """The document, which finds its files from whatever path it is asked for."""
        page = _RELATIVE.sub(rf'\1="{self.base}/', page)
        return page.replace("<html", f'<html {_BASE_ATTRIBUTE}="{self.base}"', 1)

    async def answer(self, found: Found, asked: Asked) -> Response:
        """What is sent."""
        if found.moved:
            return Response(b"", status=302, headers={"location": found.moved})
        try:
            content = await self.worker.run(lambda: self.read(found))
        except OSError:
            # The folder was changed under us: an update, and no start since.
            words = "the Control UI is another one than at the node's start"
            return Response(
                words, status=503, headers={"content-type": "text/plain; charset=utf-8"}
            )
        return self.response(found, content, asked.headers.get("host", ""))

    def facts(self, *, agent: str) -> dict[str, Any]:
        """What the program is told of this gateway."""
        return {
            "basePath": self.base,
            "assistantName": agent,
            "assistantAvatar": None,
            "assistantAgentId": agent,
            "serverVersion": self.version,
            "terminalEnabled": False,
            "cliAgentsEnabled": False,
            "allowExternalEmbedUrls": False,
            "automaticallyFetchFavicons": False,
            "embedSandbox": "strict",
            "communityInvite": False,
            "pluginAssetsRequireAuth": True,
            "pluginFrameGrants": [],
        }


def policy(page: str, host: str) -> str:
    """What the document may load: what is its own, and nothing from elsewhere.

    OpenClaw's own gateway lets it show pictures and fonts of others; here the words of a
    model must not be able to make a browser ask a stranger for anything.
    """
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in _INLINE.findall(page)
    ]
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in digests)])
    # Not every browser takes 'self' for a WebSocket, too.
    sockets = f" ws://{host} wss://{host}" if host else ""
    return "; ".join(
        (
            "default-src 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self'",
            "worker-src 'self'",
            f"connect-src 'self' data:{sockets}",
        )
    )


def kind_of(name: str) -> str:
    """What a file holds, by its name.

    >>> kind_of("assets/app.js"), kind_of("LICENSE")
    ('text/javascript; charset=utf-8', 'application/octet-stream')
    """
    end = os.path.splitext(name)[1].lower()  # noqa: PTH122 -- no path of the disk
    return _KINDS.get(end) or mimetypes.types_map.get(end) or "application/octet-stream"


def files_of(root: Path) -> frozenset[str]:
    """Names of the files in *root*, which does no more than look.

    What a link points to outside of it is left out.

    Raises:
        NoControlUiError: It is not what it should be.
    """
    inside = os.path.realpath(root)
    found: set[str] = set()
    for folder, _, names in os.walk(inside, onerror=_unreadable):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 -- thousands of them
            target = os.path.realpath(path)
            if os.path.commonpath((inside, target)) == inside:
                found.add(os.path.relpath(path, inside).replace(os.sep, "/"))
        if len(found) > MOST_FILES:
            raise NoControlUiError(f"{root} has more than {MOST_FILES} files")
    if PAGE not in found:
        raise NoControlUiError(f"there is no {PAGE} in {root}")
    return frozenset(found)


def _unreadable(error: OSError) -> None:
    raise NoControlUiError(f"{error.filename}: {error.strerror}") from None


async def look(
    config: ControlUiConfig, worker: Worker, version: str
) -> ControlUi | None:
    """What *config* says to serve; None: nothing, or it cannot be, which is told."""
    root = config.root
    if root is None:
        return None
    try:
        files = await worker.run(lambda: files_of(root))
    except NoControlUiError as error:
        supervision.emit(UNREADABLE, {}, {"root": str(root), "error": str(error)})
        return None
    return ControlUi(
        root=root,
        base=config.base_path.rstrip("/"),
        files=files,
        worker=worker,
        version=version,
    )


def owned(rules: Iterable[str]) -> frozenset[str]:
    """First parts of the paths that the gateway answers itself, by its *rules*."""
    return frozenset(rule.split("/")[1] for rule in rules) - {""}
