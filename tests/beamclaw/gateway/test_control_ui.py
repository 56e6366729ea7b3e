"""Which path is a file of the Control UI, and what a browser may do with its page."""

from pathlib import Path

import pytest

import supervision
from beamclaw.config.schema import ControlUiConfig
from beamclaw.contracts.outside import InlineWorker
from beamclaw.gateway import control_ui
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.control_ui import ControlUi, Found, NoControlUiError, files_of

HTML = {"accept": "text/html,application/xhtml+xml"}
PAGE = """\
<!doctype html>
<html lang="en"><head><link href="./favicon.svg"><script>one()</script>
<script type="module" src="./assets/a.js"></script></head></html>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "control-ui"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    for name in ("favicon.svg", "assets/a.js", "assets/a.js.br", "assets/a.js.gz"):
        (folder / name).write_text(name)
    (tmp_path / "secret").write_text("secret")
    (folder / "assets" / "link.js").symlink_to(tmp_path / "secret")
    return folder


def opened(root: Path, base: str = "") -> ControlUi:
    return ControlUi(
        root=root,
        base=base,
        files=files_of(root),
        worker=InlineWorker(),
        taken=frozenset({"v1", "healthz"}),
    )


def asked(path: str, headers=None, method="GET") -> Asked:
    return Asked(method=method, path=path, query="", headers=headers or {})


FOUND = [
    ("/", {}, Found()),
    ("/index.html", {}, Found()),
    ("/chat/main", HTML, Found()),
    ("/chat/main", {}, None),
    ("/favicon.svg", {}, Found("favicon.svg")),
    ("/favicon.svg", {"accept-encoding": "br"}, Found("favicon.svg")),
    ("/assets/a.js", {"accept-encoding": "gzip"}, Found("assets/a.js", "gzip")),
    ("/assets/a.js", {"accept-encoding": "gzip, br"}, Found("assets/a.js", "br")),
    ("/assets/none.js", {}, None),
    ("/assets/link.js", {}, None),
    ("/../secret", {}, None),
    ("/assets/../../secret", {}, None),
    ("//etc/passwd", {}, None),
    ("/v1/nothing", HTML, None),
    ("/healthz", HTML, None),
    ("/control-ui-config.json", HTML, None),
]


@pytest.mark.parametrize("path, headers, found", FOUND)
def test_what_a_path_stands_for(root: Path, path, headers, found):
    assert opened(root).find(asked(path, headers)) == found
    assert opened(root).find(asked(path, headers, "POST")) is None
    # Under a path of its own nothing of the gateway's is in its way, nor is anything
    # outside of it the Control UI's.
    under = opened(root, "/claw")
    assert under.find(asked(path, headers)) is None


def test_under_a_path_of_its_own(root: Path):
    under = opened(root, "/claw")
    assert under.find(asked("/claw")) == Found(moved="/claw/")
    assert under.find(asked("/claw/v1/x", HTML)) == Found()
    assert under.find(asked("/clawless", HTML)) is None
    request = under.renamed(asked("/claw/control-ui-config.json"))
    assert request.path == "/control-ui-config.json"
    assert under.find(request) is None
    assert under.facts(agent="main")["basePath"] == "/claw"
    assert 'src="/claw/assets/a.js"' in under.page(PAGE)
    assert '<html data-openclaw-control-ui-base-path="/claw" lang' in under.page(PAGE)


def test_a_page_loads_what_is_its_own_and_nothing_else():
    told = control_ui.policy(PAGE, "127.0.0.1:1")
    rules = {each.split()[0]: each.partition(" ")[2] for each in told.split("; ")}
    assert rules["default-src"] == "'self'"
    assert rules["script-src"] == (
        "'self' 'sha256-HR7iaask9daLMRRskMI++QeJtjWDOjyPA6lGzYGzKW4='"
    )
    assert rules["connect-src"] == "'self' data: ws://127.0.0.1:1 wss://127.0.0.1:1"
    assert "http" not in told
    assert "unsafe" not in rules["script-src"]


async def test_files_are_sent_as_what_they_are(root: Path):
    served = opened(root)

    async def answer(path: str, **headers: str):
        request = asked(path, headers)
        found = served.find(request)
        assert found is not None
        return await served.answer(found, request)

    plain = await answer("/assets/a.js")
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in plain.headers["cache-control"]
    packed = await answer("/assets/a.js", **{"accept-encoding": "br"})
    assert await packed.get_data() == b"assets/a.js.br"
    assert packed.headers["content-encoding"] == "br"
    assert (await answer("/favicon.svg")).headers["cache-control"] == "no-cache"
    (root / "favicon.svg").unlink()
    assert (await answer("/favicon.svg")).status_code == 503


async def test_a_folder_that_is_none_is_told_and_not_served(tmp_path: Path):
    with pytest.raises(NoControlUiError, match="No such file"):
        files_of(tmp_path / "none")
    told: list[supervision.telemetry.Event] = []
    detach = supervision.telemetry.attach(told.append)
    try:
        config = ControlUiConfig(root=tmp_path)
        assert await control_ui.look(config, InlineWorker(), "1") is None
    finally:
        detach()
    assert [event.name for event in told] == [control_ui.UNREADABLE]
    assert "no index.html" in str(told[0].metadata["error"])
    assert await control_ui.look(ControlUiConfig(), InlineWorker(), "1") is None
