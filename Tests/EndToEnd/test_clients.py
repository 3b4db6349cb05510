"""`shunt admin clients`, `client` and `kick`: two workers' clients, through their master and its registry."""

import json
import sqlite3

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from exchange import Client as ExchangeClient, eventually, parse_address
from processes import run


class Cluster:
    def __init__(self, shunt, **master):
        self.shunt = shunt
        self.master = shunt.master(master)
        self.workers = [self.worker(name) for name in ("east", "west")]
        # The registry has them by their names a moment after they have joined.
        eventually(lambda: all(name in self.admin("workers") for name in ("east", "west")), 10, "both named")

    def worker(self, name):
        worker = self.shunt.worker({
            "worker.masters": self.master.master, "worker.loops": 2, "worker.name": name, "worker.listeners.mqtt.protocol": "mqtt",
            "worker.listeners.mqtt.listen": "127.0.0.1:0"})
        worker.wait_metric("shunt_master_connected", 1)
        return worker

    def admin(self, *arguments, code=0):
        done = run("admin", *arguments, "--master", self.master.admin)
        assert done.returncode == code, done
        return done.stdout

    def clients(self, *arguments) -> list:
        return json.loads(self.admin("clients", *arguments, "--output", "json"))["clients"]

    def states(self) -> dict:
        return {client["client"]: client["state"] for client in self.clients("--protocol", "mqtt")}


class Client:
    """A client of MQTT 5.0 that notes how it was disconnected."""

    def __init__(self, worker, name, expiry=0):
        self.reasons = []
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5, reconnect_on_failure=False)
        self.paho.on_disconnect = lambda client, data, flags, reason, properties: self.reasons.append(reason.value)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry
        host, port = parse_address(worker.listeners["worker.mqtt"])
        self.paho.connect(host, port, clean_start=False, properties=properties)
        self.paho.loop_start()
        eventually(self.paho.is_connected, 10, "connected")

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def cluster(shunt):
    return Cluster(shunt)


def test_clients_of_all_workers_are_listed_as_they_come_and_go(cluster):
    here, there = (Client(worker, f"c{number}", expiry=100) for number, worker in enumerate(cluster.workers))
    here.paho.subscribe("a/#", 1)
    eventually(lambda: cluster.states() == {"c0": "connected", "c1": "connected"}, 20, "both listed")
    eventually(lambda: [c["subscriptions"] for c in cluster.clients("--client", "c0")] == [1], 20, "the subscription counted")
    assert [c["worker"] for c in cluster.clients("--worker", "west", "--protocol", "mqtt")] == [cluster.workers[1].exchange]
    there.close()
    eventually(lambda: cluster.states() == {"c0": "connected", "c1": "away"}, 20, "one away")
    with sqlite3.connect(f"file:{cluster.master.registry}?mode=ro", uri=True) as registry:
        assert registry.execute("SELECT count(*) FROM clients WHERE state = 'away'").fetchone() == (1,)
    here.close()


def test_a_client_is_shown_as_its_worker_knows_it(cluster):
    client = Client(cluster.workers[0], "c", expiry=100)
    client.paho.subscribe("a/#", 1)

    def subscriptions():
        answers = json.loads(cluster.admin("client", "c", "--output", "json"))["workers"]
        found = [one for answer in answers for one in answer["answer"]["clients"]]
        return [one["filter"] for client in found for one in client["subscriptions"]]

    eventually(lambda: subscriptions() == ["a/#"], 10, "the subscription told")
    assert "client.unknown" in run("admin", "client", "nobody", "--master", cluster.master.admin).stderr
    client.close()


def test_a_kicked_client_is_gone_when_the_command_ends(cluster):
    client = Client(cluster.workers[0], "c", expiry=100)
    eventually(lambda: cluster.states() == {"c": "connected"}, 20, "listed")
    assert cluster.admin("kick", "c") == "closed 1 client at east\n"
    assert cluster.states() == {"c": "away"}, "who reads next sees it"
    eventually(lambda: client.reasons == [0x98], 10, "told why")
    cluster.admin("kick", "c", code=65)
    assert cluster.admin("kick", "c", "--end-session") == "closed 0 clients, ended 1 session at east\n"
    assert cluster.states() == {}
    client.close()


def test_a_kicked_device_is_in_no_list_when_the_command_ends(cluster):
    for number in range(5):
        device = ExchangeClient(cluster.workers[number % 2].exchange).register("ann", "phone")
        eventually(lambda: cluster.clients("--client", "phone"), 20, "listed")
        assert cluster.admin("kick", "phone") == f"closed 1 client at {('east', 'west')[number % 2]}\n"
        assert cluster.clients("--client", "phone") == []
        device.close()


def test_what_is_subscribed_is_counted_by_filter_and_by_group(cluster):
    clients = [Client(worker, f"c{number}") for number, worker in enumerate([cluster.workers[0], cluster.workers[0], cluster.workers[1]])]
    for client in clients:
        client.paho.subscribe("a/#", 1)
    clients[0].paho.subscribe([("b", 0), ("$share/g/b", 0)])
    clients[1].paho.subscribe("$share/g/b", 0)

    def listed(*arguments) -> list:
        return [line.split(",") for line in cluster.admin(*arguments, "--output", "csv").split()[1:]]

    east, west = (worker.exchange for worker in cluster.workers)
    eventually(lambda: ["b", "3", east] in listed("subscriptions"), 10, "all subscribed")
    eventually(lambda: ["a/#", "1", west] in listed("subscriptions"), 10, "all subscribed")
    assert listed("subscriptions", "a/+", "--worker", "east") == [["a/#", "2", east]]
    assert listed("groups") == [["g", "2", "least_delivered", east]]
    for client in clients:
        client.close()


def test_the_busiest_topics_of_all_workers_are_counted_together(cluster):
    clients = [Client(worker, f"c{number}") for number, worker in enumerate(cluster.workers)]
    clients[0].paho.subscribe([("a/#", 0), ("a/+", 1)])
    for client, count in zip(clients, (30, 20)):
        for _ in range(count):
            client.paho.publish("a/both", b"x" * 10, 0)
    for _ in range(40):
        clients[1].paho.publish("nobody", b"x" * 500, 1)

    def listed(*arguments) -> list:
        lines = [line.split(",") for line in cluster.admin("topics", *arguments, "--output", "csv").split()[1:]]
        return [[line[0], *line[4:]] for line in lines if not line[0].startswith("$SYS")]

    # The header of QoS 0 has 2 bytes, of the topic's length 2; QoS 1 has an identifier besides, its length another byte; 5.0 the properties' length.
    both, nobody = ["a/both", "50", str(50 * 21), "30", "2"], ["nobody", "40", str(40 * 514), "0", "1"]
    eventually(lambda: listed() == [both, nobody], 10, "all counted")
    assert listed("--by", "bytes") == [nobody, both]
    assert listed("--by", "recipients", "--limit", "1") == [both]
    assert listed("--worker", "west") == [nobody, ["a/both", "20", str(20 * 21), "0", "1"]]
    answers = json.loads(cluster.admin("topics", "--top", "--output", "json"))["workers"]
    rates = {topic["topic"]: topic["messages_per_second"] for one in answers for topic in one["answer"]["topics"]}
    assert rates["nobody"] > 0 and rates["a/both"] > 0
    assert "a/both" in cluster.admin("topics", "--top", "--by", "recipients")
    # What was counted outlives a change of the rules.
    cluster.admin("rules", "reload")
    assert listed() == [both, nobody]
    for client in clients:
        client.close()


def test_one_identifier_on_two_workers_is_two_clients(cluster):
    clients = [Client(worker, "same") for worker in cluster.workers]
    eventually(lambda: len(cluster.clients("--client", "same")) == 2, 20, "both listed")
    assert cluster.admin("kick", "same", "--worker", "west") == "closed 1 client at west\n"
    eventually(lambda: clients[1].reasons == [0x98], 10, "the one closed")
    eventually(lambda: [c["worker"] for c in cluster.clients("--client", "same")] == [cluster.workers[0].exchange], 20, "one left")
    for client in clients:
        client.close()


def test_of_several_clients_of_a_name_all_are_kicked_or_those_of_a_protocol(cluster, connect):
    clients = [Client(worker, "phone") for worker in cluster.workers]
    device = connect(cluster.workers[0].exchange)
    device.register("ann", device="phone")
    assert "client.unknown" in run("admin", "kick", "phone", "--protocol", "mqtt 3.1.1", "--master", cluster.master.admin).stderr
    names = {worker.exchange: name for worker, name in zip(cluster.workers, ("east", "west"))}
    assert cluster.admin("kick", "phone", "--protocol", "exchange") == "closed 1 client at east\n"
    device.wait_closed()
    assert [client.reasons for client in clients] == [[], []]
    assert cluster.admin("kick", "phone") == f"closed 2 clients at {', '.join(names[address] for address in sorted(names))}\n"
    for client in clients:
        eventually(lambda client=client: client.reasons == [0x98], 10, "told why")
        client.close()


def test_a_new_master_is_filled_again_and_a_lost_worker_takes_its_clients_along(cluster):
    clients = [Client(worker, f"c{number}") for number, worker in enumerate(cluster.workers)]
    eventually(lambda: len(cluster.states()) == 2, 20, "both listed")
    cluster.master.kill()
    clients[0].close()
    cluster.master = cluster.shunt.master(
        {"master.exchange.listen": cluster.master.master, "master.admin.listen": cluster.master.admin}, folder=cluster.master.folder)
    eventually(lambda: cluster.states() == {"c1": "connected"}, 30, "the one that is there")
    cluster.workers[1].stop()
    eventually(lambda: cluster.states() == {}, 30, "none")
    clients[1].close()
