"""`shunt admin reload`, `config` and `log`: what the master's process and the workers' do alike."""

import json
import signal

import pytest

from exchange import eventually
from processes import run


class Cluster:
    def __init__(self, shunt, tmp_path):
        self.files = {name: tmp_path / f"{name}.yaml" for name in ("master", "worker")}
        self.files["master"].write_text("master:\n  heartbeat:\n    live_for: 30s\n")
        self.write("10MiB")
        self.master = shunt.master(config=self.files["master"])
        self.worker = shunt.worker({"worker.masters": self.master.master, "worker.name": "east"}, config=self.files["worker"])
        self.worker.wait_metric("shunt_master_connected", 1)
        eventually(lambda: [worker["configured_name"] for worker in self.ask("workers")["workers"]] == ["east"], 20, "the worker is known")

    def write(self, frame, *more):
        self.files["worker"].write_text("\n".join([f"limits:\n  frame: {frame}", *more, ""]))

    def admin(self, *arguments, code=0):
        done = run("admin", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done.stdout if code == 0 else done.stderr

    def ask(self, *arguments):
        return json.loads(self.admin(*arguments, "--output", "json"))


@pytest.fixture
def cluster(shunt, tmp_path):
    return Cluster(shunt, tmp_path)


def settings(answer) -> dict:
    return {setting["key"]: setting for setting in answer["settings"]}


def test_settings_are_told_with_the_places_where_they_were_given(cluster):
    found = cluster.ask("config")
    master, worker = settings(found["master"]), settings(found["workers"][0]["answer"])
    assert master["master.heartbeat.live_for"]["value"] == "30s"
    assert master["master.heartbeat.live_for"]["place"] == f"{cluster.files['master']}:3:15"
    assert worker["limits.frame"] == {"key": "limits.frame", "value": "10MiB", "place": f"{cluster.files['worker']}:2:10"}
    assert worker["worker.name"]["place"] == "--set worker.name"
    assert "limits.topic" not in worker
    every = settings(cluster.ask("config", "limits", "--effective")["workers"][0]["answer"])
    assert "place" not in every["limits.topic"] and all(key.startswith("limits.") for key in every)

    text = cluster.admin("config", "limits")
    assert "limits.frame" in text and "limits.topic" not in text
    assert "limits.topic" in cluster.admin("config", "limits", "--effective", "--worker", "east")
    assert "limits.fram" in cluster.admin("config", "limits.fram", code=65)
    assert cluster.ask("config", "--worker", "east").get("master") is None


def test_a_reload_by_command_is_one_by_signal(cluster):
    cluster.write("12MiB", "worker:\n  loops: 3")
    found = cluster.ask("reload")
    changed = found["workers"][0]["answer"]
    assert changed["changed"] == ["limits.frame: 10MiB → 12MiB"]
    assert [change.split(":")[0] for change in changed["waiting"]] == ["worker.loops"]
    assert found["master"] == {"changed": [], "waiting": []}
    loops = settings(cluster.ask("config", "--worker", "east")["workers"][0]["answer"])["worker.loops"]
    assert loops["next"] == "3" and loops["value"] != "3"

    cluster.write("no size")
    refused = cluster.admin("reload", code=78)
    assert "limits.frame" in refused and f"{cluster.files['worker']}:2:10" in refused and "config." in refused
    assert settings(cluster.ask("config", "--worker", "east")["workers"][0]["answer"])["limits.frame"]["value"] == "12MiB"
    commands = lambda: [event["detail"] for event in cluster.ask("events", "--kind", "command")["events"]]
    refused = "reload: 1 of 2 have refused, config.type"
    eventually(lambda: [detail[:len(refused)] for detail in commands()] == ["reload", refused], 10, "both are written")

    def audit() -> str:
        return run("admin", "audit", "--output", "csv", "--master", cluster.master.admin).stdout

    assert "did not take its configuration" in audit() and "limits.frame" in audit()
    cluster.write("12MiB")
    cluster.ask("reload")
    assert "did not take" not in audit()


def test_levels_of_the_log_change_while_it_runs(cluster):
    assert cluster.ask("log")["workers"][0]["answer"]["levels"]["link"] == "info"
    found = cluster.ask("log", "debug", "--subsystem", "link", "--worker", "east")
    levels = found["workers"][0]["answer"]["levels"]
    assert (levels["link"], levels["rules"]) == ("debug", "info")
    assert cluster.ask("log")["master"]["levels"]["link"] == "info"
    assert set(cluster.ask("log", "error")["master"]["levels"].values()) == {"error"}
    # The configuration's levels come back with it.
    cluster.ask("reload")
    assert set(cluster.ask("log")["workers"][0]["answer"]["levels"].values()) == {"info"}
    assert "did you mean debug" in cluster.admin("log", "debgu", code=64)
    assert "links" in cluster.admin("log", "debug", "--subsystem", "links", code=64)


def test_nothing_is_said_of_a_worker_that_does_not_answer(shunt, tmp_path):
    cluster = Cluster(shunt, tmp_path)
    cluster.worker.process.send_signal(signal.SIGSTOP)
    try:
        done = run("admin", "config", "mqtt", "--master", cluster.master.admin)
        assert done.returncode == 0 and "no answer from east: with what it runs is not shown" in done.stderr, done
        assert "the defaults hold" not in done.stdout + done.stderr
        assert "no answer from east" in cluster.admin("config", "--worker", "east", code=69)
        assert "no answer from east" in cluster.admin("log", "--worker", "east", code=69)
    finally:
        cluster.worker.process.send_signal(signal.SIGCONT)


def test_a_process_that_is_both_answers_once(shunt):
    both = shunt.dev()
    eventually(lambda: both.workers(), 20, "the worker is known")
    done = run("admin", "config", "--output", "json", "--master", both.admin)
    found = json.loads(done.stdout)
    assert "master" not in found and len(found["workers"]) == 1
    assert run("admin", "log", "debug", "--master", both.admin).returncode == 0
    assert run("admin", "reload", "--master", both.admin).returncode == 0
