"""Which file, which value goes before which, and what is chosen when nobody chose."""

import re
from pathlib import Path

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import supervision
from beamclaw.bus import LocalBus
from beamclaw.config import Config, ConfigError, ConfigServer
from beamclaw.config.applying import holds
from beamclaw.config.current import Current
from beamclaw.config.document import parse
from beamclaw.config.loader import load
from beamclaw.config.redactor import secrets_of
from beamclaw.config.reference import default_file, effective, effective_values, page
from beamclaw.config.schema import Chosen
from beamclaw.config.token import kept_token
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.resources import resource
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.shell import data_folder

ROOT = Path(__file__).parents[3]
CANARY = "canary-5f1c9a7e"


def written(tmp_path, text, env=None, **options):
    file = tmp_path / "b.yaml"
    file.write_text(text)
    return load(env or {}, file=file, data=tmp_path / "data", **options)


def test_without_anything_the_defaults_hold(tmp_path):
    loaded = load({}, data=tmp_path)
    plain = attrs.evolve(Config(), data=tmp_path, chosen=loaded.config.chosen)
    assert loaded.config == plain
    assert (loaded.file, loaded.warnings, loaded.origins) == (None, (), {})
    assert loaded.config.chosen.model == "demo/demo"


def test_of_one_file_nothing_is_left_when_the_next_is_read(tmp_path):
    text = "providers: {demo: {api: demo, script: answers.yaml}}"
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "answers.yaml").write_text("- reply: yes it is")
        loaded = written(folder, f"{text}\n{folder.name}: 1")
        assert loaded.config.providers["demo"].script == folder / "answers.yaml"
        assert [warning.path for warning in loaded.warnings] == [folder.name]


def test_an_empty_file_is_as_good_as_none(tmp_path):
    for text in ("", "# nothing\n", "~", "gateway:\nproviders:\n"):
        loaded = written(tmp_path, text)
        assert loaded.config.gateway == Config().gateway
        assert loaded.config.providers == Config().providers


def test_which_file_is_read(tmp_path):
    for name, port in (("option", 1), ("env", 2), ("beamclaw", 3)):
        (tmp_path / f"{name}.yaml").write_text(f"gateway: {{port: {port}}}")
    env = {"BEAMCLAW_CONFIG": str(tmp_path / "env.yaml")}
    option = tmp_path / "option.yaml"
    assert load(env, file=option, data=tmp_path).config.gateway.port == 1
    assert load(env, data=tmp_path).config.gateway.port == 2
    assert load({}, data=tmp_path).config.gateway.port == 3


def test_which_data_folder_is_used(tmp_path):
    assert data_folder({"HOME": "/h"}) == Path("/h/.beamclaw")
    assert data_folder({"HOME": "/h", "BEAMCLAW_DATA": "/d"}) == Path("/d")
    assert data_folder({"BEAMCLAW_DATA": "/d"}, "/o/../e") == Path("/e")
    assert data_folder({}, "rel") == Path.cwd() / "rel"


def test_the_example_of_the_readme_as_it_stands(tmp_path):
    text = (
        "providers:\n"
        "  local: {api: openai, base_url: http://127.0.0.1:9999/v1, api_key: ${KEY}}\n"
        "agents:\n  main: {model: local/some-model}\n"
        "gateway: {host: 127.0.0.1, port: 18789, auth: {token: ${BEAMCLAW_TOKEN}}}\n"
    )
    env = {"KEY": "k-1", "BEAMCLAW_TOKEN": "t-1"}
    loaded = written(tmp_path, text, env)
    local = loaded.config.providers["local"]
    assert (local.api_key, local.base_url) == (
        Secret("k-1"),
        "http://127.0.0.1:9999/v1",
    )
    assert local.key_source == f"providers.local.api_key in {tmp_path}/b.yaml:2:69"
    assert loaded.config.gateway.auth.token == Secret("t-1")
    assert not loaded.warnings


def test_variables_inside_of_values(tmp_path):
    text = """
gateway: {port: ${PORT}, hosts: ["${A}.${B}", $${A}, '$${A}', pre-${A}]}
agents: {main: {system: "cost: $5 {x} ${A}"}}
"""
    config = written(tmp_path, text, {"PORT": "99", "A": "123", "B": "x"}).config
    assert config.gateway.port == 99
    assert config.gateway.hosts == ("123.x", "${A}", "${A}", "pre-123")
    assert config.agents["main"].system == "cost: $5 {x} 123"


def test_an_option_goes_before_the_file_and_a_token_of_the_environment_too(tmp_path):
    text = "gateway: {port: 1, auth: {token: from-the-file-0123}}"
    env = {"BEAMCLAW_TOKEN": "from-the-environment"}
    loaded = written(tmp_path, text, env, options={"gateway.port": "0"})
    assert loaded.config.gateway.port == 0
    assert loaded.config.gateway.auth.token == Secret("from-the-environment")
    assert loaded.origins["gateway.port"] == "--port"
    origin = loaded.origins["gateway.auth.token"]
    assert origin == "environment variable BEAMCLAW_TOKEN"


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "answers.yaml: No such file or directory; put it right"),
        ("{", "answers.yaml: while parsing"),
        ("- reply: a\n- rely: b", "answers.yaml, entry 2: unknown key rely"),
    ],
)
def test_a_faulty_script_is_told_with_the_configuration(tmp_path, content, words):
    if content is not None:
        (tmp_path / "answers.yaml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, "providers: {demo: {api: demo, script: answers.yaml}}")
    told = str(caught.value)
    assert ":1:39: providers.demo.script: cannot be used: " in told
    assert words in told


def test_aliases_null_and_relative_paths(tmp_path):
    (tmp_path / "answers.yaml").write_text("- reply: yes it is")
    text = """
providers:
  demo: &d {script: answers.yaml, delay: 0}
  other: *d
agents: {main: , second: {model: ~}}
"""
    with pytest.raises(ConfigError, match=r"other\.api: is missing"):
        written(tmp_path, text)
    config = written(
        tmp_path, text.replace("demo: &d {", "demo: &d {api: demo, ")
    ).config
    assert config.providers["other"].script == tmp_path / "answers.yaml"
    assert set(config.agents) == {"main", "second"}


CHOICES = [
    ({}, "", "demo/demo", "there is no ANTHROPIC_API_KEY"),
    ({"OPENAI_API_KEY": "k"}, "", "openai/gpt-5.4-mini", "OPENAI_API_KEY is set"),
    (
        {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"},
        "",
        "anthropic/claude-haiku-4-5",
        "ANTHROPIC_API_KEY is set",
    ),
    (
        {"OPENAI_BASE_URL": "http://a/v1"},
        "",
        "openai/gpt-5.4-mini",
        "OPENAI_BASE_URL is set, and no provider has a key",
    ),
    (
        {"OPENAI_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://a"},
        "",
        "openai/gpt-5.4-mini",
        "OPENAI_API_KEY is set",
    ),
    ({"OPENAI_API_KEY": " "}, "", "demo/demo", "there is no ANTHROPIC_API_KEY"),
    (
        {"OPENAI_API_KEY": "k", "BEAMCLAW_MODEL": "openai/x"},
        "",
        "openai/x",
        "BEAMCLAW_MODEL names it",
    ),
    (
        {"ANTHROPIC_API_KEY": "k"},
        "providers: {mine: {api: openai, base_url: 'http://a/v1', default_model: m}}",
        "mine/m",
        "mine is the first provider in ",
    ),
    (
        {"ANTHROPIC_API_KEY": "k"},
        "providers: {openai: {max_attempts: 1}}",
        "anthropic/claude-haiku-4-5",
        "ANTHROPIC_API_KEY is set",
    ),
]


@pytest.mark.parametrize("env, text, model, why", CHOICES)
def test_what_is_chosen_and_why(tmp_path, env, text, model, why):
    chosen = written(tmp_path, text, env).config.chosen
    assert chosen.model == model
    assert why in chosen.why


def test_a_key_of_the_environment_is_not_sent_to_another_address(tmp_path):
    text = "providers: {openai: {base_url: 'http://elsewhere/v1'}}"
    loaded = written(tmp_path, text, {"OPENAI_API_KEY": CANARY})
    assert loaded.config.providers["openai"].api_key is None
    (warning,) = loaded.warnings
    assert "OPENAI_API_KEY is not sent to a base_url of your own" in str(warning)
    meant = text.replace("v1'}", "v1', api_key: '${OPENAI_API_KEY}'}")
    loaded = written(tmp_path, meant, {"OPENAI_API_KEY": CANARY})
    assert loaded.config.providers["openai"].api_key == Secret(CANARY)
    assert not loaded.warnings


def test_the_environment_completes_the_provider_of_its_name(tmp_path):
    env = {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": "http://a/v1"}
    openai = written(tmp_path, "providers: {openai: }", env).config.providers["openai"]
    assert (openai.api, openai.api_key, openai.base_url) == (
        "openai",
        Secret(CANARY),
        "http://a/v1",
    )
    assert openai.key_source == "environment variable OPENAI_API_KEY"


def test_loopback_needs_no_long_token_and_a_made_one_is_enough_for_all(tmp_path):
    for host in ("127.0.0.1", "localhost", "'::1'", "127.8.8.8"):
        text = f"gateway: {{host: {host}, auth: {{mode: none, token: x}}}}"
        assert written(tmp_path, text).config.gateway.auth.mode == "none"
    assert (
        written(tmp_path, "gateway: {host: 0.0.0.0}").config.gateway.auth.token is None
    )


# --- what is shown


def secret_config(tmp_path):
    text = (
        f"providers: {{x: {{api: openai, base_url: 'http://a', api_key: {CANARY}-1, "
        f"headers: {{X-Key: {CANARY}-2}}}}}}\n"
        f"gateway: {{port: 5, auth: {{token: {CANARY}-3}}}}"
    )
    return written(tmp_path, text, {"OPENAI_API_KEY": f"{CANARY}-4"})


def test_no_secret_is_shown(tmp_path):
    loaded = secret_config(tmp_path)
    shown = effective(loaded) + str(effective_values(loaded)) + repr(loaded.config)
    assert CANARY not in shown
    assert "[secret]" in shown
    known = {secret.reveal()[-1] for secret in secrets_of(loaded.config)}
    assert known == {"1", "2", "3", "4"}


def test_what_is_shown_says_where_it_is_from_and_can_be_read_again(tmp_path):
    loaded = secret_config(tmp_path)
    text = effective(loaded)
    assert f"  port: 5  # {tmp_path}/b.yaml:2:17" in text
    assert '  host: "127.0.0.1"  # default' in text
    assert '    api_key: "[secret]"  # environment variable OPENAI_API_KEY' in text
    again = written(tmp_path, text)
    assert again.config.gateway.port == 5


# --- what is generated


def test_the_default_file_is_the_schema_and_loads_as_the_defaults(tmp_path):
    file = resource("config") / "beamclaw.yaml"
    assert file.read_text() == default_file(), "run: python -m beamclaw.config"
    config = load({}, file=file, data=tmp_path, strict=True).config
    same = attrs.evolve(config, data=Config().data, chosen=Chosen())
    assert same == Config()


def test_the_reference_page_has_the_table_of_keys():
    text = (ROOT / "docs/reference/configuration.md").read_text()
    assert page(holds) in text, "run: python -m beamclaw.config"


# --- the process


async def test_the_process_publishes_what_it_holds(tmp_path):
    config = secret_config(tmp_path).config
    start = lambda: ConfigServer(Current(config), LocalBus(), Outside())  # noqa: E731
    spec = supervision.ChildSpec("config", start, name="config")
    async with supervision.open_supervisor([spec]):
        entry = supervision.lookup("config")
        assert entry is not None
        assert entry.value is config
        assert CANARY not in str(supervision.state("config"))
        await trio.lowlevel.checkpoint()


# --- the token that nobody set


def test_a_token_is_made_once_and_kept_private(tmp_path):
    token = kept_token(tmp_path)
    file = tmp_path / "token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(token.reveal()) >= 32
    assert kept_token(tmp_path) == token
    file.chmod(0o644)
    kept_token(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("text", ["", "short", "two words are no token at all"])
def test_a_file_without_a_usable_token_is_left_alone(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match="holds no usable token; delete it"):
        kept_token(tmp_path)
    assert (tmp_path / "token").read_text() == text


# --- anything at all


@pytest.mark.slow
@given(st.text(max_size=60))
@settings(max_examples=100, suppress_health_check=[HealthCheck.differing_executors])
def test_no_text_breaks_the_reader(text):
    tree, problems = parse(text, "f", {})
    assert tree is not None
    for problem in problems:
        assert str(problem).startswith("f")


# --- sessions: when they end, how long they are kept


def test_an_agent_may_have_a_reset_rule_of_its_own(tmp_path):
    text = """
sessions:
  reset: {mode: daily, at_hour: 5}
  time_zone: Europe/Berlin
agents:
  main: {reset: {mode: idle, idle_minutes: 0.5}}
  other: {}
"""
    config = written(tmp_path, text).config
    assert config.agents["main"].reset is not None
    assert config.agents["main"].reset.idle_minutes == 0.5
    assert config.agents["other"].reset is None
    assert (config.sessions.reset.mode, config.sessions.reset.at_hour) == ("daily", 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time_zone: Europe/Brlin", "did you mean Europe/Berlin?"),
        ("time_zone: ../etc/passwd", "there is no time zone"),
        ("reset: {mode: dayly}", "expected one of never, daily, idle"),
        ("reset: {at_hour: 24}", "expected a whole number of at most 23"),
        ("reset: {idle_minutes: 0}", "expected a number above 0"),
        ("retention: {request_seconds: -1}", "of at least 0"),
        ("max_awake: 8", "must be above limits.subagents.concurrent (8)"),
    ],
)
def test_what_is_wrong_with_them_is_told(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, f"sessions:\n  {text}\n")
    assert words in str(caught.value)


# --- several keys

KEYS = """
providers:
  p:
    api: openai
    api_key: ["${FIRST}", second-key-5f1c9a7e]
  q: {api: openai, base_url: "http://q/v1", api_key: only-key-5f1c9a7e}
  r: {api: openai, base_url: "http://r/v1"}
"""


def test_a_provider_may_have_several_keys(tmp_path):
    config = written(tmp_path, KEYS, {"FIRST": "first-key-5f1c9a7e"}).config
    keys = {
        name: [key.reveal() for key in provider.keys]
        for name, provider in config.providers.items()
    }
    assert keys["p"] == ["first-key-5f1c9a7e", "second-key-5f1c9a7e"]
    assert keys["q"] == ["only-key-5f1c9a7e"]
    assert keys["r"] == []
    assert [config.providers[name].key_count for name in "pqr"] == [2, 1, 1]
    assert "providers.p.api_key in" in config.providers["p"].key_source


def test_none_of_several_keys_is_shown(tmp_path):
    loaded = written(tmp_path, KEYS, {"FIRST": "first-key-5f1c9a7e"})
    shown = f"{loaded.config!r} {effective(loaded)} {effective_values(loaded)}"
    assert "5f1c9a7e" not in shown
    assert len(secrets_of(loaded.config)) == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("[]", "providers.p.api_key: is an empty list"),
        ("[1]", "expected a text"),
        ("{a: b}", "expected a text"),
        ('["a b"]', "has blanks, line breaks"),
        ('[""]', "is empty"),
    ],
)
def test_what_is_wrong_with_keys_is_told(tmp_path, value, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        written(tmp_path, f"providers: {{p: {{api: openai, api_key: {value}}}}}")


def test_the_first_probe_comes_before_the_last(tmp_path):
    text = "providers: {p: {api: demo, breaker_first: 9, breaker_most: 3}}"
    with pytest.raises(ConfigError, match="breaker_first: is more than breaker_most"):
        written(tmp_path, text)


def test_limits_of_ones_own_take_the_place_of_those_from_the_start(tmp_path):
    assert Config().limits.day.unpriced == "free"
    day = written(tmp_path, "limits: {day: {cost: 20}}").config.limits.day
    assert (day.cost, day.unpriced) == (20.0, "refuse")
    day = written(tmp_path, "limits: {day: {tokens: 5}}").config.limits.day
    assert (day.cost, day.tokens) == (None, 5)
    own = "agents: {main: {limits: {turn: {cost: 2}, day: {calls: 7}}}}"
    agent = written(tmp_path, own).config.agents["main"]
    assert (agent.limits.turn.cost, agent.limits.day.calls) == (2.0, 7)
