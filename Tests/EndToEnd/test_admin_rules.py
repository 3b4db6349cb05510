"""`shunt admin rules`, `rule`, `rules reload` and `rules rollback`: two workers' rules, through their master."""

import csv
import io
import json
import re
import signal
import time

import pytest

from exchange import eventually
from processes import run, write_rule

FIRST = """return { priority = 5, on_message = function(msg)
  if msg.topic == "bad" then error("no such thing") end
  return msg:with { payload = "one" }
end }"""
SECOND = FIRST.replace("one", "two")


class Cluster:
    """A master and two workers with one folder of plugins."""

    def __init__(self, shunt, connect, folder, **master):
        self.plugins = folder / "plugins"
        write_rule(self.plugins, "tag", FIRST)
        self.master = shunt.master(master)
        self.workers = [
            shunt.worker({
                "worker.masters": self.master.master, "worker.loops": 2, "worker.name": name, "rules.directory": str(self.plugins),
                "rules.enabled": "all", "rules.guard.window": "0s"})
            for name in ("east", "west")
        ]
        for worker in self.workers:
            worker.wait_metric("shunt_master_connected", 1)
        if not master:
            # Workers are found by their names in the registry, which is written a moment later.
            eventually(lambda: len(self.master.workers()) == 2, 10, "both in the registry")
        self.names = sorted(worker.exchange for worker in self.workers)
        self.receiver = connect(self.workers[0].exchange).subscribe("t").subscribe("bad")
        self.producer = connect(self.workers[0].exchange)

    def seen(self) -> str:
        assert self.producer.message("t", "x").status == 200
        return self.receiver.receive(1)[0].text

    def admin(self, *arguments, code=0):
        done = run("admin", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done

    def rules(self, *arguments) -> list:
        return json.loads(self.admin("rules", *arguments, "--output", "json").stdout)["workers"]


@pytest.fixture
def cluster(shunt, connect, tmp_path):
    return Cluster(shunt, connect, tmp_path)


def test_rules_are_listed_with_their_versions_and_figures(cluster):
    cluster.seen()
    cluster.producer.message("bad", "secret payload")

    def counted():
        answers = {one["worker"]: one["answer"] for one in cluster.rules()}
        assert sorted(answers) == cluster.names
        rule = answers[cluster.workers[0].exchange]["rules"][0]
        hook = rule["hooks"][0]
        return hook["calls"] == 2 and (rule, hook, answers)

    rule, hook, answers = eventually(counted, 10, "two calls")
    assert rule["name"] == "tag" and rule["priority"] == 5 and rule["mode"] == "live" and rule["off_loops"] == 0 and rule["loops"] == 2
    assert hook["hook"] == "on_message" and hook["errors"] == {"rule.failed": 1} and hook["verdicts"] == {"replace": 1} and hook["p99"] > 0
    assert answers[cluster.workers[1].exchange]["rules"][0]["digest"] == rule["digest"]
    table = cluster.admin("rules").stdout
    assert re.search(rf"tag\s+{rule['digest'][:8]}\s+live\s+2\s+2\s+1", table), table
    detail = cluster.admin("rule", "tag").stdout
    assert "no such thing" in detail and "topic bad" in detail and "rule.failed 1" in detail and "secret" not in detail, detail
    rows = list(csv.DictReader(io.StringIO(cluster.admin("rules", "--worker", "east", "--output", "csv").stdout)))
    assert [(row["worker"], row["rule"], row["hook"], row["calls"]) for row in rows] == [
        (cluster.workers[0].exchange, "tag", "on_message", "2")]
    unknown = cluster.admin("rule", "tags", code=65)
    assert "no worker runs a rule tags" in unknown.stderr and "did you mean tag?" in unknown.stderr
    assert cluster.admin("rules", "--worker", "north", code=65).stderr.startswith("shunt: ")


def test_a_reload_and_a_rollback_reach_all_workers_or_one(cluster):
    assert cluster.seen() == "one"
    write_rule(cluster.plugins, "tag", SECOND)
    done = cluster.admin("rules", "reload")
    assert done.stdout.count("version 2, new: tag") == 2, done
    assert cluster.seen() == "two"
    assert "no rule has changed" in cluster.admin("rules", "reload").stdout
    back = cluster.admin("rules", "rollback", "--worker", cluster.workers[0].exchange)
    assert "east" in back.stdout and "west" not in back.stdout
    assert cluster.seen() == "one"
    assert "workers run different versions of tag" in cluster.admin("rules").stderr
    eventually(lambda: all(one in cluster.admin("events").stdout for one in ("rules reload", "rules rollback")), 10, "the events")


def test_a_way_back_of_all_says_where_workers_go_back_to_different_versions(cluster):
    for text in ("two", "three"):
        write_rule(cluster.plugins, "tag", FIRST.replace("one", text))
        cluster.admin("rules", "reload")
    assert "different versions" not in cluster.admin("rules", "rollback").stderr
    cluster.admin("rules", "reload")
    cluster.admin("rules", "rollback", "--worker", "east")
    done = cluster.admin("rules", "rollback")
    assert "version 1" in done.stdout and "version 2" in done.stdout and "workers run different versions of tag" in done.stderr, done


def test_where_a_rule_on_trial_decides_otherwise_is_told_with_its_hook(cluster):
    write_rule(cluster.plugins, "tag", FIRST.replace("{ priority", "{ mode = 'shadow', priority", 1))
    cluster.admin("rules", "reload")
    assert cluster.seen() == "x"
    detail = eventually(lambda: re.search("differs.*", cluster.admin("rule", "tag").stdout), 10, "an example").group()
    assert re.search(r"on_message t from \S+: live pass; this replace", detail), detail


def test_a_reload_that_a_worker_refuses_says_why_and_changes_nothing(cluster):
    write_rule(cluster.plugins, "tag", SECOND)
    (cluster.plugins / "tag" / "rule_test.lua").write_text("return { ['gives three'] = function(t) t:eq(t:message {}.payload, 'three') end }")
    done = cluster.admin("rules", "reload", code=78)
    assert done.stdout.count("keeps its rules") == 2 and "gives three" in done.stdout and "all 2 workers keep their rules" in done.stderr, done
    assert cluster.seen() == "one"
    assert cluster.admin("rules", "rollback", code=78).stdout.count("keeps its rules") == 2


def test_what_a_rule_has_done_stays_while_others_are_deployed(cluster):
    cluster.producer.message("bad", "x")

    def rule():
        answers = {one["worker"]: one["answer"] for one in cluster.rules()}
        return next(one for one in answers[cluster.workers[0].exchange]["rules"] if one["name"] == "tag")

    before = eventually(lambda: rule()["failures"] and rule(), 10, "a failure")
    assert "no rule has changed" in cluster.admin("rules", "reload").stdout
    for number in range(10):
        write_rule(cluster.plugins, "other", f"return {{ on_message = function() return nil, {number} end }}")
        cluster.admin("rules", "reload", "--worker", "east")
    after = rule()
    assert (after["since"], after["failures"], after["hooks"][0]["calls"]) == (before["since"], before["failures"], before["hooks"][0]["calls"])


def test_events_of_rules_are_written_once_and_outlive_the_absence_of_a_master(shunt, cluster):
    def loaded() -> list:
        events = json.loads(cluster.admin("events", "--limit", "1000", "--output", "json").stdout)["events"]
        return sorted(event["detail"].split(";")[0] for event in events if event["kind"] == "rules.loaded")

    write_rule(cluster.plugins, "tag", SECOND)
    cluster.admin("rules", "reload")
    eventually(lambda: loaded() == ["version 2"] * 2, 10, "both have told it")
    cluster.master.kill()
    # More than a heartbeat tells.
    for number in range(20):
        write_rule(cluster.plugins, "tag", SECOND.replace("two", f"two {number}"))
        for worker in cluster.workers:
            worker.reload()
    cluster.master = shunt.master({"master.exchange.listen": cluster.master.master}, folder=cluster.master.folder)
    expected = sorted(["version 2"] * 2 + [f"version {number}" for number in range(3, 23)] * 2)
    eventually(lambda: len(loaded()) >= len(expected), 30, "all is told")
    assert loaded() == expected


def test_a_worker_that_ends_tells_all_events(cluster):
    for number in range(40):
        write_rule(cluster.plugins, "tag", SECOND.replace("two", f"two {number}"))
        cluster.workers[0].reload()
    cluster.workers[0].stop()

    def loaded() -> int:
        events = json.loads(cluster.admin("events", "--limit", "1000", "--output", "json").stdout)["events"]
        return len([event for event in events if event["kind"] == "rules.loaded"])

    eventually(lambda: loaded() == 40, 10, "the events")


def test_a_worker_that_does_not_answer_is_no_success(shunt, connect, tmp_path):
    cluster = Cluster(shunt, connect, tmp_path, **{"master.heartbeat.live_for": "4s"})
    cluster.workers[1].process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = cluster.admin("rules", "reload", code=69)
        assert "no answer from west (connection.lost)" in done.stderr, done
        # It was lost meanwhile.
        assert time.monotonic() - began < 30
    finally:
        cluster.workers[1].process.send_signal(signal.SIGCONT)


def test_a_reload_needs_a_token_that_may(shunt, connect, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("read:look:" + "a" * 40 + "\noperate:run:" + "b" * 40 + "\n")
    tokens.chmod(0o600)
    cluster = Cluster(shunt, connect, tmp_path, **{"master.admin.tokens_file": str(tokens)})
    (tmp_path / "look").write_text("a" * 40)
    (tmp_path / "look").chmod(0o600)
    (tmp_path / "run").write_text("b" * 40)
    (tmp_path / "run").chmod(0o600)
    assert "tag" in cluster.admin("rules", "--token-file", tmp_path / "look").stdout
    assert "may read" in cluster.admin("rules", "reload", "--token-file", tmp_path / "look", code=77).stderr
    assert "no rule has changed" in cluster.admin("rules", "reload", "--token-file", tmp_path / "run").stdout
