"""Messages that a rule renames by `msg:with{topic}`: whose they are, and who sees them under the new topic."""

import pytest

from mqtt.client import Client
from mqtt.packets import Will
from processes import write_rule

MOVER = """
return { priority = 10, GRANTS match = { kind = "topic", topic = "in/#" }, HOOK = function(msg, ctx)
  return msg:with { topic = "secret/" .. msg.topic }
end }
"""
MARKER = """
return { priority = 0, GRANTS HOOK = function(msg, x, ctx)
  return msg:with { payload = "marked" }
end }
"""
GRANTS = 'grants = { publish = { "secret/#" } },'
# `first` renames all, `last` does as the topic says.
FIRST = 'return { priority = 10, on_message = function(msg) return msg:with { topic = "t/" .. msg.topic } end }'
LAST = """
local R = { priority = 0 }
function R.on_message(msg, ctx)
  if msg.topic:find("fan") then return route.fanout { msg } end
  if msg.topic:find("emit") then ctx:emit(msg:with { key = "copy" }) end
  if msg.topic:find("later") then return route.delay(0) end
  if msg.topic:find("payload") then return msg:with { payload = "new" } end
end
return R
"""
OLD = """
return { priority = 10, match = { kind = "topic", topic = "old/#" }, on_message = function(msg)
  return msg:with { topic = "new" .. msg.topic:sub(4) }
end }
"""
# Knows what it has seen, as deduplicate does.
ONCE = """
local R, seen = { priority = 5 }, {}
function R.on_message(msg)
  local what = msg.topic .. " " .. msg.payload
  if seen[what] then return route.drop("came already") end
  seen[what] = true
end
return R
"""
# Sees only the new topic.
GUARD = """
return { priority = 20, match = { kind = "topic", topic = "new/#" }, on_message = function(msg)
  return msg:with { payload = msg.payload .. " guarded " .. msg.hops }
end }
"""


@pytest.fixture
def clients(shunt, tmp_path):
    """Gives for rules by name a reader of everything and a function that makes further clients."""

    def begin(rules: dict[str, str], **sets):
        for name, text in rules.items():
            folder = write_rule(tmp_path / "rules", name, text)
        worker = shunt.worker({
            "rules.directory": folder, "rules.enabled": "all", "worker.listeners.mqtt.protocol": "mqtt",
            "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true",
            **{name.replace("__", "."): value for name, value in sets.items()}})

        def client(name: str, **more) -> Client:
            client = shunt.closing(Client(worker.listeners["worker.mqtt"], 5))
            client.connect(name, **more)
            return client

        reader = client("reader")
        reader.subscribe("#", qos=1)
        return worker, reader, client

    return begin


@pytest.mark.parametrize("hook", ["on_message", "on_will"])
@pytest.mark.parametrize("granted", ["mover", "marker"])
def test_the_grants_of_the_rule_that_renames_count(clients, tmp_path, hook, granted):
    (tmp_path / "acl").write_text("topic write in/#\ntopic read #\n")
    texts = {
        name: text.replace("HOOK", hook).replace("GRANTS", GRANTS if name == granted else "")
        for name, text in (("mover", MOVER), ("marker", MARKER))}
    worker, reader, client = clients(texts, access__acl_file=tmp_path / "acl")
    sender = client("sender", **({"will": Will("in/1", b"x")} if hook == "on_will" else {}))
    if hook == "on_will":
        sender.vanish()
    else:
        assert sender.publish("in/1", b"x", 1) == (0 if granted == "mover" else 0x83)
    if granted == "mover":
        message = reader.message()
        assert (message.topic, message.payload) == ("secret/in/1", b"marked")
    else:
        worker.wait_log("access.denied")
        line = next(line for line in worker.stderr.splitlines() if "access.denied" in line)
        assert "mover" in line and "marker" not in line, line


@pytest.mark.parametrize(
    "name, wanted",
    [("plain", ["t/plain"]), ("payload", ["t/payload"]), ("fan", ["t/fan"]), ("emit", ["t/emit", "t/emit"]), ("later", ["t/later"])])
def test_a_message_is_renamed_once(clients, name, wanted):
    _, reader, client = clients({"first": FIRST, "last": LAST})
    sender = client("sender")
    sender.publish(name, b"x", 1)
    assert [message.topic for message in reader.messages(len(wanted))] == wanted
    sender.publish("end", b"x", 1)
    assert reader.message().topic == "t/end"


def test_rules_that_have_seen_the_new_topic_are_not_asked_again_and_others_are(clients):
    _, reader, client = clients({"mover": OLD, "once": ONCE, "guard": GUARD})
    sender = client("sender")
    for number in (b"1", b"2"):
        assert sender.publish("old/x", number, 1) == 0
        message = reader.message()
        assert (message.topic, message.payload) == ("new/x", number + b" guarded 1")
    sender.publish("old/again", b"1", 1)
    sender.publish("old/again", b"1", 1)
    sender.publish("old/end", b"1", 1)
    assert [reader.message().topic for _ in range(2)] == ["new/again", "new/end"]


@pytest.mark.parametrize("hook", ["on_message", "on_will"])
def test_no_rule_sees_a_renamed_message_after_one_has_ended_the_chain(clients, hook):
    done = """
return { priority = 5, HOOK = function(msg)
  if msg.payload == "done" then return route.done() end
end }
"""
    _, reader, client = clients({
        "mover": OLD.replace("on_message", hook), "done": done.replace("HOOK", hook), "guard": GUARD})
    for payload, wanted in ((b"done", b"done"), (b"x", b"x guarded " + (b"1" if hook == "on_message" else b"0"))):
        if hook == "on_will":
            client("mortal", will=Will("old/x", payload)).vanish()
        else:
            client("sender").publish("old/x", payload, 1)
        message = reader.message()
        assert (message.topic, message.payload) == ("new/x", wanted)
