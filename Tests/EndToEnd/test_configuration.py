"""What a process does with its configuration: refuses what is wrong with a place, takes overrides, tells where it listens."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from exchange import PING, eventually
from processes import BINARY, ROOT, environment, run, write_rule

FREE = [
    "--set", "master.exchange.listen=127.0.0.1:0", "--set", "master.admin.listen=127.0.0.1:0",
    "--set", "worker.http.listen=127.0.0.1:0",
]
FREE_WORKER = [*FREE, "--set", "worker.listeners.exchange.listen=127.0.0.1:0"]

# Name: the file, where the error is, what the message holds.
WRONG = {
    "an unknown key": ("worker:\n  lops: 2\n", 2, ["lops", "loops", "config.unknown_key"]),
    "an unknown section": ("wroker:\n  loops: 2\n", 1, ["wroker", "worker", "config.unknown_key"]),
    "a wrong type": ("worker:\n\n  loops: many\n", 3, ["worker.loops", "many", "config.type"]),
    "a text for a list": ("worker:\n  masters: { a: 1 }\n", 2, ["worker.masters", "config.type"]),
    "a number out of range": ("worker:\n  loops: 4096\n", 2, ["worker.loops", "254", "config.range"]),
    "a size without sense": ("limits:\n  frame: 10 parsecs\n", 2, ["limits.frame"]),
    "a duration without unit": ("log: {}\nworker:\n  heartbeat: { every: 3 }\n", 3, ["worker.heartbeat.every"]),
    "an address without port": ("worker:\n  masters: [localhost]\n", 2, ["worker.masters", "localhost"]),
    "an unknown strategy": ("worker:\n  groups: { strategy: best }\n", 2, ["round_robin"]),
    "an unknown protocol": ("worker:\n  listeners:\n    x: { protocol: smtp, listen: '127.0.0.1:0' }\n", 3, ["exchange"]),
    "what is no YAML": ("worker:\n  loops: [1\nlog: {}\n", None, []),
    "a key that stands twice": ("worker:\n  loops: 1\n  loops: 2\n", 2, ["loops", "more than once"]),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("check", [True, False])
def test_a_wrong_configuration_is_refused_with_its_place(tmp_path, name, check):
    text, line, words = WRONG[name]
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    result = run("dev", "--config", path, *FREE, *["--check"] * check, cwd=tmp_path)
    assert result.returncode == 78, result.stderr
    assert (f"{path}:{line}:" if line else f"{path}:") in result.stderr
    for word in words:
        assert word in result.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["wrong.yaml"], "nothing is created"


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("kind,masters", [("worker", ""), ("dev", "masters: []")])
def test_a_worker_of_a_master_without_a_listener_for_it_is_refused(tmp_path, kind, masters, check):
    path = tmp_path / "mqtt.yaml"
    path.write_text(
        f"worker:\n  {masters}\n  listeners:\n    mqtt: {{ protocol: mqtt, listen: '127.0.0.1:0', allow_anonymous: true }}\n")
    result = run(kind, "--config", path, *FREE, *["--check"] * check, cwd=tmp_path)
    assert result.returncode == 78 and "no listener of the exchange protocol" in result.stderr, result.stderr


@pytest.mark.parametrize("text", ["worker: 3\n", "worker: [a]\n", "worker:\n  loops:3\n"])
@pytest.mark.parametrize("check", [True, False])
def test_a_section_that_is_no_mapping_is_refused(tmp_path, text, check):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    result = run("worker", "--config", path, *FREE_WORKER, *["--check"] * check, cwd=tmp_path)
    assert result.returncode == 78 and f"{path}:" in result.stderr and "config.type" in result.stderr, result.stderr


def test_variables_that_are_no_keys_are_warned_about(shunt):
    worker = shunt.worker(env={"SHUNT_VERSION": "1", "SHUNT_HOME": "/"})
    worker.wait_log("SHUNT_VERSION")
    worker.wait_log("SHUNT_HOME")
    result = run("worker", "--check", env={"SHUNT_CONFIG": "x"})
    assert result.returncode == 0 and "SHUNT_CONFIG" in result.stderr


def test_a_check_warns_as_the_worker_does_and_counts_rules(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "idle", "return { name = 'idle', on_message = function() end }")
    rules = {"rules.directory": plugins, "rules.enabled": "[idle]", "rules.settings": "{other: {}}"}
    sets = [part for key, value in rules.items() for part in ("--set", f"{key}={value}")]
    result = run("worker", "--check", *sets)
    assert result.returncode == 0 and "its rule loads" in result.stdout, result.stderr
    worker = shunt.worker(rules)
    warned = [{**json.loads(line), "time": None} for line in result.stderr.splitlines()]
    logged = [{**json.loads(line), "time": None} for line in worker.stderr.splitlines()]
    assert warned and all(line in logged for line in warned), (warned, logged)
    assert "enables no rules" in run("worker", "--check").stdout


def test_the_start_is_logged_with_version_configuration_and_rules(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "one", "return { name = 'one', on_message = function() end }")
    write_rule(plugins, "two", "return { name = 'two', on_message = function() end }")
    worker = shunt.worker(
        {"worker.name": "north"},
        config=f"rules: {{ directory: {plugins}, enabled: all }}\nworker: {{ listeners: {{ exchange: {{ listen: '127.0.0.1:0' }} }} }}\n")
    worker.wait_log("started")
    line = next(line for line in worker.stderr.splitlines() if "started" in line)
    version = run("--version").stdout.split()[1]
    assert version in line and "config.yaml" in line and "one, two" in line, line
    assert json.loads(line)["metadata"]["worker"] == "north"


def test_each_json_line_names_its_worker_or_master(shunt):
    worker, master = shunt.worker({"worker.name": "north"}), shunt.master({"master.name": "south"})
    worker.reload()
    master.reload()
    for process, name in ((worker, "north"), (master, "south")):
        lines = [json.loads(line) for line in process.stderr.splitlines()]
        assert len(lines) >= 3 and all(line[process.kind] == name for line in lines), lines
    dev = shunt.dev()
    dev.reload()
    assert not any({"worker", "master"} & json.loads(line).keys() for line in dev.stderr.splitlines())


@pytest.mark.parametrize("kind", ["fifo", "symlink", "device", "folder"])
def test_a_ready_file_takes_the_place_of_plain_files_only(tmp_path, kind):
    path = tmp_path / "ready"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        (tmp_path / "kept").write_text("kept")
        path.symlink_to("kept")
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path.mkdir()
    before = os.lstat(path).st_mode
    result = run("worker", *FREE_WORKER, "--set", "worker.masters=[]", "--ready-file", path, cwd=tmp_path)
    assert result.returncode == 64 and str(path) in result.stderr, result.stderr
    assert os.lstat(path).st_mode == before


def test_a_ready_file_that_cannot_be_written_is_an_error(tmp_path):
    result = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "-", BINARY, "worker", *FREE_WORKER, "--set", "worker.masters=[]", "--ready-file", "ready"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    assert result.returncode == 74, result.stderr
    assert not (tmp_path / "ready").exists() and not list(tmp_path.iterdir())


def test_all_errors_are_told_at_once(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("worker:\n  lops: 2\nlimits:\n  frame: x\n")
    result = run("worker", "--config", path, "--check", cwd=tmp_path)
    assert f"{path}:2:" in result.stderr and f"{path}:4:" in result.stderr


@pytest.mark.parametrize(
    "arguments, words", [
        (["--set", "worker.lops=2"], ["--set", "worker.lops", "loops"]),
        (["--set", "worker.loops=many"], ["--set", "worker.loops"]),
        (["--set", "worker.loops"], ["worker.loops"]), (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
    ])
def test_wrong_arguments_are_refused(tmp_path, arguments, words):
    result = run("dev", *FREE, *arguments, cwd=tmp_path)
    assert result.returncode in (64, 78), result.stderr
    for word in words:
        assert word in result.stderr


def test_a_wrong_variable_of_the_environment_is_refused(tmp_path):
    result = run("dev", *FREE, cwd=tmp_path, env={"SHUNT_WORKER_LOOPS": "many"})
    assert result.returncode == 78 and "SHUNT_WORKER_LOOPS" in result.stderr


@pytest.mark.parametrize(
    "key", ["master.exchange.listen", "master.admin.listen", "worker.listeners.exchange.listen", "worker.http.listen"])
def test_a_port_in_use_is_named(tmp_path, key):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        result = run("dev", *FREE_WORKER, "--set", f"{key}={address}", cwd=tmp_path)
    assert result.returncode == 69, result.stderr
    assert address in result.stderr and "address.in_use" in result.stderr and key in result.stderr


def test_a_missing_rule_is_named_with_those_there_are(tmp_path):
    plugins = write_rule(tmp_path / "plugins", "redact", "return { name = 'redact', on_message = function() end }")
    rules = ["--set", f"rules.directory={plugins}", "--set", "rules.enabled=[redakt]"]
    for check in ([], ["--check"]):
        result = run("worker", *FREE_WORKER, *rules, *check, cwd=tmp_path)
        assert result.returncode == 78, result.stderr
        assert "redakt" in result.stderr and "redact" in result.stderr and "rule.missing" in result.stderr


def test_a_rule_that_is_no_lua_is_refused_with_its_place(tmp_path):
    plugins = write_rule(tmp_path / "plugins", "broken", "local R = {\n\nthis is no Lua\n")
    rules = ["--set", f"rules.directory={plugins}", "--set", "rules.enabled=all"]
    result = run("worker", *FREE_WORKER, "--check", *rules, cwd=tmp_path)
    assert result.returncode == 78
    assert re.search(r"broken/rule\.lua:3", result.stderr), result.stderr


def test_settings_that_a_plugin_does_not_take_are_refused(tmp_path):
    settings = "{redact: {redactions: [{topic: 'orders/+', remoove: [a]}]}}"
    result = run(
        "worker", *FREE_WORKER, "--check", "--set", f"rules.directory={ROOT / 'plugins'}", "--set", "rules.enabled=[redact]",
        "--set", f"rules.settings={settings}", cwd=tmp_path)
    assert result.returncode == 78
    assert "remoove" in result.stderr and "mask" in result.stderr


def make_text(path):
    path.write_text("Dear diary,\n" * 500)


def make_other_database(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE diary (entry TEXT)")
    database.close()


def make_damaged_registry(path):
    make_other_database(path)
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)


@pytest.mark.parametrize("make", [make_text, make_other_database, make_damaged_registry])
def test_a_registry_that_is_none_is_refused_and_left_as_it_is(tmp_path, make):
    path = tmp_path / "registry.sqlite"
    make(path)
    before = path.read_bytes()
    result = run("master", *FREE, "--set", f"master.registry.path={path}", cwd=tmp_path)
    assert result.returncode == 78, result.stderr
    assert str(path) in result.stderr and "registry.invalid" in result.stderr
    assert path.read_bytes() == before


def test_a_registry_in_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("master", *FREE, "--set", "master.registry.path=file/registry.sqlite", cwd=tmp_path)
    assert result.returncode in (69, 78), result.stderr
    assert f"{tmp_path}/file: " in result.stderr and "registry" in result.stderr


def test_check_finds_no_fault_with_what_comes_with_shunt_and_touches_nothing(tmp_path):
    for kind, file in (("dev", "dev"), ("master", "master"), ("worker", "worker"), ("dev", "reference")):
        result = run(kind, "--config", ROOT / f"config/{file}.yaml", "--check", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())


def test_what_set_says_goes_before_the_environment_before_the_file_before_the_default(shunt, connect):
    limit = "limits: { topic: 20 }\nworker: { listeners: { exchange: { protocol: exchange, listen: '127.0.0.1:0' } } }\n"
    longest = {}
    variables = {"SHUNT_LIMITS_TOPIC": "30"}
    for name, sets, env in (("set", {"limits.topic": 40}, variables), ("env", {}, variables), ("file", {}, {})):
        worker = shunt.worker(sets, config=limit, env=env)
        client = connect(worker.exchange).subscribe("#")
        longest[name] = max(length for length in (20, 21, 30, 31, 40, 41) if client.message("t" * length, "x").status == 200)
    assert longest == {"set": 40, "env": 30, "file": 20}


def test_the_environment_names_nested_keys(shunt):
    worker = shunt.worker(config="{}", env={"SHUNT_WORKER_LISTENERS_EXCHANGE_LISTEN": "127.0.0.1:0"})
    assert not worker.exchange.endswith(":4091")


def test_the_ready_file_tells_process_pid_and_real_addresses(shunt, connect):
    dev = shunt.dev()
    text = dev.ready_path.read_text()
    assert json.loads(text) == dev.ready
    assert list(dev.ready) == ["process", "pid", "listeners"]
    assert (dev.ready["process"], dev.ready["pid"]) == ("dev", dev.pid)
    assert list(dev.listeners) == ["master.exchange", "master.admin", "worker.exchange", "worker.http"]
    assert all(re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address) for address in dev.listeners.values())
    for name in ("master.exchange", "worker.exchange"):
        assert connect(dev.listeners[name]).request(PING).status in (200, 400)


def test_listeners_are_named_in_the_ready_file(shunt, connect):
    listeners = "{inside: {protocol: exchange, listen: '127.0.0.1:0'}, outside: {protocol: exchange, listen: '127.0.0.1:0'}}"
    worker = shunt.worker(config=f"worker: {{ listeners: {listeners} }}")
    assert set(worker.listeners) == {"worker.inside", "worker.outside", "worker.http"}
    consumer = connect(worker.listeners["worker.inside"]).subscribe("t")
    assert connect(worker.listeners["worker.outside"]).message("t", "x").status == 200
    assert consumer.receive(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_process_cleanly_with_clients_connected(shunt, connect, number):
    dev = shunt.dev()
    client = connect(dev.exchange).subscribe("t")
    dev.signal(number)
    assert dev.process.wait(20) == 0
    client.wait_closed()


def test_signals_are_heard_from_the_ready_file_on(shunt):
    for _ in range(10):
        worker = shunt.worker()
        worker.signal(signal.SIGHUP)
        worker.signal(signal.SIGTERM)
        assert worker.process.wait(20) == 0


# Where what is wrong was said


def located(result, path, line: int, *words):
    assert f"{path}:{line}:" in result.stderr, result.stderr
    for word in words:
        assert word in result.stderr


def test_a_missing_rule_is_told_with_the_line_that_enables_it(tmp_path):
    plugins = write_rule(tmp_path / "plugins", "redact", "return { name = 'redact', on_message = function() end }")
    path = tmp_path / "worker.yaml"
    path.write_text(f"rules:\n  directory: {plugins}\n  enabled:\n    - redact\n    - redakt\n")
    for check in ([], ["--check"]):
        result = run("worker", "--config", path, *FREE_WORKER, *check, cwd=tmp_path)
        assert result.returncode == 78
        located(result, path, 5, "redakt", "rule.missing")
    path.write_text("rules:\n  enabled: [redact]\n  directory: nowhere\n")
    located(run("worker", "--config", path, "--check", cwd=tmp_path), path, 3, "nowhere", "rule.missing")
    result = run("worker", "--check", "--set", "rules.enabled=[x]", "--set", f"rules.directory={plugins}", cwd=tmp_path)
    assert "--set rules.enabled" in result.stderr


@pytest.mark.parametrize(
    "text, line, key", [
        ("master:\n  exchange:\n    listen: {0}\n", 3, "master.exchange.listen"),
        ("master:\n  admin:\n    listen: {0}\n", 3, "master.admin.listen"),
        ("worker:\n  listeners:\n    exchange:\n      listen: {0}\n", 4, "worker.listeners.exchange.listen"),
        ("worker:\n  http: {{ listen: {0} }}\n", 2, "worker.http.listen"),
    ])
def test_an_address_that_cannot_be_had_is_told_with_its_line(tmp_path, text, line, key):
    free = {name: "127.0.0.1:0" for name in (
        "master.exchange.listen", "master.admin.listen", "worker.http.listen", "worker.listeners.exchange.listen") if name != key}
    sets = [word for name, address in free.items() for word in ("--set", f"{name}={address}")]
    path = tmp_path / "dev.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address, code in (("127.0.0.1:%d" % taken.getsockname()[1], "address.in_use"), ("192.0.2.1:1", "address.unavailable")):
            path.write_text(text.format(address))
            result = run("dev", "--config", path, *sets, cwd=tmp_path)
            assert result.returncode == 69
            located(result, path, line, key, address, code)


def test_a_registry_that_is_none_is_told_with_its_line(tmp_path):
    make_text(tmp_path / "diary.txt")
    path = tmp_path / "master.yaml"
    path.write_text("master:\n  registry:\n    path: diary.txt\n")
    result = run("master", "--config", path, *FREE, cwd=tmp_path)
    assert result.returncode == 78
    located(result, path, 3, "diary.txt", "registry.invalid")


def test_wrong_settings_are_told_with_their_line_and_what_would_be_right(tmp_path):
    path = tmp_path / "worker.yaml"
    path.write_text(
        f"rules:\n  directory: {ROOT / 'plugins'}\n  enabled: [redact]\n  settings:\n    redact:\n"
        "      redactions: [{topic: 'orders/+', remoove: [a]}]\n")
    result = run("worker", "--config", path, "--check", cwd=tmp_path)
    assert result.returncode == 78
    located(result, path, 6, "remoove", "did you mean remove?")


# Overrides


def test_the_environment_reaches_into_maps(shunt, connect, tmp_path):
    plugins = write_rule(
        tmp_path / "plugins", "vip", "return { name = 'vip', on_message = function(msg, ctx)\n"
        "  return route.to('from/' .. ctx.settings.from) end }")
    env = {
        "SHUNT_RULES_SETTINGS_VIP_FROM": "3", "SHUNT_RULES_ENABLED": "vip", "SHUNT_RULES_DIRECTORY": str(plugins),
        "SHUNT_WORKER_GROUPS_OVERRIDES_BILLING": "sticky", "SHUNT_ADMIN": "127.0.0.1:4080",
    }
    worker = shunt.worker(env=env)
    members = [connect(worker.exchange).subscribe("from/3", "billing") for _ in range(2)]
    producer = connect(worker.exchange)
    for _ in range(6):
        assert producer.message("t", "x").status == 200
    eventually(lambda: sorted(len(member.inbox) for member in members) == [0, 6])


# The ready file, reloads, readiness, limits


def test_no_ready_file_outlives_its_process_or_a_failed_start(shunt, tmp_path):
    worker = shunt.worker()
    worker.stop()
    assert not worker.ready_path.exists()
    stale = tmp_path / "ready.json"
    for arguments in (["--set", "worker.lops=1"], ["--set", "worker.listeners.exchange.listen=192.0.2.1:1"]):
        stale.write_text("{}")
        assert run("worker", "--ready-file", stale, *FREE, *arguments, cwd=tmp_path).returncode in (69, 78)
        assert not stale.exists()


def test_a_process_that_ends_leaves_the_ready_file_of_another(shunt):
    worker = shunt.worker()
    others = worker.ready_path.read_text().replace(f'"pid":{worker.pid},', '"pid":1,')
    worker.ready_path.write_text(others)
    worker.stop()
    assert worker.ready_path.read_text() == others
