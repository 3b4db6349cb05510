"""A master and a worker with something of everything: clients, devices, a chat, a rule, retained messages, a ban, a refused client."""

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from admin_api.contract import Contract, send
from exchange import Client, eventually, parse_address
from processes import write_rule

RULE = """
local R = { name = "watch", priority = 50, match = { kind = "topic", topic = "#" } }
function R.on_message(msg, ctx)
  if msg.topic == "orders/bad" then error("no such order") end
end
return R
"""


class Cluster:
    def __init__(self, shunt, folder):
        self.master = shunt.master()
        self.worker = shunt.worker({
            "worker.masters": self.master.master, "worker.loops": 2, "worker.name": "edge-1", "rules.directory": write_rule(folder, "watch", RULE),
            "rules.enabled": "[watch]", "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0"})
        self.worker.wait_metric("shunt_master_connected", 1)
        self.closing = shunt.closing
        self.people = []

    @property
    def address(self) -> str:
        return self.master.admin

    def ask(self, method, target, body=None, **more):
        return send(self.address, method, target, body, **more)

    def mqtt(self, name: str) -> paho.Client:
        """A client whose session outlives its connection."""
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5, reconnect_on_failure=False)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 1000
        client.connect(*parse_address(self.worker.listeners["worker.mqtt"]), clean_start=False, properties=properties)
        client.loop_start()
        eventually(client.is_connected, 10, "connected")
        self.people.append(client)
        return client

    def fill(self):
        one = self.mqtt("meter-7")
        one.subscribe([("sensors/#", 1), ("$share/g/orders/+", 1)])
        one.publish("sensors/7/status", b"on", qos=1, retain=True).wait_for_publish(10)
        self.mqtt("meter-8")
        self.closing(Client(self.worker.exchange)).register("alice", tags=["vip"], alias=["al"])
        self.closing(Client(self.worker.exchange)).join("room/1")
        assert self.ask("POST", "/api/v1/bans", {"subject": "client:bad", "seconds": 3600, "why": "noise"}).status == 200
        self.be_refused("bad")
        for path, member in (("devices", "devices"), ("chats", "chats"), ("refused", "refused")):
            eventually(lambda: self.ask("GET", f"/api/v1/{path}").json[member], 20, path)
        eventually(lambda: len(self.ask("GET", "/api/v1/clients").json["clients"]) >= 4, 20, "clients")

    def be_refused(self, name: str):
        """A ban reaches the worker a moment after it was answered."""

        def is_refused() -> bool:
            client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5, reconnect_on_failure=False)
            reasons = []
            client.on_connect = lambda client, data, flags, reason, properties: reasons.append(reason.is_failure)
            client.connect(*parse_address(self.worker.listeners["worker.mqtt"]))
            while not reasons and client.loop(1) == paho.MQTT_ERR_SUCCESS:
                pass
            client.disconnect()
            return reasons == [True]

        eventually(is_refused, 20, "the refusal")

    def end(self):
        for client in self.people:
            client.disconnect()
            client.loop_stop()


@pytest.fixture(scope="module")
def cluster(shared_shunt, tmp_path_factory):
    cluster = Cluster(shared_shunt, tmp_path_factory.mktemp("plugins"))
    cluster.fill()
    yield cluster
    cluster.end()


@pytest.fixture(scope="module")
def contract(cluster) -> Contract:
    return Contract(cluster.address)
