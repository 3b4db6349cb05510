import pytest

from lookups.backend import Backend
from processes import write_rule


@pytest.fixture
def asking(shunt, tmp_path):
    """A worker with the rule `asks`, which may ask a backend: `answer` says what that answers; $URL and $HOST in the rule are its own."""

    def start(rule, answer, lookups=None, **more):
        backend = shunt.closing(Backend(answer))
        folder = write_rule(tmp_path / "rules", "asks", rule.replace("$URL", backend.url).replace("$HOST", backend.host))
        sets = {f"rules.lookups.asks.{name}": value for name, value in ({"hosts": backend.host} | (lookups or {})).items()}
        worker = shunt.worker({"rules.directory": str(folder), "rules.enabled": "all", "worker.listeners.mqtt.listen": "127.0.0.1:0",
                               "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.exchange.listen": "127.0.0.1:0"} | sets | more)
        worker.backend, worker.rules = backend, folder
        return worker

    return start
