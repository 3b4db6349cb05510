"""A running worker looks at what it has just deployed: it goes back from what is worse, to what ran before, and from nothing else."""

import contextlib
import json
import threading
import time
from pathlib import Path

import pytest

from exchange import JSON, UNSUBSCRIBE, eventually, subscription
from processes import run, write_rule
from test_rule_deployments import Rules, tagging

BACK = "rolled the rules back"
BROKEN = "return { breaker = { errors = 1000000 }, on_message = function(msg) error('broken') end }"


@pytest.fixture
def rules(shunt, connect, tmp_path):
    def start(sources, **more):
        return Guarded(shunt, connect, tmp_path, sources, **({"window": "30s", "kind": "dev", "sets": {"rules.guard.calls": "100"}} | more))

    return start


class Guarded(Rules):
    def log(self) -> str:
        return self.worker.stderr

    def send(self, seconds: float, until=lambda: False):
        """Messages of all producers, for some seconds or until something has come about."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.seen()

    def seen_back(self, within=20) -> bool:
        self.send(within, lambda: BACK in self.log())
        return BACK in self.log()

    def nice_threads(self) -> int:
        """Threads that let others go first, as the one does that reads and tests a version."""
        stats = []
        for task in Path(f"/proc/{self.worker.process.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # It has ended.
                stats.append(task.read_text())
        return sum(int(stat.rpartition(")")[2].split()[16]) > 0 for stat in stats)

    def admin(self, *arguments) -> str:
        def answer():
            done = run("admin", *arguments, "--master", self.worker.admin)
            return None if "no worker is connected" in done.stderr else done.stdout + done.stderr

        return eventually(answer, 10, "the worker has joined its master")


def broken(rules):
    """A worker that is judging a version which fails always."""
    worker = rules({"r": tagging("v1")})
    for _ in range(50):
        worker.seen()
    write_rule(worker.plugins, "r", BROKEN)
    worker.reload()
    return worker


def test_a_fix_that_is_tested_while_the_broken_version_is_judged_stays(rules):
    worker = broken(rules)
    write_rule(worker.plugins, "r", tagging("fixed"))
    slow = "local n = 0 while n < 3e7 do n = n + 1 end"
    tests = ", ".join(f"['{name}'] = function(t) {slow} end" for name in "abc")
    (worker.plugins / "r" / "rule_test.lua").write_text(f"return {{ {tests} }}")
    quiet = worker.nice_threads()
    reload = threading.Thread(target=worker.reload)
    reload.start()
    eventually(lambda: worker.nice_threads() > quiet, 20, "the tests run")
    while reload.is_alive():
        worker.seen()
    worker.send(3)
    assert worker.seen() == {"fixed"} and BACK not in worker.log()


def failing(condition) -> str:
    return f"if {condition} then error('no') end"


@pytest.mark.parametrize("hook, bad", [
    ("on_message", failing("msg.payload == 'bad'")),
    ("on_deliver", failing("msg.payload == 'bad'")),
    ("on_undelivered", failing("msg.payload == 'bad'")),
    ("on_unsubscribe", failing("msg.topic == 'bad'")),
])
def test_one_client_brings_no_version_back_whichever_hook_it_makes_fail(rules, hook, bad):
    source = f"return {{ breaker = {{ errors = 1000000 }}, {hook} = function(msg) %s end }}"
    worker = rules({"r": source % ""})
    write_rule(worker.plugins, "r", source % bad)
    worker.reload()
    others, villain = worker.producers[:3], worker.producers[3]

    def use(producer, text):
        producer.message("t", text)
        producer.message("nobody", text)
        if hook == "on_unsubscribe":
            producer.subscribe(text)
            producer.request(UNSUBSCRIBE, subscription(text, "group"), format=JSON)

    end = time.monotonic() + 3
    while time.monotonic() < end:
        for producer in others:
            use(producer, "fine")
        for _ in range(3):
            use(villain, "bad")
    assert worker.worker.metric(f'shunt_rule_errors_total{{rule="r",hook="{hook}",code="rule.failed"}}') > 100
    assert BACK not in worker.log()


def test_one_client_does_not_bring_the_first_rules_of_a_worker_down(rules):
    worker = rules({"gone": tagging("gone")}, more=", disabled: [gone]")
    assert worker.seen() == {"x"}
    write_rule(worker.plugins, "guard", "return { breaker = { errors = 1000000 }, on_message = function(msg)\n"
               "  if msg.payload == 'bad' then error('no') end if msg.payload == 'evil' then return route.reject('no') end end }")
    worker.reload()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for _ in range(3):
            worker.producers[3].message("t", "bad")
        worker.seen()
    assert worker.producers[3].message("t", "evil").text == "no" and BACK not in worker.log()


def test_first_rules_that_fail_for_all_are_taken_back(rules):
    worker = rules({"gone": tagging("gone")}, more=", disabled: [gone]")
    write_rule(worker.plugins, "r", BROKEN)
    worker.reload()
    assert worker.seen_back()


def test_a_version_is_judged_further_while_other_rules_change(rules):
    worker = rules({"r": tagging("v1"), "o": "return { on_message = function() end }"})
    for _ in range(50):
        worker.seen()
    write_rule(worker.plugins, "r", BROKEN)
    worker.reload()
    write_rule(worker.plugins, "o", "return { priority = -1, on_message = function() end }")
    worker.reload()
    assert worker.seen_back() and "version 3 is gone, version 1 is back" in worker.log()
    assert worker.seen() == {"v1"}


@pytest.mark.parametrize("mode", ["mode: live", "mode: canary, share: 100"])
def test_a_shadow_that_fails_is_kept_and_what_is_made_of_it_is_judged(rules, tmp_path, mode):
    worker = rules({"r": tagging("v1")})
    trial = write_rule(tmp_path / "next", "r", BROKEN.replace("on_message", "on_error = 'reject', on_message")) / "r"
    worker.configure(more=f", trials: {{ r: {{ directory: {trial}, mode: shadow }} }}", window="30s")
    worker.reload()
    worker.send(3)
    assert worker.seen() == {"v1"} and BACK not in worker.log()
    assert "broken" in worker.admin("rule", "r@next")
    worker.configure(more=f", trials: {{ r: {{ directory: {trial}, {mode} }} }}", window="30s")
    worker.reload()
    assert worker.seen_back() and "r@next: 100.0 % of" in worker.log()
    assert worker.seen() == {"v1"}


def test_the_guard_is_switched_off_by_a_reload(rules):
    worker = broken(rules)
    worker.configure(window="0s")
    worker.reload()
    worker.send(3)
    assert BACK not in worker.log()


def test_a_version_whose_start_takes_long_is_compared_with_the_one_before(rules):
    source = (
        "local n = 0 return { breaker = { errors = 1000000 }, on_load = function() local t = {} for i = 1, 100000 do t[i] = { i } end end,\n"
        "  on_message = function(msg) n = n + 1 if n %% 10 == 0 then error('%s') end end }")
    worker = rules({"r": source % "one"})
    for _ in range(100):
        worker.seen()
    write_rule(worker.plugins, "r", source % "two")
    worker.reload()
    worker.send(4)
    assert BACK not in worker.log()


def test_a_way_back_that_is_barred_is_an_event(rules):
    fine = "return { on_load = function(s, saved) if saved then error('not mine') end end, on_message = function() end }"
    worker = rules({"r": fine})
    for _ in range(50):
        worker.seen()
    write_rule(worker.plugins, "r", BROKEN.replace("on_message", "on_unload = function() return { n = 1 } end, on_message"))
    worker.reload()
    refused = 'shunt_rules_changes_total{outcome="refused"}'
    worker.send(20, lambda: worker.worker.metric(refused) == 1)
    assert worker.worker.metric(refused) == 1 and BACK not in worker.log()
    assert "could not be brought back" in worker.admin("rules", "rollback") + worker.log()

    def events() -> list:
        return [event["detail"] for event in json.loads(worker.admin("events", "--kind", "rules.refused", "--output", "json"))["events"]]

    eventually(lambda: len(events()) == 2, 10)
    assert any("by itself: r: 100.0 % of" in detail and "not mine" in detail for detail in events())


def test_a_way_back_leaves_the_limits_of_the_process_as_they_are(rules):
    logging = "return {{ on_message = function(msg) log.info('got ' .. msg.payload) return msg:with {{ payload = '{}' }} end }}"
    worker = rules({"r": logging.format("v1")}, more=", log_payloads: true", window="0s")
    write_rule(worker.plugins, "r", logging.format("v2"))
    worker.reload()
    worker.configure(more=", log_payloads: false")
    worker.reload()
    worker.admin("rules", "rollback")
    worker.producers[0].message("t", "SECRET")
    assert worker.receiver.receive(1)[0].text == "v1"
    worker.worker.wait_log("(hidden: it repeats the payload)")
    assert "SECRET" not in worker.log()
