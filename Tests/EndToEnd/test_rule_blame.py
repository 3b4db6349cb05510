"""For whom the failures of a rule count: one address does not switch a rule off for the others, by whatever is left of its clients."""

import pytest

from exchange import Client as ExchangeClient, eventually
from mqtt import packets
from mqtt.client import Client
from processes import write_rule

OFF = 'shunt_rule_off{rule="guard"}'
COUNT = 30
DELAYS = "return { priority = 1, match = { kind = 'topic', topic = 'in/#' }, on_message = function() return route.delay(1) end }"
HOOKS = {
    "a delayed message": "on_message = function(msg) error('x') end",
    "a session's end": "on_session = function(event) if event == 'expired' then error('x') end end",
    "a will": "on_will = function() error('x') end",
    "a disconnect": "on_disconnect = function() error('x') end",
}


class Behind(ExchangeClient):
    """A client that a proxy names."""

    def __init__(self, address: str, host: str):
        super().__init__(address, reading=False)
        self.socket.sendall(header(host))
        self.start_reading()


def header(host: str) -> bytes:
    return f"PROXY TCP4 {host} 127.0.0.1 40000 1883\r\n".encode()


@pytest.fixture
def worker(shunt, tmp_path):
    def start(source):
        plugins = write_rule(tmp_path / "plugins", "guard", f"return {{ breaker = {{ errors = 10 }}, {source} }}")
        write_rule(plugins, "later", DELAYS)
        behind = {f"worker.listeners.{name}.proxy_protocol.from": "127.0.0.1/32" for name in ("exchange", "mqtt")}
        return shunt.worker({
            "rules.directory": plugins, "rules.enabled": "all", "worker.loops": 1, "worker.listeners.mqtt.protocol": "mqtt",
            "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.exchange.listen": "127.0.0.1:0"} | behind)

    return start


def errors(worker) -> int:
    return sum(value for name, value in worker.metrics().items() if name.startswith('shunt_rule_errors_total{rule="guard"'))


@pytest.mark.parametrize("hosts", [1, COUNT], ids=["one address", "many"])
@pytest.mark.parametrize("what", HOOKS)
def test_what_is_left_of_clients_counts_for_their_address(worker, what, hosts):
    worker = worker(HOOKS[what])
    for number in range(COUNT):
        host = f"10.0.{number % hosts}.1"
        if what == "a delayed message":
            client = Behind(worker.exchange, host)
            client.message("in/a", "x")
            client.close()
            continue
        client = Client(worker.listeners["worker.mqtt"], 5)
        client.send(header(host))
        will = packets.Will("w", b"x", properties={"will_delay": 1}) if what == "a will" else None
        client.connect(f"c{number}", will=will, more={"session_expiry": 1 if what == "a session's end" else 100})
        client.vanish()
    # A rule that is off is not called.
    least = 11 if hosts > 1 else COUNT
    eventually(lambda: errors(worker) >= least, 20, lambda: f"{errors(worker)} errors")
    assert worker.metric(OFF) == (hosts > 1)
