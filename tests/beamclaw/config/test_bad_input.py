"""What is said to somebody whose configuration is wrong, word for word."""

import pytest

from beamclaw.config.loader import load
from beamclaw.config.problems import NO_HOME, ConfigError

CANARY = "canary-5f1c9a7e"


def errors_of(tmp_path, text, **options):
    file = tmp_path / "b.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(options.pop("env", {}), file=file, data=tmp_path / "data", **options)
    return [str(p).replace(f"{tmp_path}/", "") for p in caught.value.problems]


# The YAML, and the one line that is said about it.
TABLE = [
    # --- which tools there are
    (
        "tools: {deny: [group:runtmie]}",
        (
            "b.yaml:1:16: tools.deny[0]: there is no group 'group:runtmie'; "
            "did you mean group:runtime?"
        ),
    ),
    (
        "agents: {main: {tools: {profile: codign}}}",
        (
            "b.yaml:1:34: agents.main.tools.profile: expected one of minimal, coding, "
            'messaging, full, found the text "codign"; did you mean coding?'
        ),
    ),
    (
        "agents: {main: {tools: {by_provider: {dmeo/x: {deny: [exec]}}}}}",
        (
            'b.yaml:1:39: agents.main.tools.by_provider."dmeo/x": there is no provider '
            "'dmeo' (there are demo); did you mean demo?"
        ),
    ),
    ("tools: {allow: ['']}", "b.yaml:1:17: tools.allow[0]: is empty"),
    (
        "tools: {web: {hosts: ['https://a.example']}}",
        (
            "b.yaml:1:23: tools.web.hosts[0]: expected a host, or *. and one (without a "
            "scheme, port or path); found 'https://a.example'"
        ),
    ),
    (
        "tools: {web: {private_networks: [192.168.1.0/24, 10.0.0/8]}}",
        (
            "b.yaml:1:50: tools.web.private_networks[1]: expected a network, as "
            "192.168.1.0/24, or an address; found '10.0.0/8'"
        ),
    ),
    (
        'tools: {web: {user_agent: "a\\nb"}}',
        "b.yaml:1:27: tools.web.user_agent: expected one line of plain ASCII",
    ),
    # --- true or false
    (
        "tools: {exec: {notify_on_exit: 1}}",
        (
            "b.yaml:1:32: tools.exec.notify_on_exit: expected true or false, found the "
            "number 1"
        ),
    ),
    (
        'tools: {exec: {notify_on_exit: "true"}}',
        (
            "b.yaml:1:32: tools.exec.notify_on_exit: expected true or false, found the text "
            '"true"; leave out the quotes'
        ),
    ),
    # --- YAML that is none
    (
        "gateway: {port: 1",
        (
            "b.yaml:1:18: not valid YAML: did not find expected ',' or '}' "
            "(while parsing a flow mapping, begun in line 1)"
        ),
    ),
    (
        "a:\n\tb: 1",
        (
            "b.yaml:2:1: not valid YAML: found character that cannot start any token "
            "(while scanning for the next token, begun in line 2); indent by blanks, not "
            "by tabs"
        ),
    ),
    ("gateway: *nothing", "b.yaml:1:10: nothing is marked &nothing"),
    ("a: &x [*x]", "b.yaml:1:8: *x stands inside of &x"),
    (
        "a: !!python/none x",
        "b.yaml:1:4: tags are not understood: tag:yaml.org,2002:python/none",
    ),
    (
        "a: 1\n---\nb: 2",
        "b.yaml:2:1: a second document begins here; one file holds one",
    ),
    (
        "just words",
        "b.yaml:1:1: expected keys with values, like `gateway:`, found a text",
    ),
    ("[1, 2]", "b.yaml:1:1: expected keys with values, like `gateway:`, found a list"),
    ("[" * 40, "b.yaml:1:33: nested deeper than 32 levels"),
    (b"gateway: {host: \xff}", "b.yaml:1:17: is not UTF-8 text"),
    ("a: \ue000", "b.yaml:1:4: the character '\\ue000' is not allowed"),
    ("? [a]\n: 1", "b.yaml:1:3: a key has to be a word"),
    (
        "gateway:\n  <<: {port: 1}",
        "b.yaml:2:3: gateway: << is not understood; write the keys out",
    ),
    (
        "gateway:\n  port: 1\n  port: 2",
        "b.yaml:3:3: gateway.port: this key stands here a second time (first in line 2)",
    ),
    # --- variables
    (
        "gateway:\n  host: http-${HOSTNAME_X}",
        "b.yaml:2:14: gateway.host: the variable HOSTNAME_X is not set",
    ),
    (
        "gateway: {auth: {token: ${TOKEN_X}}}",
        "b.yaml:1:25: gateway.auth.token: the variable TOKEN_X is not set",
    ),
    (
        "gateway: {host: '${A:-b}'}",
        (
            "b.yaml:1:17: gateway.host: ${A:-b} is no variable: a name has letters, digits "
            "and _ only, and nothing else stands in the braces ($${ is a plain ${)"
        ),
    ),
    # --- types
    (
        "gateway: {port: abc}",
        'b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found the text "abc"',
    ),
    (
        'gateway: {port: "80"}',
        'b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found the text "80"; leave out the quotes',
    ),
    (
        "gateway: {port: 65536}",
        "b.yaml:1:17: gateway.port: expected a whole number of at most 65535, found the number 65536",
    ),
    (
        "gateway: {port: -1}",
        "b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found the number -1",
    ),
    (
        "gateway: {port: 8.5}",
        "b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found the number 8.5",
    ),
    (
        "gateway: {port: yes}",
        'b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found the text "yes"',
    ),
    (
        "gateway: {port: [1]}",
        "b.yaml:1:17: gateway.port: expected a whole number from 0 to 65535, found a list",
    ),
    ("gateway: 5", "b.yaml:1:10: gateway: expected keys like host, found the number 5"),
    (
        "gateway: {control_ui: {port: 18789}}",
        "b.yaml:1:30: gateway.control_ui.port: is gateway.port, too; leave it out",
    ),
    (
        "gateway: {control_ui: {host: 'a b'}}",
        "b.yaml:1:30: gateway.control_ui.host: expected an address to listen on, like 127.0.0.1",
    ),
    (
        "providers: [a]",
        "b.yaml:1:12: providers: expected a mapping of names, found a list",
    ),
    (
        "gateway: {host: 8080}",
        "b.yaml:1:17: gateway.host: expected a text, found the number 8080; put it in quotes",
    ),
    (
        "gateway: {hosts: a.example}",
        'b.yaml:1:18: gateway.hosts: expected a list, found the text "a.example"',
    ),
    (
        "gateway: {hosts: [a, 5]}",
        "b.yaml:1:22: gateway.hosts[1]: expected a text, found the number 5; put it in quotes",
    ),
    (
        "sessions: {idle_seconds: 0}",
        "b.yaml:1:26: sessions.idle_seconds: expected a number above 0, found the number 0",
    ),
    (
        "sessions: {idle_seconds: 1e300}",
        "b.yaml:1:26: sessions.idle_seconds: expected a number of at most 1000000000, found the number 1e300",
    ),
    (
        "tools: {web: {read_memory: 67108800}}",
        "b.yaml:1:28: tools.web.read_memory: expected a whole number of at least 67108864, found the number 67108800",
    ),
    (
        "sessions: {flush_ms: 0}",
        "b.yaml:1:22: sessions.flush_ms: expected a whole number of at least 1, found the number 0",
    ),
    (
        "logging: {level: warn}",
        'b.yaml:1:18: logging.level: expected one of debug, info, warning, error, found the text "warn"; did you mean warning?',
    ),
    # --- providers, models, agents
    (
        "providers: {x: {base_url: 'http://a'}}",
        "b.yaml:1:13: providers.x.api: is missing; expected one of openai, anthropic, demo",
    ),
    (
        "providers: {x: {api: opnai}}",
        'b.yaml:1:22: providers.x.api: expected one of openai, anthropic, demo, found the text "opnai"; did you mean openai?',
    ),
    (
        "providers: {x: {api: openai, base_url: ftp://a}}",
        "b.yaml:1:40: providers.x.base_url: expected an address like http://127.0.0.1:9999/v1",
    ),
    (
        "providers: {x: {api: openai, base_url: 'http://u:p@a/v1'}}",
        "b.yaml:1:40: providers.x.base_url: must not hold a name or password; use api_key or headers",
    ),
    (
        "providers: {x: {api: openai, api_key: 'a b'}}",
        "b.yaml:1:39: providers.x.api_key: has blanks, line breaks or characters that are not ASCII",
    ),
    (
        "providers: {x: {api: openai, script: a}}",
        "b.yaml:1:38: providers.x.script: is for api: demo only",
    ),
    (
        "agents: {main: {model: dmo/x}}",
        "b.yaml:1:24: agents.main.model: there is no provider 'dmo' (there are demo); did you mean demo?",
    ),
    (
        "agents: {main: {model: demo/}}",
        "b.yaml:1:24: agents.main.model: expected demo/ and the model's name",
    ),
    (
        "agents: {a.b: }",
        'b.yaml:1:10: agents."a.b": an agent id has up to 64 ASCII letters, digits, - and _, and begins with a letter or digit',
    ),
    (
        "tools: {exec: {sandbox: {read: [/srv, /var/run/docker.sock]}}}",
        "b.yaml:1:39: tools.exec.sandbox.read[1]: /var/run/docker.sock is of the machine: it is not put into a sandbox",
    ),
    (
        "agents: {main: {sandbox: {write: [/]}}}",
        "b.yaml:1:35: agents.main.sandbox.write[0]: / is of the machine: it is not put into a sandbox",
    ),
    (
        "agents: {main: {sandbox: {mode: docker}}}",
        'b.yaml:1:33: agents.main.sandbox.mode: expected one of auto, bubblewrap, none, found the text "docker"',
    ),
    # --- who may come in
    (
        "gateway: {host: 0.0.0.0, auth: {mode: none}}",
        "b.yaml:1:39: gateway.auth.mode: none is refused while gateway.host is 0.0.0.0, which others can reach; take token, or the host 127.0.0.1",
    ),
    (
        "gateway: {host: 10.0.0.1, auth: {token: short}}",
        "b.yaml:1:41: gateway.auth.token: has 5 characters; at least 16 are needed while gateway.host is 10.0.0.1, which others can reach",
    ),
    (
        "gateway: {auth: {token: ''}}",
        "b.yaml:1:25: gateway.auth.token: is empty",
    ),
    *(
        (text, f"b.yaml:1:{column}: {key}: {NO_HOME}")
        for text, column, key in (
            ("agents: {main: {workspace: ~nobodyhere/x}}", 28, "agents.main.workspace"),
            (
                "providers: {a: {api: openai, api_key: {file: ~nobodyhere/x}}}",
                46,
                "providers.a.api_key.file",
            ),
            (
                "tools: {exec: {sandbox: {read: [~nobodyhere/x]}}}",
                33,
                "tools.exec.sandbox.read[0]",
            ),
        )
    ),
]


@pytest.mark.parametrize("text, words", TABLE, ids=[str(t)[:40] for t, _ in TABLE])
def test_each_mistake_is_told_with_its_place(tmp_path, text, words):
    assert errors_of(tmp_path, text) == [words]


def test_a_file_in_the_home_of_nobody_is_told_so(tmp_path):
    with pytest.raises(ConfigError) as refused:
        load({}, file="~nobodyhere/b.yaml", data=tmp_path)
    assert str(refused.value) == f"~nobodyhere/b.yaml: {NO_HOME}"


def test_all_mistakes_are_told_at_once_in_reading_order(tmp_path):
    text = (
        "agents: {main: {model: x/y, temperature: 9}}\n"
        "gateway:\n  port: abc\n  host: ${UNSET_X}\n"
        "gateway: {}\n"
    )
    assert [line.partition(" ")[0] for line in errors_of(tmp_path, text)] == [
        "b.yaml:1:24:",
        "b.yaml:1:42:",
        "b.yaml:3:9:",
        "b.yaml:4:9:",
        "b.yaml:5:1:",
    ]


@pytest.mark.slow
def test_an_alias_bomb_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (error,) = errors_of(tmp_path, "\n".join(lines))
    assert "more than 100000 values or 32 levels" in error


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (error,) = errors_of(tmp_path, "#" * (1024 * 1024 + 1))
    assert error == "b.yaml: is larger than 1048576 bytes; a configuration is not"


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    for name, words in (("none", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(ConfigError, match=f"cannot be read: {words}"):
            load({}, file=tmp_path / name, data=tmp_path)


def test_an_unknown_key_is_a_warning_and_an_error_if_strict(tmp_path):
    file = tmp_path / "b.yaml"
    file.write_text("gateway: {prot: 3, zzz: 4}")
    loaded = load({}, file=file, data=tmp_path)
    assert [str(w).partition("b.yaml")[2] for w in loaded.warnings] == [
        ":1:11: gateway.prot: unknown key; did you mean port?",
        ":1:20: gateway.zzz: unknown key",
    ]
    assert loaded.config.gateway.port == 18789
    assert len(errors_of(tmp_path, file.read_text(), strict=True)) == 2


def test_a_tool_that_nobody_has_is_a_warning_and_strictly_an_error(tmp_path):
    text = "tools: {deny: [sessions_lst, web_*, group:web], allow: [weather]}\n"
    file = tmp_path / "b.yaml"
    file.write_text(text)
    loaded = load({}, file=file, data=tmp_path)
    assert [str(w).partition("b.yaml")[2] for w in loaded.warnings] == [
        (
            ":1:16: tools.deny[0]: no tool 'sessions_lst' is built in, and no package has it; "
            "did you mean sessions_list?"
        ),
        ":1:57: tools.allow[0]: no tool 'weather' is built in, and no package has it",
    ]
    assert len(errors_of(tmp_path, text, strict=True)) == 2


def test_a_value_of_a_variable_or_secret_is_in_no_error(tmp_path):
    text = (
        "gateway: {port: ${PORT_X}, auth: {token: {a: 1}}}\n"
        f"providers: {{x: {{api: openai, api_key: [{CANARY}]}}}}\n"
        "logging: {level: ${PORT_X}}\n"
    )
    found = "\n".join(errors_of(tmp_path, text, env={"PORT_X": CANARY}))
    assert "found the value of ${PORT_X}" in found
    assert CANARY not in found


def test_an_unquoted_number_as_secret_is_not_shown(tmp_path):
    (error,) = errors_of(tmp_path, "gateway: {auth: {token: 4711471147114711}}")
    assert error == (
        "b.yaml:1:25: gateway.auth.token: expected a text, found a number; "
        "put it in quotes"
    )


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"gateway.port": "x"},
            '--port: gateway.port: expected a whole number from 0 to 65535, found the text "x"',
        ),
        (
            {"gateway.host": "a b"},
            "--host: gateway.host: expected an address to listen on, like 127.0.0.1",
        ),
    ],
)
def test_an_option_is_checked_like_a_key(tmp_path, options, words):
    assert errors_of(tmp_path, "", options=options) == [words]


def test_an_environment_variable_is_checked_like_a_key(tmp_path):
    env = {"OPENAI_BASE_URL": "nonsense", "BEAMCLAW_TOKEN": "to ken"}
    assert errors_of(tmp_path, "", env=env) == [
        (
            "environment variable BEAMCLAW_TOKEN: gateway.auth.token: has blanks, line "
            "breaks or characters that are not ASCII"
        ),
        (
            "environment variable OPENAI_BASE_URL: providers.openai.base_url: expected an "
            "address like http://127.0.0.1:9999/v1"
        ),
    ]
    assert errors_of(tmp_path, "", env={"BEAMCLAW_MODEL": "x/y"}) == [
        "environment variable BEAMCLAW_MODEL: there is no provider 'x' (there are demo)"
    ]
