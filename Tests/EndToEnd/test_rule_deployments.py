"""How a running worker goes from one version of its rules to another, and back: nothing is lost, and a version that is wrong does not run."""

import json
import shutil
import signal
import threading
import time

import pytest

from exchange import eventually
from processes import run, write_rule, write_whole

CONFIG = (
    "worker: {{ loops: 2, listeners: {{ exchange: {{ protocol: exchange, listen: '127.0.0.1:0' }} }} }}\n"
    "rules: {{ directory: {plugins}, enabled: all, guard: {{ window: {window} }}{more} }}\n"
)


def tagging(text: str) -> str:
    return f"return {{ on_message = function(msg) return msg:with {{ payload = '{text}' }} end }}"


class Rules:
    """A worker with a folder of plugins, and clients on both of its loops."""

    def __init__(self, shunt, connect, folder, sources: dict, more="", window="0s", kind="worker", sets=None):
        self.plugins, self.config = folder / "plugins", folder / "live.yaml"
        for name, source in sources.items():
            write_rule(self.plugins, name, source)
        self.configure(more, window)
        self.worker = getattr(shunt, kind)(sets or {}, config=self.config)
        self.receiver = connect(self.worker.exchange).subscribe("t")
        self.producers = [connect(self.worker.exchange) for _ in range(4)]

    def configure(self, more="", window="0s"):
        write_whole(self.config, CONFIG.format(plugins=self.plugins, more=more, window=window))

    def seen(self) -> set:
        """What messages become, on all loops."""
        texts = set()
        for producer in self.producers:
            answer = producer.message("t", "x")
            texts.add(self.receiver.receive(1)[0].text if answer.status == 200 else answer.text)
        return texts

    def reload(self) -> str:
        return self.worker.reload()


@pytest.fixture
def rules(shunt, connect, tmp_path):
    return lambda sources, **more: Rules(shunt, connect, tmp_path, sources, **more)


def test_half_a_file_or_a_missing_one_stops_the_reload_and_not_the_guard(rules):
    worker = rules({"tag": tagging("one"), "guard": "return { on_message = function() end }"})
    assert worker.seen() == {"one"}
    whole = tagging("two")
    write_rule(worker.plugins, "tag", whole[: len(whole) // 2])
    assert "stays as it was" in worker.reload()
    (worker.plugins / "tag" / "rule.lua").unlink()
    assert "has no rule.lua" in worker.reload()
    shutil.rmtree(worker.plugins / "tag")
    log = worker.reload()
    assert "its folder is gone" in log and "rules.disabled" in log
    assert worker.seen() == {"one"}
    assert worker.worker.metric('shunt_rules_changes_total{outcome="refused"}') == 3
    write_rule(worker.plugins, "tag", whole)
    worker.reload()
    assert worker.seen() == {"two"}
    # An operator says so, in either way.
    (worker.plugins / "tag").rename(worker.plugins / ".tag")
    assert '"rules ended":"tag"' in worker.reload()
    shutil.rmtree(worker.plugins / "guard")
    worker.configure(more=", disabled: [guard]")
    assert '"rules ended":"guard"' in worker.reload()
    assert worker.seen() == {"x"}


def missing(worker) -> bool:
    log = worker.reload()
    return "stays as it was" in log and ("runs, and" in log or "can't read the folder" in log)


def test_a_guard_whose_folder_can_not_be_found_stops_the_reload(rules, tmp_path):
    worker = rules({"tag": tagging("one"), "guard": "return { on_message = function() end }"})
    # A copy beside it does not say that it is to go.
    shutil.copytree(worker.plugins / "tag", worker.plugins / ".tag")
    shutil.move(worker.plugins / "tag", tmp_path / "tag")
    assert missing(worker)
    # Nor does a link to nothing, or another directory that has not got it.
    (worker.plugins / "tag").symlink_to(tmp_path / "nothing")
    assert missing(worker)
    (worker.plugins / "tag").unlink()
    (worker.plugins / "tag").symlink_to(tmp_path / "tag")
    (worker.plugins / "new").symlink_to(tmp_path / "nothing")
    assert missing(worker)
    (worker.plugins / "new").unlink()
    plugins = worker.plugins
    worker.plugins = write_rule(tmp_path / "others", "guard", "return { on_message = function() end }")
    worker.configure()
    assert missing(worker)
    assert worker.seen() == {"one"}
    worker.configure(more=", disabled: [tag]")
    assert '"rules ended":"tag"' in worker.reload()
    # A link may be renamed as a folder may.
    worker.plugins = plugins
    shutil.rmtree(plugins / ".tag")
    worker.configure()
    worker.reload()
    assert worker.seen() == {"one"}
    (plugins / "tag").rename(plugins / ".tag")
    assert '"rules ended":"tag"' in worker.reload()


def test_a_link_to_nothing_among_the_plugins_is_no_start_without_a_guard(shunt, tmp_path):
    plugins = write_rule(tmp_path / "plugins", "tag", tagging("one"))
    (plugins / "guard").symlink_to(tmp_path / "nothing")
    done = run("worker", "--check", "--set", f"rules.directory={plugins}", "--set", "rules.enabled=all")
    assert done.returncode != 0 and "guard" in done.stderr
    done = run("rule", "check", str(plugins))
    assert done.returncode != 0 and "guard" in done.stdout + done.stderr


def test_no_loop_decides_by_a_version_that_another_can_not_load(rules):
    worker = rules({"tag": tagging("old")})
    over, counts = threading.Event(), [0] * len(worker.producers)

    def send(number):
        while not over.is_set():
            worker.producers[number].message("t", "x")
            counts[number] += 1

    senders = [threading.Thread(target=send, args=(number,)) for number in range(len(counts))]
    for sender in senders:
        sender.start()
    try:
        for round in range(3):
            # Once to be checked, once by each loop: the last one takes its time, and fails.
            slow = "local n = 0 for i = 1, 2e6 do n = n + 1 end error('not here')"
            write_rule(worker.plugins, "tag", f"""return {{
  on_load = function() if shared.incr("n{round}") >= 2 then {slow} end end,
  on_message = function(msg) return msg:with {{ payload = "new" }} end,
}}""")
            assert "stays as it was" in worker.reload()
    finally:
        over.set()
        for sender in senders:
            sender.join()
    frames = worker.receiver.receive(sum(counts))
    assert {frame.text for frame in frames} == {"old"}
    eventually(lambda: worker.worker.metric('shunt_rule_calls_total{rule="tag",hook="on_message"}') == sum(counts), what="all are counted")


def test_a_test_that_fails_stops_the_reload(rules):
    worker = rules({"tag": tagging("one")})
    test = "return { ['gives two'] = function(t) t:eq(t:message { topic = 't', payload = 'x' }.payload, 'two') end }"
    write_rule(worker.plugins, "tag", tagging("three"))
    (worker.plugins / "tag" / "rule_test.lua").write_text(test)
    log = worker.reload()
    assert 'the test \\"gives two\\" of tag failed' in log and "rule_test.lua:1" in log
    assert worker.seen() == {"one"}
    write_rule(worker.plugins, "tag", tagging("two"))
    worker.reload()
    assert worker.seen() == {"two"}
    write_rule(worker.plugins, "tag", tagging("three"))
    worker.configure(more=", tests: false")
    worker.reload()
    assert worker.seen() == {"three"}


def test_a_test_without_end_is_ended_while_messages_go_on(rules):
    worker = rules({"tag": tagging("one")})
    write_rule(worker.plugins, "tag", tagging("two"))
    (worker.plugins / "tag" / "rule_test.lua").write_text("return { ['hangs'] = function() while true do end end }")
    before = len(worker.worker.stderr)
    worker.worker.signal(signal.SIGHUP)
    count = 0
    while "stays as it was" not in worker.worker.stderr[before:]:
        assert worker.seen() == {"one"}
        count += 1
    assert count > 10, "messages waited for the tests"


def test_watched_files_are_taken_on_when_they_are_whole(rules):
    worker = rules({"tag": tagging("one")}, more=", watch: true")
    whole = tagging("two")
    # As an editor that writes beside and renames.
    beside = worker.plugins / "tag" / ".rule.lua.swp"
    beside.write_text(whole)
    beside.rename(worker.plugins / "tag" / "rule.lua")
    eventually(lambda: worker.seen() == {"two"}, 20)
    (worker.plugins / "tag" / "rule.lua").write_text(tagging("three")[:30])
    worker.worker.wait_log("the old rules go on")
    assert worker.seen() == {"two"}
    (worker.plugins / "tag" / "rule.lua").write_text(tagging("three"))
    eventually(lambda: worker.seen() == {"three"}, 20)
    write_rule(worker.plugins, "more", "return { priority = -1, on_message = function(m) return m:with { payload = m.payload .. '+' } end }")
    eventually(lambda: worker.seen() == {"three+"}, 20)


def test_on_load_that_fails_on_one_loop_keeps_all_loops(rules):
    counting = (
        "local n = 0 return { on_unload = function() return { n = n } end, on_load = function(s, saved) %s end,\n"
        "  on_message = function(msg) if msg.topic == 'mark' then n = 1 return route.drop() end return msg:with { payload = '%s' } end }")
    worker = rules({"c": counting % ("n = saved and saved.n or 0", "one")})
    worker.producers[0].message("mark", "x")
    write_rule(worker.plugins, "c", counting % ("if saved and saved.n == 1 then error('bad saved') end", "two"))
    log = worker.reload()
    assert "bad saved" in log and "all keep the old rules" in log
    assert worker.seen() == {"one"}


def test_unchanged_rules_keep_their_state(rules):
    state = "local n = 0 return { priority = %d, on_message = function(msg) n = n + 1 return msg:with { payload = msg.payload .. n } end }"
    worker = rules({"a": state % 2, "b": tagging("v1").replace("{ on", "{ priority = 3, on", 1)})
    producer = worker.producers[0]
    producer.message("t", "x")
    assert worker.receiver.receive(1)[0].text == "v11"
    write_rule(worker.plugins, "b", tagging("v2").replace("{ on", "{ priority = 3, on", 1))
    worker.reload()
    producer.message("t", "x")
    assert worker.receiver.receive(1)[0].text == "v22"
    worker.worker.wait_metric('shunt_rule_calls_total{rule="a",hook="on_message"}', 2)


# The slower one takes some 10 ms a message: a busy machine makes one in a hundred of the calls before it long, but not that long.
SLOWER = "for i = 1, 2000000 do msg = msg end"


@pytest.mark.parametrize("worse", ["error('no')", SLOWER], ids=["errors", "slower"])
def test_a_version_that_is_worse_is_rolled_back_by_itself(rules, worse):
    fine = "return { on_message = function(msg) return msg:with { payload = 'fine' } end }"
    worker = rules({"r": fine}, window="30s", kind="dev", sets={"rules.guard.calls": "100"})
    for _ in range(100):
        assert worker.seen() == {"fine"}
    write_rule(worker.plugins, "r", f"return {{ budget = {{ time = '1s' }}, on_message = function(msg) {worse} end }}")
    before = len(worker.worker.stderr)
    worker.reload()

    def rolled_back() -> bool:
        worker.seen()
        return "rolled the rules back" in worker.worker.stderr[before:]

    eventually(rolled_back, 40)
    assert worker.seen() == {"fine"}
    assert worker.worker.metric('shunt_rules_changes_total{outcome="rolled_back"}') == 1
    assert "by itself: r: " in worker.worker.stderr

    def events() -> list:
        listed = run("admin", "events", "--master", worker.worker.admin, "--output", "json")
        return [event["kind"] for event in json.loads(listed.stdout)["events"]]

    eventually(lambda: "rules.rolled_back" in events() and "rules.loaded" in events(), 20)


def test_what_one_client_sends_brings_no_version_back(rules):
    body = "if msg.payload == 'bad' then error('no') end return msg:with {{ payload = '{}' }}"
    source = "return {{ breaker = {{ errors = 1000000 }}, on_message = function(msg) " + body + " end }}"
    worker = rules({"r": source.format("one")}, window="30s", kind="dev", sets={"rules.guard.calls": "100"})
    for _ in range(30):
        assert worker.seen() == {"one"}
    write_rule(worker.plugins, "r", source.format("two"))
    before = len(worker.worker.stderr)
    worker.reload()
    assert worker.seen() == {"two"}

    def send_bad(producer):
        for _ in range(200):
            producer.message("t", "bad")

    send_bad(worker.producers[0])
    worker.receiver.receive(200)
    # It looks about once a second whether the version is worse.
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert worker.seen() == {"two"}
    assert "rolled the rules back" not in worker.worker.stderr[before:]
    for producer in worker.producers[1:3]:
        send_bad(producer)
    eventually(lambda: "rolled the rules back" in worker.worker.stderr[before:], 40)


def test_a_shadow_changes_nothing_and_a_canary_what_it_is_given(rules, connect, tmp_path):
    worker = rules({"tag": tagging("live")})
    next_version = write_rule(tmp_path / "next", "tag", tagging("next")) / "tag"
    for producer, uid in zip(worker.producers, ["ada", "bob", "cy", "di"]):
        producer.register(uid)
    worker.configure(more=f", trials: {{ tag: {{ directory: {next_version} }} }}")
    assert '"tag@next"' in worker.reload()
    assert worker.seen() == {"live"}
    name = 'shunt_rule_trial_total{rule="tag@next",hook="on_message",outcome="different"}'
    worker.worker.wait_metric(name, 4)
    worker.configure(more=f", trials: {{ tag: {{ directory: {next_version}, mode: canary, share: 0, uids: [ada] }} }}")
    assert '"trials changed":"tag@next"' in worker.reload()
    texts = [(p.message("t", "x"), worker.receiver.receive(1)[0].text)[1] for p in worker.producers]
    assert texts == ["next", "live", "live", "live"]
    worker.configure(more=f", trials: {{ tag: {{ directory: {next_version}, mode: canary, share: 100 }} }}")
    worker.reload()
    assert worker.seen() == {"next"}


def test_what_a_version_on_trial_delays_meets_no_version_of_the_rule(rules, connect, tmp_path):
    """Neither where its sender has gone, nor where the trial is over when it is due."""
    source = "return {{ on_message = function(msg) if msg.payload == 'later' then return {} end end }}"
    worker = rules({"tag": source.format("route.drop()")})
    next_version = write_rule(tmp_path / "next", "tag", source.format("route.delay(1.5)")) / "tag"
    worker.configure(more=f", trials: {{ tag: {{ directory: {next_version}, mode: canary, share: 100 }} }}")
    worker.reload()
    for trial_ends in (False, True):
        sender = connect(worker.worker.exchange)
        assert sender.message("t", "later").status == 200
        sender.close()
        if trial_ends:
            worker.configure()
            worker.reload()
        assert [frame.text for frame in worker.receiver.receive(1)] == ["later"]


def test_a_rule_comes_on_trial_by_its_own_table(rules):
    """Its tests see what it decides; what it decides is applied to nobody."""
    worker = rules({"tag": tagging("live")})
    (worker.plugins / "tag" / "rule_test.lua").write_text(
        "return { ['it tags'] = function(t) t:eq(t:message { topic = 't' }.payload, 'next') end }")
    write_rule(worker.plugins, "tag", tagging("next").replace("return {", "return { mode = 'shadow',", 1))
    assert '"rules loaded anew":"tag"' in worker.reload()
    assert worker.seen() == {"x"}


def test_reloads_under_load_lose_and_double_nothing(rules):
    worker = rules({"tag": tagging("v0"), "pass": "return { on_message = function() end }"})
    count, stop = 20_000, threading.Event()

    def send(producer, name):
        ids = [producer.publish("t", f"{name}/{n}") for n in range(count)]
        answers = producer.take_answers(len(ids))
        assert all(answer.status == 200 for answer in answers)

    write_rule(worker.plugins, "tag", "return { on_message = function(msg) return msg:with { key = 'v1' } end }")
    worker.reload()
    threads = [threading.Thread(target=send, args=(producer, name)) for name, producer in enumerate(worker.producers)]
    for thread in threads:
        thread.start()
    version = 1
    while any(thread.is_alive() for thread in threads):
        version += 1
        write_rule(worker.plugins, "tag", f"return {{ on_message = function(msg) return msg:with {{ key = 'v{version}' }} end }}")
        worker.reload()
    assert version > 2
    got = [frame.text for frame in worker.receiver.receive(count * 4, timeout=60)]
    assert len(got) == len(set(got)) == count * 4
