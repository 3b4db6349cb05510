"""`shunt rule run` and `shunt rule bench`: what rules do with messages, and what a call costs, without a server."""

import json
import os
import pty
import subprocess

import pytest

from processes import BINARY, environment, run, write_rule

VIP = """local R = { priority = 10, match = { topic = "orders/+" } }
function R.on_message(msg, ctx)
  local order = msg:json()
  if type(order) ~= "table" or not order.id then return route.reject("no order id") end
  log.info("an order", { id = order.id })
  if (order.total or 0) >= (ctx.settings.from or 1000) then return route.fanout { msg, route.to("vip/orders") } end
end
return R
"""
HIDE = """return { priority = 20, on_message = function(msg)
  local order = msg:json()
  if not order or not order.card then return end
  order.card = nil
  return msg:with { payload = json.encode(order) }
end }
"""


@pytest.fixture
def plugins(tmp_path):
    for name, text in {"vip": VIP, "hide": HIDE, "bad": "return { on_message = function(m) return m.nothing end }"}.items():
        folder = tmp_path / "plugins" / name
        folder.mkdir(parents=True)
        (folder / "rule.lua").write_text(text)
    return tmp_path / "plugins"


def rule_run(plugins, *arguments, names=("vip", "hide")):
    return run("rule", "run", *(plugins / name for name in names), *arguments)


def test_shows_what_each_rule_decides_changes_and_logs(plugins):
    result = rule_run(plugins, "--topic", "orders/1", "--payload", '{"id":1,"card":"4111","total":2000}', "--uid", "ada")
    assert result.returncode == 0 and not result.stderr, result
    text = result.stdout
    assert text.startswith('orders/1   {"id":1,"card":"4111","total":2000} from ada\n')
    assert text.index("1  hide  on_message  replace") < text.index('payload.card   "4111" → (none)') < text.index("2  vip  on_message  fanout")
    assert 'log info   an order {"id":1}' in text and 'sends vip/orders   {"id":1,"total":2000}' in text
    assert " allocations" in text and "µs, " in text and "2 messages go out:" in text
    assert "\x1b" not in text


def test_json_has_it_for_programs(plugins):
    result = rule_run(plugins, "--topic", "orders/1", "--payload", "{}", "--output", "json")
    document = json.loads(result.stdout)
    assert (document["outcome"], document["why"], document["out"]) == ("rejected", "no order id", [])
    assert [(step["rule"], step["decision"]) for step in document["steps"]] == [("hide", "pass"), ("vip", "reject")]
    assert document["answer"] == {"status": 403, "text": "no order id"}
    assert all(step["nanoseconds"] > 0 and step["allocations"] > 0 for step in document["steps"])


def test_a_terminal_gets_colours_unless_it_wants_none(plugins):
    def on_terminal(**variables):
        outer, inner = pty.openpty()
        command = [BINARY, "rule", "run", plugins / "vip", "--topic", "orders/1", "--payload", "{}"]
        subprocess.run(command, stdout=inner, stderr=inner, env=environment() | {"TERM": "xterm"} | variables, check=False, timeout=60)
        os.close(inner)
        text = os.read(outer, 1 << 16)
        os.close(outer)
        return text

    assert b"\x1b[31mrejected" in on_terminal()
    assert b"\x1b" not in on_terminal(NO_COLOR="1")


def test_settings_come_from_a_file_or_a_configuration(plugins, tmp_path):
    message = ("--topic", "orders/1", "--payload", '{"id":1,"total":50}')
    (tmp_path / "own.yaml").write_text("from: 50\n")
    assert "fanout" in rule_run(plugins, *message, "--settings", tmp_path / "own.yaml", names=["vip"]).stdout
    (tmp_path / "own.json").write_text('{"vip": {"from": 51}}')
    assert "fanout" not in rule_run(plugins, *message, "--settings", tmp_path / "own.json").stdout
    (tmp_path / "worker.yaml").write_text(f"rules: {{ directory: {plugins}, enabled: [vip], settings: {{ vip: {{ from: 50 }} }} }}\n")
    result = run("rule", "run", "--config", tmp_path / "worker.yaml", *message)
    assert result.returncode == 0 and "vip  on_message  fanout" in result.stdout and "hide" not in result.stdout, result
    result = rule_run(plugins, *message, "--config", tmp_path / "worker.yaml", names=["vip"])
    assert "fanout" in result.stdout


def test_what_is_wrong_with_settings_is_told_with_its_line(tmp_path):
    folder = write_rule(tmp_path / "plugins", "door", "return { settings = { keep = integer { default = 4 } }, on_message = function() end }")
    wrong = tmp_path / "own.yaml"
    wrong.write_text("# of the door\nkeep: many\nkep: 5\n")
    result = run("rule", "run", folder / "door", "--topic", "a", "--settings", wrong)
    assert result.returncode == 78, result
    assert f"{wrong}:2:7: rules.settings.door.keep is" in result.stderr, result
    assert f"{wrong}:3:1: unknown key kep" in result.stderr and "did you mean keep?" in result.stderr, result
    wrong.write_text('{"door": {"keep": "x"},\n "dor": {}}')
    write_rule(tmp_path / "plugins", "other", "return { on_message = function() end }")
    result = run("rule", "run", tmp_path / "plugins", "--topic", "a", "--settings", wrong)
    assert f"{wrong}:2:2: there is no plugin dor" in result.stderr, result
    wrong.write_text('{"door": {"keep": "x"}}')
    result = run("rule", "run", tmp_path / "plugins", "--topic", "a", "--settings", wrong)
    assert f"{wrong}:1:19: rules.settings.door.keep is" in result.stderr, result
    configuration = tmp_path / "worker.yaml"
    configuration.write_text(f"rules:\n  directory: {folder}\n  enabled: [door]\n  settings:\n    door: {{ keep: x }}\n")
    result = run("rule", "run", "--config", configuration, "--topic", "a")
    assert f"{configuration}:5:19: rules.settings.door.keep is" in result.stderr, result


def test_a_message_comes_from_a_file_and_options_go_over_it(plugins, tmp_path):
    (tmp_path / "message.json").write_text('{"topic":"orders/1","payload":{"id":1},"sender":{"uid":"ada","tags":["x"]},"qos":2}')
    document = json.loads(rule_run(plugins, "--json", tmp_path / "message.json", "--uid", "bob", "--output", "json").stdout)
    assert (document["uid"], document["message"]["qos"], document["message"]["payload"]) == ("bob", 2, '{"id":1}')
    (tmp_path / "payload").write_bytes(b"\xff\x00\x01")
    document = json.loads(rule_run(plugins, "--topic", "a", "--payload-file", tmp_path / "payload", "--output", "json").stdout)
    assert document["message"]["payload_base64"] == "/wAB" and document["outcome"] == "passed"


def test_subscribers_tell_who_would_get_it(plugins, tmp_path):
    (tmp_path / "who").write_text(
        "// who listens\norders/# billing bob\norders/# billing cara\n"
        '{"topic":"#","group":"audit","uid":"dave"}\n{"topic":"vip/#","uid":"eve"}\n')
    result = rule_run(
        plugins, "--topic", "orders/1", "--payload", '{"id":1,"total":2000}', "--subscribers", tmp_path / "who", "--output", "json")
    recipients = [(one["uid"], one.get("group"), one["topic"]) for one in json.loads(result.stdout)["recipients"]]
    assert len(recipients) == 4 and {("dave", "audit", "vip/orders"), ("eve", None, "vip/orders"), ("dave", "audit", "orders/1")} < set(recipients)
    result = rule_run(plugins, "--topic", "vip/x", "--payload", "1", "--subscribers", os.devnull)
    assert "nobody gets it" in result.stdout and "the sender is told: 500" in result.stdout


def test_broadcasts_and_chats(plugins, tmp_path):
    (plugins / "vip/rule.lua").write_text("""return { on_broadcast = function(push) return push:with { payload = push.payload:upper() } end,
      on_chat = function(msg, chat) return route.reject("members: " .. #chat.members) end }""")
    (tmp_path / "who").write_text('{"uid":"a","tags":["gold"]}\n{"uid":"b"}\n')
    result = rule_run(
        plugins, "--kind", "broadcast", "--payload", "hello", "--filter", '{"match_tags":["gold"]}', "--subscribers", tmp_path / "who",
        names=["vip"])
    assert 'payload   "hello" → "HELLO"' in result.stdout and "1 recipient:" in result.stdout, result
    result = rule_run(plugins, "--kind", "chat", "--topic", "c/1", "--payload", "hi", "--uid", "ann", names=["vip"])
    assert "rejected: members: 1" in result.stdout, result


def test_many_messages_are_summed_up(plugins, tmp_path):
    lines = [json.dumps({"topic": f"orders/{number}", "payload": {"id": number, "total": number * 500}}) for number in range(1, 5)]
    (tmp_path / "messages").write_text("\n".join(lines + ['{"topic":"orders/5","payload":"x"}', ""]))
    result = rule_run(plugins, "--messages", tmp_path / "messages")
    assert result.returncode == 0 and result.stdout.startswith("5 messages: 1 passed, 3 passed with copies, 1 rejected\n"), result
    lines = rule_run(plugins, "--messages", tmp_path / "messages", "--output", "json").stdout.splitlines()
    assert len(lines) == 6 and json.loads(lines[-1])["summary"]["messages"] == 5
    documents = [json.loads(line) for line in lines]
    for one in documents[-1]["summary"]["rules"]:
        steps = [step["bytes"] for document in documents[:-1] for step in document["steps"] if step["rule"] == one["rule"]]
        assert len(steps) == one["calls"] and abs(one["bytes"] - sum(steps) / len(steps)) < 0.01, "bytes is of a call everywhere"


def test_a_failing_rule_is_told_and_ends_with_65(plugins):
    result = rule_run(plugins, "--topic", "a", "--payload", "x", names=["bad"])
    assert result.returncode == 65 and f"FAILED on_message: {plugins}/bad/rule.lua:1: msg has no 'nothing'" in result.stdout, result
    result = run("rule", "run", "bad", "--topic", "a", cwd=plugins)
    assert "FAILED on_message: bad/rule.lua:1: " in result.stdout, result


def test_against_tells_where_two_versions_differ(plugins, tmp_path):
    old = tmp_path / "old" / "vip"
    old.mkdir(parents=True)
    (old / "rule.lua").write_text(VIP.replace("1000", "2000").replace("no order id", "no id"))
    lines = [json.dumps({"topic": "orders/1", "payload": {"id": number, "total": number * 500}}) for number in range(1, 5)]
    (tmp_path / "messages").write_text("\n".join([*lines, '{"topic":"orders/5","payload":"x"}']))
    arguments = ("--messages", tmp_path / "messages", "--against", old)
    result = rule_run(plugins, *arguments, names=["vip"])
    assert result.returncode == 1 and result.stdout.startswith("3 of 5 messages differ\n"), result
    assert "2  passed → passed with copies" in result.stdout and 'why   "no id" → "no order id"' in result.stdout
    document = json.loads(rule_run(plugins, *arguments, "--examples", "1", "--output", "json", names=["vip"]).stdout)
    assert (document["differing"], len(document["examples"])) == (3, 1)
    result = run("rule", "run", plugins / "vip", "--messages", tmp_path / "messages", "--against", plugins / "vip")
    assert result.returncode == 0 and result.stdout == "no difference over 5 messages\n"


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["--topic", "a", "--json", "none.json"], 74, "none.json"),
    (["--messages", "none"], 74, "none"),
    (["--topic", "a", "--subscribers", "none"], 74, "none"),
    (["--topic", "a", "--settings", "none.yaml"], 74, "none.yaml: the file cannot be read"),
    (["--topic", "a", "--config", "none.yaml"], 74, "none.yaml: the file cannot be read"),
    (["--topic", "a", "--payload-file", "none"], 74, "none"),
    (["--topic", ""], 64, "the topic is empty"),
    (["--topic", "orders/+"], 64, "no message has 'orders/+' as its topic"),
    (["--topic", "a", "--filter", "{}"], 64, "only a broadcast has a filter"),
    (["--kind", "broadcast", "--topic", "a"], 64, "a broadcast has no topic"),
    (["--topic", "a", "--examples", "1"], 64, "--against"),
    (["--topic", "a", "--against", "none"], 78, "none"),
    (["--topic", "a", "--kind", "letter"], 64, "letter"),
    (["--topic", "a", "--qos", "3"], 64, "--qos"),
    (["--kind", "broadcast", "--filter", "{"], 64, "--filter:1:2: not JSON"),
    (["--kind", "broadcast", "--filter", '{"colour":"red"}'], 64, "colour"),
    (["--topic", "a", "--payload", "x", "--payload-file", "y"], 64, "exclude"),
    (["--topic", "a", "--messages", "y"], 64, "exclude"),
    (["--topic", "a", "--examples", "-1"], 64, "--examples"),
    ([], 64, "Say which message"),
])
def test_wrong_input_is_told(plugins, tmp_path, arguments, code, text):
    result = run("rule", "run", plugins / "vip", *arguments, cwd=tmp_path)
    assert result.returncode == code and text in result.stderr and not result.stdout, result


def test_wrong_files_are_told_with_their_places(plugins, tmp_path):
    for name, text, wanted in [
        ("m.json", "{", "m.json:1:2: not JSON"), ("m.json", "[]", "a message is a JSON object"),
        ("m.json", '{"topik":"a"}', "does not take topik (usage); did you mean topic?"),
    ]:
        (tmp_path / name).write_text(text)
        result = rule_run(plugins, "--json", tmp_path / name)
        assert result.returncode == 64 and wanted in result.stderr, result
    (tmp_path / "m").write_text('{"topic":"a"}\n\nnonsense\n')
    result = rule_run(plugins, "--messages", tmp_path / "m")
    assert result.returncode == 64 and "m:3:1: not JSON" in result.stderr, result
    (tmp_path / "s").write_text("a g u\n# who listens\n")
    result = rule_run(plugins, "--topic", "a", "--subscribers", tmp_path / "s")
    assert result.returncode == 64 and "s:2: a comment, or one who has subscribed everything?" in result.stderr, result
    (tmp_path / "s").write_text("a b c d\n")
    result = rule_run(plugins, "--topic", "a", "--subscribers", tmp_path / "s")
    assert result.returncode == 64 and "s:1: a subscriber of 4 words" in result.stderr, result
    (tmp_path / "y").write_text("vipp: {}\n")
    result = rule_run(plugins, "--topic", "a", "--settings", tmp_path / "y")
    assert result.returncode == 78 and "did you mean vip?" in result.stderr, result


def test_a_folder_without_a_rule_and_a_rule_that_does_not_load(plugins, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in ("run", "bench"):
        result = run("rule", command, tmp_path / "empty", "--topic", "a")
        assert result.returncode == 78 and "empty has no rule.lua" in result.stderr, result
    (plugins / "bad/rule.lua").write_text("return {")
    result = rule_run(plugins, "--topic", "a", names=["bad"])
    assert result.returncode == 78 and "bad/rule.lua:1" in result.stderr, result


def test_bench_times_each_hook_beside_an_empty_one(plugins):
    (plugins / "vip/rule.lua").write_text(VIP.replace("return R", "function R.on_connect() end\nreturn R"))
    result = run("rule", "bench", plugins / "vip", "--topic", "orders/1", "--payload", '{"id":1}', "--batches", "20", "--output", "json")
    assert result.returncode == 0, result
    hooks = {one["hook"]: one for one in json.loads(result.stdout)["hooks"]}
    assert list(hooks) == ["on_message", "on_connect"]
    one = hooks["on_message"]
    assert 0 < one["empty_nanoseconds"]["median"] < one["nanoseconds"]["median"] <= one["nanoseconds"]["p99"]
    assert one["bytes"] > 0 and one["allocations"] > 0 and list(one["verdicts"]) == ["pass"]
    text = run("rule", "bench", plugins / "vip", plugins / "hide", "--batches", "10").stdout
    assert "empty hook" in text and "hide  on_message" in text and "vip   on_message" in text


def test_what_is_delayed_is_told_with_its_seconds(plugins, tmp_path):
    for folder, seconds in (("plugins", 500), ("old", 5)):
        write_rule(tmp_path / folder, "vip", f"return {{ on_message = function(msg) return route.delay({seconds}, msg) end }}")
    (tmp_path / "messages").write_text('{"topic":"d/1","payload":"hello"}\n')
    (tmp_path / "who").write_text("d/# g bob\n")
    result = run("rule", "run", plugins / "vip", "--topic", "d/1", "--payload", "hello", "--subscribers", tmp_path / "who")
    assert "delayed\ngoes out:\n     d/1, after 500 s   hello\nnobody gets it now\nwho gets what goes out later is not told" in result.stdout, result
    result = run("rule", "run", plugins / "vip", "--messages", tmp_path / "messages", "--against", tmp_path / "old/vip")
    assert result.returncode == 1 and "out[1].delay   5 → 500" in result.stdout, result


def test_bench_gives_hooks_what_a_worker_would(plugins, tmp_path):
    (plugins / "vip/rule.lua").write_text(
        'return { match = { topic = "inbound/+" }, on_message = function(m) return route.to("x" .. m.topic:match("^inbound/(.*)")) end }')
    (tmp_path / "two.jsonl").write_text('{"topic":"inbound/1"}\n{"topic":"other/1"}\n')
    result = run("rule", "bench", plugins / "vip", "--messages", tmp_path / "two.jsonl", "--batches", "10")
    assert result.returncode == 0 and "vip: 1 of 2 messages left out: it is not called for them" in result.stdout, result
    result = run("rule", "bench", plugins / "vip", "--messages", tmp_path / "two.jsonl", "--batches", "10", "--output", "json")
    assert json.loads(result.stdout)["not_taken"] == {"vip": 1}, result
    result = run("rule", "bench", plugins / "vip", "--topic", "other/1", "--batches", "10")
    assert result.returncode == 64 and "no rule is called for the message" in result.stderr and not result.stdout, result
    result = run("rule", "bench", plugins / "vip", plugins / "hide", "--topic", "other/1", "--payload", "{}", "--batches", "10")
    assert result.returncode == 0 and "vip: none of 1 message is one that it is called for" in result.stdout, result
    (plugins / "vip/rule.lua").write_text("return { on_message = function(m, ctx) assert(ctx.now // 1 == 86400) end }")
    (tmp_path / "then.jsonl").write_text('{"topic":"a","at":86400.5}')
    result = run("rule", "bench", plugins / "vip", "--messages", tmp_path / "then.jsonl", "--batches", "10")
    assert result.returncode == 0, result


@pytest.mark.parametrize("command", ["run", "bench"])
def test_settings_that_are_missing_are_told_with_the_option_that_gives_them(tmp_path, command):
    folder = write_rule(tmp_path / "plugins", "door", "return { settings = { keep = integer }, on_message = function() end }")
    result = run("rule", command, folder / "door", "--topic", "a")
    assert result.returncode == 78 and "rules.settings.door.keep is missing" in result.stderr and "--settings FILE" in result.stderr, result
    (tmp_path / "own.yaml").write_text("{}")
    result = run("rule", command, folder / "door", "--topic", "a", "--settings", tmp_path / "own.yaml")
    assert result.returncode == 78 and "--settings" not in result.stderr, result


def test_files_may_begin_with_a_byte_order_mark(plugins, tmp_path):
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    (tmp_path / "m").write_text(mark + '{"topic":"orders/1","payload":{"id":1}}\n')
    (tmp_path / "s").write_text(mark + "orders/1 g bob\n")
    (tmp_path / "y").write_text(mark + "from: 5\n")
    result = rule_run(plugins, "--json", tmp_path / "m", "--subscribers", tmp_path / "s", "--settings", tmp_path / "y", names=["vip"])
    assert result.returncode == 0 and "1 recipient:" in result.stdout, result
    assert rule_run(plugins, "--messages", tmp_path / "m", names=["vip"]).returncode == 0


def test_bench_counts_calls_that_fail(plugins):
    result = run("rule", "bench", plugins / "bad", "--batches", "10")
    assert result.returncode == 65 and "bad on_message failed in" in result.stdout and "msg has no 'nothing'" in result.stdout, result


def test_a_configuration_brings_its_trials_and_what_it_disables(plugins):
    write_rule(plugins.parent / "next", "vip", "return { on_message = function(m) return route.drop('new') end }")
    config = plugins.parent / "worker.yaml"
    config.write_text(
        "worker: { listeners: { exchange: { protocol: exchange, listen: '127.0.0.1:0' } } }\n"
        f"rules: {{ directory: {plugins}, enabled: all, disabled: [bad],\n"
        f"  trials: {{ vip: {{ directory: {plugins.parent / 'next' / 'vip'}, mode: shadow }} }} }}\n")
    message = ("--topic", "orders/1", "--payload", '{"id":1}')
    shown = run("rule", "run", "--config", config, *message)
    assert shown.returncode == 0, shown
    assert "vip@next  on_message  drop (on trial as shadow: not applied)" in shown.stdout and "\npassed\n" in shown.stdout
    document = json.loads(run("rule", "run", "--config", config, *message, "--output", "json").stdout)
    assert [(step["rule"], step.get("trial"), step.get("applied")) for step in document["steps"]] == [
        ("hide", None, None), ("vip@next", "shadow", False), ("vip", None, None)]
    assert document["outcome"] == "passed" and "why" not in document
    timed = run("rule", "bench", "--config", config, *message, "--batches", "10")
    assert timed.returncode == 0 and "vip@next" in timed.stdout, timed


def test_what_stands_where_it_does_not_belong_is_told(plugins):
    settings = plugins.parent / "settings.yaml"
    settings.write_text("vip: { from: 5 }\n")
    write_rule(plugins, "vip", "return { settings = { from = integer }, on_message = function() end }")
    done = rule_run(plugins, "--settings", settings, "--topic", "a", names=["vip"])
    assert done.returncode == 78 and "the settings of one plugin stand without its name" in done.stderr, done
    messages = plugins.parent / "messages.jsonl"
    messages.write_text('{"topic":"a","uid":"ada"}\n')
    done = rule_run(plugins, "--messages", messages, names=["hide"])
    assert done.returncode == 64 and "the sender has it: sender.uid" in done.stderr, done
