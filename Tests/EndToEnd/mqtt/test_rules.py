"""What rules decide about MQTT's messages, and how its clients are told. Of Shunt alone."""

import pytest

from mqtt import brokers, packets
from mqtt.client import Client
from mqtt.packets import PUBREL, V3, V5
from mqtt.proof import proves
from processes import write_rule

pytestmark = pytest.mark.skipif(bool(brokers.CHOSEN), reason="rules are Shunt's")

RULE = """
local R = { match = { topic = "guarded/#" } }
function R.on_message(msg)
  if msg.payload == "no" then return route.reject("not today") end
end
return R
"""


@pytest.fixture
def guarded(shunt, tmp_path, version):
    """Opens clients of a worker with a rule that rejects the payload `no`."""
    folder = write_rule(tmp_path / "rules", "guard", RULE)
    broker = brokers.shunt(shunt, **{"rules.directory": str(folder), "rules.enabled": "all"})

    def open(id) -> Client:
        made = shunt.closing(Client(broker.address, version))
        made.connect(id)
        return made

    return open


@proves(v3="3.3.5-2", v5="3.4.2-1 3.5.2-1 4.3.3-9")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_a_rule_rejects(guarded, qos, version):
    """3.1.1 has no word for it: acknowledged, and dropped. 5.0 gets the rule's sentence."""
    receiver, sender = guarded("r"), guarded("s")
    receiver.subscribe("guarded/#", qos=qos)
    sender.send(packets.publish(version, "guarded/x", b"no", qos, id=7))
    answer = sender.next()
    assert (answer.reason, answer.get("reason_string")) == ((0x83, "not today") if version == V5 else (0, None))
    if qos == 2 and version == V3:
        sender.answer(PUBREL, 7)
        sender.wait(packets.PUBCOMP, 7)
    # The identifier means a new message now.
    sender.publish("guarded/x", b"yes", qos, id=7)
    assert [each.payload for each in receiver.settle(sender, "end", qos)] == [b"yes"]
