"""The command: pub and sub against real processes, admin with and without a master, exit codes, help, completions."""

import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from exchange import eventually
from processes import BINARY, ROOT, environment, run


class Subscriber:
    """A running `shunt sub`."""

    def __init__(self, folder: Path, *arguments):
        self.output, self.log = folder / f"sub-{os.urandom(4).hex()}", folder / f"sub-{os.urandom(4).hex()}.log"
        with open(self.output, "wb") as output, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "sub", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=log, env=environment())
        eventually(lambda: "subscribed" in self.log.read_text() or self.process.poll() is not None, 20, "the subscription")

    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    def wait_for(self, count: int) -> list[str]:
        eventually(lambda: len(self.lines()) >= count, 20, f"{count} lines")
        return self.lines()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def dev(shunt):
    process = shunt.dev()
    eventually(lambda: process.workers().get(process.exchange, {}).get("state") == "live")
    return process


@pytest.fixture
def subscribe(shunt, dev, tmp_path):
    return lambda *arguments: shunt.closing(Subscriber(tmp_path, *arguments, "--master", dev.master))


def publish(dev, *arguments, input=None):
    return run("pub", *arguments, "--master", dev.master, input=input)


def test_a_message_goes_from_pub_to_sub(dev, subscribe):
    subscriber = subscribe("orders/+", "--output", "json")
    result = publish(dev, "orders/1", '{"id":1}', "--key", "eu")
    assert result.returncode == 0 and "1 acknowledged" in result.stderr and result.stdout == ""
    message = json.loads(subscriber.wait_for(1)[0])
    assert {**message, "id": None} == {"topic": "orders/1", "key": "eu", "format": "json", "payload": '{"id":1}', "id": None}
    assert subscriber.end() == 0


def test_a_thousand_lines_of_standard_input_arrive_in_order(dev, subscribe):
    subscriber = subscribe("log", "--output", "payload")
    lines = [f"line {number}, ünïcode" for number in range(1000)]
    result = publish(dev, "log", "-", input="\n".join(lines) + "\n")
    assert result.returncode == 0, result.stderr
    assert "1000 sent, 1000 acknowledged" in result.stderr
    assert subscriber.wait_for(1000) == lines


def test_sub_ends_after_count_messages(dev, subscribe):
    subscriber = subscribe("t", "--count", "3", "--output", "payload")
    assert publish(dev, "t", "x", "--count", "5").returncode in (0, 65)
    assert subscriber.process.wait(20) == 0
    assert subscriber.lines() == ["x"] * 3


def test_subs_of_one_group_share_and_a_key_selects(dev, subscribe):
    members = [subscribe("t", "--group", "g", "--output", "payload") for _ in range(2)]
    keyed = subscribe("t", "--key", "eu", "--output", "payload")
    publish(dev, "t", "-", input="\n".join(map(str, range(100))))
    publish(dev, "t", "for eu", "--key", "eu")
    assert keyed.wait_for(1) == ["for eu"]
    eventually(lambda: sum(len(member.lines()) for member in members) == 101)
    assert all(member.lines() for member in members)


def test_text_output_cannot_steer_a_terminal(dev, subscribe):
    subscriber = subscribe("t")
    publish(dev, "t", "bell\a and\tescape\x1b[2J")
    (line,) = subscriber.wait_for(1)
    assert line.startswith("t\t\t") and "\x1b" not in line and "\a" not in line


def test_sub_follows_to_workers_that_come_later(shunt, dev, tmp_path, subscribe, connect):
    subscriber = subscribe("t", "--output", "payload")
    later = shunt.worker({"worker.masters": dev.master})
    client = connect(later.exchange)
    eventually(lambda: client.message("t", "found").status == 200, 30, "the subscription at the new worker")
    assert subscriber.wait_for(1)[0] == "found"


def test_pub_straight_to_a_worker_needs_no_master(dev, subscribe):
    subscriber = subscribe("t", "--output", "payload")
    assert run("pub", "t", "straight", "--worker", dev.exchange).returncode == 0
    assert subscriber.wait_for(1) == ["straight"]


def test_pub_says_what_was_refused(dev):
    result = publish(dev, "nobody/listens", "x")
    assert result.returncode == 65
    assert "1 refused" in result.stderr and "subscriber" in result.stderr


def test_pub_rate_is_kept(dev, subscribe):
    subscribe("t")
    result = publish(dev, "t", "x", "--count", "20", "--rate", "40/s")
    seconds = float(re.search(r"in ([\d.]+) s", result.stderr)[1])
    assert result.returncode == 0 and 0.3 < seconds < 10


# admin


@pytest.fixture
def admin(dev):
    return lambda *arguments: run("admin", *arguments, "--master", dev.admin)


def test_workers_as_json_csv_and_table(dev, admin):
    document = json.loads(admin("workers", "--output", "json").stdout)
    assert [(worker["name"], worker["state"]) for worker in document["workers"]] == [(dev.exchange, "live")]
    (row,) = csv.DictReader(io.StringIO(admin("workers", "--output", "csv").stdout))
    assert (row["name"], row["state"]) == (dev.exchange, "live")
    table = admin("workers").stdout
    assert "NAME" in table and "STATE" in table and dev.exchange in table and "\x1b" not in table


def test_one_worker_by_the_beginning_of_its_name(dev, admin):
    result = admin("worker", "127.0.0.1")
    assert result.returncode == 0 and dev.exchange in result.stdout and "heartbeat" in result.stdout
    missing = admin("worker", "192.0.2.1:1")
    assert missing.returncode == 65 and "192.0.2.1:1" in missing.stderr


def test_events_tell_what_happened(dev, admin):
    events = json.loads(admin("events", "--output", "json").stdout)["events"]
    assert [event["kind"] for event in events] == ["master.started", "worker.joined"]
    assert admin("events", "--kind", "worker.lost", "--output", "csv").stdout.splitlines() == ["id,at,kind,subject,detail"]


def test_a_query_reads(dev, admin):
    result = json.loads(admin("query", "SELECT name, state, 1 + 1 AS two FROM workers", "--output", "json").stdout)
    assert result["columns"] == ["name", "state", "two"] and result["rows"] == [[dev.exchange, "live", 2]]


REFUSED = [
    "DELETE FROM workers", "UPDATE workers SET state = 'lost'", "DROP TABLE workers",
    "INSERT INTO events VALUES (1, 1, 'x', 'x', 'x')",
    "ATTACH 'other.sqlite' AS other", "PRAGMA journal_mode = DELETE", "VACUUM INTO 'copy.sqlite'", "SELECT 1; DELETE FROM workers",
    "SELECT load_extension('x')", "SELEC 1", "", "BEGIN",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_a_query_that_would_change_something_is_refused(shunt, dev, admin, sql):
    for source in (("--master", dev.admin), ("--registry", dev.registry)):
        result = run("admin", "query", sql, *source, cwd=dev.folder)
        assert result.returncode in (64, 65, 77), result
        assert result.stderr and not result.stdout
    assert admin("query", "SELECT count(*) FROM workers", "--output", "csv").stdout.split() == ["count(*)", "1"]
    assert not list(dev.folder.glob("*other*")) + list(dev.folder.glob("copy*"))


def test_a_query_that_never_ends_is_ended(admin):
    result = admin("query", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
    assert result.returncode == 65 and "query.limit" in result.stderr
    assert admin("query", "SELECT 1").returncode == 0


def test_the_registry_answers_without_a_master_and_after_a_kill(shunt, dev):
    expected = run("admin", "events", "--registry", dev.registry, "--output", "json").stdout
    dev.kill()
    for _ in range(2):
        assert run("admin", "events", "--registry", dev.registry, "--output", "json").stdout == expected
    workers = json.loads(run("admin", "workers", "--registry", dev.registry, "--output", "json").stdout)["workers"]
    assert [worker["name"] for worker in workers] == [dev.exchange]


def test_admin_takes_the_master_from_the_environment(dev):
    assert run("admin", "workers", env={"SHUNT_ADMIN": dev.admin}).returncode == 0
    assert run("admin", "workers", env={"SHUNT_ADMIN": dev.admin, "SHUNT_MASTER": "192.0.2.1"}).returncode == 0


def test_clients_take_the_master_from_the_environment(dev, subscribe):
    subscriber = subscribe("t", "--output", "payload")
    assert run("pub", "t", "x", env={"SHUNT_MASTER": dev.master}).returncode == 0
    assert subscriber.wait_for(1) == ["x"]
    wrong = run("pub", "t", "x", env={"SHUNT_MASTER": "a:b"})
    assert wrong.returncode == 64 and "SHUNT_MASTER" in wrong.stderr


# Exit codes


def other_database(folder: Path) -> Path:
    with sqlite3.connect(folder / "other.sqlite") as database:
        database.execute("CREATE TABLE diary (entry TEXT)")
    database.close()
    return folder / "other.sqlite"


@pytest.mark.parametrize(
    "arguments, code", [
        (["pub"], 64), (["certainly-not"], 64), (["pub", "t", "x", "--count", "0"], 64),
        (["pub", "t", "x", "--json", "--text"], 64),
        (["pub", "t", "x", "--master", "a", "--worker", "b"], 64), (["sub", "t", "--output", "xml"], 64),
        (["pub", "t", "x", "--rate", "fast"], 64), (["admin", "workers", "--master", "no:where"], 64),
        (["pub", "t", "x", "--master", "127.0.0.1:1"], 69), (["sub", "t", "--master", "127.0.0.1:1"], 69),
        (["admin", "workers", "--master", "127.0.0.1:1"], 69), (["admin", "workers", "--registry", "nowhere.sqlite"], 69),
        (["admin", "workers", "--registry", "other.sqlite"], 78), (["worker", "--check", "--set", "worker.lops=1"], 78),
    ])
def test_exit_codes_say_what_kind_of_failure_it_was(tmp_path, arguments, code):
    other_database(tmp_path)
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert result.stderr.strip() and not result.stdout


COMMANDS = [
    "", "dev", "master", "worker", "pub", "sub", "admin", "admin workers", "admin worker", "admin events", "admin query", "rule",
    "rule new", "rule test",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = run(*command.split(), "--help")
    assert result.returncode == 0 and "OVERVIEW" in result.stdout and "USAGE" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if not line.startswith("USAGE")) <= 100


def test_the_help_of_the_whole_lists_every_command():
    text = run("--help").stdout
    assert all(re.search(rf"^  {command.split()[0]} ", text, re.M) for command in COMMANDS if command)


@pytest.mark.parametrize("shell, checker", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])])
def test_completions_are_scripts_of_their_shell(tmp_path, shell, checker):
    result = run("--generate-completion-script", shell)
    assert result.returncode == 0 and "shunt" in result.stdout and "admin" in result.stdout
    script = tmp_path / "completion"
    script.write_text(result.stdout)
    try:
        checked = subprocess.run([*checker, script], capture_output=True, text=True)
    except FileNotFoundError:
        assert shell != "bash", "bash is needed"
        return
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("columns", ["0", "1", "-3", "wide", ""])
def test_a_width_that_is_none_does_not_empty_the_help(columns):
    result = run("pub", "--help", env={"COLUMNS": columns})
    assert result.returncode == 0 and "OVERVIEW" in result.stdout and len(result.stdout) > 1000


@pytest.mark.parametrize("command", [*COMMANDS, "notify", "device", "chat", "admin devices", "admin chats"])
def test_the_lines_of_examples_fit_into_80_columns(command):
    def examples(columns):
        text = run(*command.split(), "--help", env={"COLUMNS": columns}).stdout
        return [line for line in text.split("USAGE:")[0].splitlines() if line.startswith("  ")]

    assert examples("80") == examples("200")


@pytest.mark.parametrize(
    "arguments", [
        ["--help"], ["pub", "--help"], ["--version"], ["--generate-completion-script", "bash"], ["worker", "--check"],
        ["rule", "test", ROOT / "plugins/redact"],
    ])
def test_output_that_cannot_be_written_ends_with_74(arguments):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [BINARY, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, timeout=30)
    assert result.returncode == 74 and "io.failed" in result.stderr, result


def test_a_welcome_that_cannot_be_written_ends_with_74(tmp_path):
    free = ["master.exchange.listen", "master.admin.listen", "worker.http.listen", "worker.listeners.exchange.listen"]
    sets = [part for key in free for part in ("--set", f"{key}=127.0.0.1:0")]
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [BINARY, "dev", *sets, "--set", "master.registry.path=r.sqlite"], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path,
            env=environment(), text=True, timeout=30)
    assert result.returncode == 74, result.stderr


def test_the_welcome_names_the_process_to_signal(dev):
    assert f"kill -HUP {dev.pid} " in (dev.folder / "stdout").read_text()


def test_a_rule_is_tested_by_the_name_of_its_file():
    for path in ("plugins/redact/rule.lua", "plugins/redact/rule_test.lua"):
        result = run("rule", "test", path, cwd=ROOT)
        assert result.returncode == 0 and "0 failed" in result.stdout, result
    assert run("rule", "test", "rule.lua", cwd=ROOT / "plugins/redact").returncode == 0


def test_bash_completes_names_of_files(tmp_path):
    script = tmp_path / "completion"
    script.write_text(run("--generate-completion-script", "bash").stdout)
    (tmp_path / "first.yaml").write_text("")
    for words in (["worker", "--config"], ["dev", "--ready-file"], ["admin", "workers", "--registry"], ["rule", "test"], ["pub", "t", "--file"]):
        line = " ".join(["shunt", *words, "fir"])
        ask = (
            f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) + 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}; "
            f"_shunt shunt fir {words[-1]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        found = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True).stdout
        assert "first.yaml" in found, (words, found)


def test_the_version_is_told():
    assert re.fullmatch(r"shunt \d+\.\d+\.\d+\n", run("--version").stdout)


HOSTILE = "\x1b[2J\x9b31m\u202etxt.exe\u2028\u200b"


@pytest.mark.parametrize("arguments", [
    ("admin", "worker", HOSTILE), ("admin", "device", HOSTILE), ("admin", "workers", "--registry", HOSTILE),
    ("pub", "t", "x", "--" + HOSTILE), (HOSTILE,), ("worker", "--config", HOSTILE), ("worker", "--set", HOSTILE + "=1"),
    ("rule", "test", HOSTILE), ("sub", "t", "--worker", HOSTILE), ("pub", HOSTILE + "/+", "x"), ("sub", "a#" + HOSTILE, "--count", "1"),
    ("notify", "x", "--uid", HOSTILE), ("admin", "query", f"SELECT '{HOSTILE}', nothing", "--output", "table"),
])
def test_errors_cannot_steer_a_terminal(dev, arguments):
    ended = run(*arguments, env={"SHUNT_MASTER": dev.master, "SHUNT_ADMIN": dev.admin}, timeout=20)
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert said
    assert not set("\x1b\x9b\u202e\u2028\u200b") & set(said), repr(said)
