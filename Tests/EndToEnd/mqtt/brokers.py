"""The broker that the conversations are held with: Shunt's worker, Debian's mosquitto, or what listens at an address."""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass

from exchange import eventually, parse_address
from mqtt.client import PATIENCE, Client
from mqtt.packets import V5

# Nothing, `mosquitto`, or `host:port`.
CHOSEN = os.environ.get("MQTT_BROKER", "")
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@dataclass
class Broker:
    """An address, and whether all is expected there that Shunt promises beyond the specifications."""

    address: str
    is_shunt: bool
    process: object = None

    @property
    def patience(self) -> float:
        """How long a test waits for what has to come: a known difference should not take long."""
        return PATIENCE if self.is_shunt else 1.5

    def check_end(self, client: Client, *reasons: int):
        """The broker closes, in 5.0 with one of the reasons; in 3.1.1, and where the broker is another, without a word or with any.

        A 3.1.1 client is told nothing after its CONNACK. No reason at all stands for a close without one in 5.0 too.
        """
        reason = client.ended()
        if client.version != V5 or not reasons:
            assert reason is None or client.version == V5 and not self.is_shunt, f"closed with {reason:#x}"
        elif self.is_shunt:
            assert reason in reasons, f"closed with {reason if reason is None else hex(reason)}, not {[hex(each) for each in reasons]}"


def shunt(processes, **sets) -> Broker:
    """A worker with two loops and a port for MQTT."""
    worker = processes.worker({
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.loops": 2} | sets)
    return Broker(worker.listeners["worker.mqtt"], True, worker)


class Mosquitto:
    """Debian's mosquitto in a folder, on a free port."""

    def __init__(self, folder, more: str = "max_inflight_messages 20"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.address.rsplit(':', 1)[1]} 127.0.0.1\nallow_anonymous true\n"
            f"max_queued_messages 100000\nset_tcp_nodelay true\nuser {os.environ.get('USER', 'root')}\n{more}\n")
        with open(folder / "mosquitto.log", "wb") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log)
        eventually(self.listens, 20, "mosquitto's port")

    def listens(self) -> bool:
        assert self.process.poll() is None, f"mosquitto ended with {self.process.returncode}"
        try:
            socket.create_connection(parse_address(self.address), timeout=1).close()
            return True
        except ConnectionRefusedError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
