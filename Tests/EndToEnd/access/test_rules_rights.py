"""What senders are told where rules make something else of their messages, and rights keep it back."""

import json

import pytest

from exchange import Client as ExchangeClient
from mqtt.client import Client
from processes import write_rule

ACL = """
topic readwrite #
topic readwrite $shunt/#
topic readwrite $chat/#
topic deny forbidden/#
topic deny $chat/secret
"""
RULE = """
local R = {}
local made = {
  denied = function() return route.to("forbidden/x") end,
  all_denied = function() return route.fanout { route.to("forbidden/x"), route.chat("secret"), route.delay(1, route.to("forbidden/y")) } end,
  nobody = function() return route.to("nobody") end,
  partly = function() return route.fanout { route.to("forbidden/x"), route.to("nobody") } end,
  somebody = function() return route.fanout { route.to("forbidden/x"), route.to("heard") } end,
  later = function() return route.delay(0, route.to("nobody")) end,
}
local function decide(msg) if made[msg.payload] then return made[msg.payload]() end end
function R.on_message(msg) if msg.topic == "in" then return decide(msg) end end
R.on_chat, R.on_broadcast = decide, decide
return R
"""
KEPT_BACK = (403, "the sender may not send what a rule makes of the message")
UNHEARD = (500, "The worker subscriber is empty")
ENDS = {"denied": KEPT_BACK, "all_denied": KEPT_BACK, "nobody": UNHEARD, "partly": UNHEARD, "somebody": (200, None), "later": (200, None)}


@pytest.fixture
def worker(shunt, tmp_path):
    (tmp_path / "acl").write_text(ACL)
    folder = write_rule(tmp_path / "rules", "makes", RULE)
    return shunt.worker({
        "access.acl_file": tmp_path / "acl", "rules.directory": folder, "rules.enabled": "all", "worker.loops": 2, "mqtt.broadcasts_from": "all",
        "worker.listeners.exchange.listen": "127.0.0.1:0", "worker.listeners.exchange.allow_anonymous": "true",
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true"})


def test_senders_of_topics_broadcasts_and_chats_are_told_alike(shunt, worker):
    sender, listener = (shunt.closing(ExchangeClient(worker.exchange)).register(name).join("room") for name in ("sender", "listener"))
    listener.subscribe("heard")
    for said, (status, text) in ENDS.items():
        for answer in (sender.message("in", said), sender.say("room", said), sender.notify(said, uid="listener")):
            assert answer.status == status and text in (None, answer.text), (said, answer)
    assert len(listener.receive(3)) == 3


def test_senders_of_mqtt_are_told_by_codes(shunt, worker):
    listener = shunt.closing(ExchangeClient(worker.exchange)).subscribe("heard")
    sender = shunt.closing(Client(worker.listeners["worker.mqtt"], 5))
    sender.connect("sender")
    sender.subscribe("$chat/room", qos=1)
    codes = {403: (0x83, 0x87), 500: (0x10,), 200: (0,)}
    for said, (status, _) in ENDS.items():
        answers = [
            sender.publish("in", said.encode(), 1), sender.publish("$chat/room", said.encode(), 1),
            sender.publish("$shunt/notify", json.dumps({"uid": "none", "message": said}).encode(), 1)]
        assert all(answer in codes[status] for answer in answers), (said, answers)
    assert len(listener.receive(3)) == 3
