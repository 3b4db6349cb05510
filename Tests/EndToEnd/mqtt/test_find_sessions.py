"""`sessions.find`: what rules of any loop know of a user's clients and sessions."""

import json

import pytest

from exchange import eventually
from mqtt import brokers
from mqtt.client import Client
from mqtt.packets import V3, V5
from processes import write_rule

pytestmark = pytest.mark.skipif(bool(brokers.CHOSEN), reason="rules are Shunt's")

PLAIN = "return { on_message = function() end }"
ASKING = """
local find = sessions.find
local R = {}
function R.on_message(msg, ctx)
  if msg.topic ~= "who" then return end
  local found, more = find { uid = msg.payload }
  return route.to("answer", msg:with { payload = json.encode { loop = ctx.loop, found = found, more = more }, format = "json" })
end
function R.on_disconnect(conn, why, ctx)
  ctx:emit(route.message { topic = "gone", payload = conn.device .. " leaves " .. #find { uid = conn.uid } })
end
return R
"""


class Asked:
    """A worker with three loops, whose rule tells who there is; clients of the exchange protocol on all loops ask it."""

    def __init__(self, shunt, connect, folder, rule):
        self.shunt, self.open = shunt, connect
        self.plugins = write_rule(folder / "rules", "who", rule)
        self.worker = shunt.worker({
            "rules.directory": str(self.plugins), "rules.enabled": "all", "worker.loops": 3, "worker.listeners.mqtt.protocol": "mqtt",
            "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.exchange.listen": "127.0.0.1:0"})
        self.receiver = connect(self.worker.exchange).subscribe("answer")
        self.askers = [connect(self.worker.exchange) for _ in range(6)]

    def exchange(self, uid, device):
        return self.open(self.worker.exchange).register(uid, device)

    def mqtt(self, name, user="ada", version=V5, expiry=None, clean=True):
        made = self.shunt.closing(Client(self.worker.listeners["worker.mqtt"], version))
        made.connect(name, user=user, clean=clean, more={"session_expiry": expiry} if expiry is not None else None)
        return made

    def answers(self, uid="ada") -> list[dict]:
        """What each asker's loop says."""
        made = []
        for asker in self.askers:
            assert asker.message("who", uid).status == 200
            made.append(json.loads(self.receiver.receive(1)[0].text))
        return made

    def found(self, uid="ada") -> list[set]:
        return [{one["device"] if one["connected"] else one["device"] + " away" for one in answer["found"]} for answer in self.answers(uid)]

    def wait(self, *expected, uid="ada"):
        """All loops find these, and each of them once."""
        eventually(lambda: all(each == set(expected) for each in self.found(uid)), what=f"{expected}, not {self.found(uid)}")
        assert all(len(answer["found"]) == len(expected) for answer in self.answers(uid))


@pytest.fixture
def asked(shunt, connect, tmp_path):
    return lambda rule=ASKING: Asked(shunt, connect, tmp_path, rule)


def test_both_protocols_and_all_loops(asked):
    asked = asked()
    asked.wait()
    phones = [asked.exchange("ada", f"phone-{number}") for number in range(4)]
    clients = [asked.mqtt(f"client-{number}") for number in range(6)]
    old = asked.mqtt("old", version=V3)
    asked.exchange("bob", "phone")
    names = [f"phone-{number}" for number in range(4)] + [f"client-{number}" for number in range(6)] + ["old"]
    asked.wait(*names)
    answers = asked.answers()
    assert len({answer["loop"] for answer in answers}) > 1, "the askers are all on one loop"
    found = {one["device"]: one for one in answers[0]["found"]}
    assert len({one["loop"] for one in found.values()}) == 3
    assert found["old"].items() >= {"uid": "ada", "client_id": "old", "protocol": "mqtt", "connected": True}.items()
    assert found["phone-1"]["protocol"] == "exchange" and "client_id" not in found["phone-1"]
    assert len({one["id"] for one in found.values()}) == len(names)
    assert all(one["address"].startswith("127.0.0.1:") and one["connected_at"] > 1.6e9 for one in found.values())
    gone = asked.open(asked.worker.exchange).subscribe("gone")
    phones[0].close()
    assert gone.receive(1)[0].text == "phone-0 leaves 10"
    clients[0].leave()
    old.vanish()
    asked.wait(*(set(names) - {"phone-0", "client-0", "old"}))
    # A client that says that it is another one.
    phones[1].register("bob", "tablet")
    asked.wait("phone", "tablet", uid="bob")


def test_sessions_that_are_away_taken_over_and_over(asked):
    asked = asked()
    first = asked.mqtt("c", expiry=1000, clean=False)
    asked.wait("c")
    second = asked.mqtt("c", expiry=1000, clean=False)
    first.ended()
    asked.wait("c")
    second.vanish()
    asked.wait("c away")
    away = asked.answers()[0]["found"][0]
    assert away.keys() == {"uid", "device", "client_id", "protocol", "loop", "connected", "tags", "alias"}
    third = asked.mqtt("c", user="bob", expiry=1000, clean=False)
    asked.wait()
    asked.wait("c", uid="bob")
    third.leave(more={"session_expiry": 0}, reason=0)
    asked.wait(uid="bob")
    asked.mqtt("short", expiry=1).vanish()
    asked.wait("short away")
    asked.wait()


def test_a_reload_that_begins_to_ask_finds_those_who_were_there(asked):
    asked = asked(PLAIN)
    phones = [asked.exchange("ada", f"phone-{number}") for number in range(8)]
    clients = [asked.mqtt(f"client-{number}", expiry=1000) for number in range(8)]
    clients[0].vanish()
    names = [f"phone-{number}" for number in range(8)] + ["client-0 away"] + [f"client-{number}" for number in range(1, 8)]
    write_rule(asked.plugins, "who", ASKING)
    asked.worker.reload()
    asked.wait(*names)
    write_rule(asked.plugins, "who", PLAIN)
    asked.worker.reload()
    phones[0].close()
    more = asked.exchange("ada", "more")
    write_rule(asked.plugins, "who", ASKING)
    asked.worker.reload()
    asked.wait("more", *names[1:])
    more.close()
    asked.wait(*names[1:])


def test_a_user_with_many_clients_is_cut(asked):
    asked = asked()
    clients = [asked.exchange("ada", f"d{number}") for number in range(101)]
    eventually(lambda: all(len(answer["found"]) == 100 and answer["more"] for answer in asked.answers()))
    clients[0].close()
    eventually(lambda: all(len(answer["found"]) == 100 and not answer["more"] for answer in asked.answers()))
