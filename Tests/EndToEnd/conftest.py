"""Fixtures: processes that end with the test, and what they logged where it failed."""

import resource

import pytest

from client_commands import Command
from exchange import Client
from mosquitto import Mosquitto
from mqtt.client import Client as MQTTClient
from mqtt.packets import V5
from processes import BINARY, Processes, run, write_rule


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: build it with 'make build', or name it with SHUNT_BINARY", returncode=2)
    # A thousand clients in one test.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 16_384:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(16_384, hard) if hard != resource.RLIM_INFINITY else 16_384, hard))


@pytest.fixture
def shunt(tmp_path):
    """Starts `shunt` processes; at the end each must end by SIGTERM with exit code 0."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.end()


@pytest.fixture(scope="module")
def shared_shunt(tmp_path_factory):
    """As `shunt`, for the tests of a file that share a process."""
    processes = Processes(tmp_path_factory.mktemp("shared"))
    try:
        yield processes
    finally:
        processes.end()


@pytest.fixture
def connect(shunt):
    """Opens connections that are closed at the end."""

    def open(address: str, **more) -> Client:
        return shunt.closing(Client(address, **more))

    return open


@pytest.fixture
def hooked(shunt, tmp_path):
    """A worker of two loops with rules, its settings, and a function that opens clients of MQTT."""

    def start(source, **sets):
        plugins = write_rule(tmp_path / "plugins", "hooks", source)
        worker = shunt.worker({
            "rules.directory": plugins, "rules.enabled": "all", "worker.loops": 2, "worker.listeners.mqtt.protocol": "mqtt",
            "worker.listeners.mqtt.listen": "127.0.0.1:0"} | sets)

        def mqtt(id, version=V5, **more):
            client = shunt.closing(MQTTClient(worker.listeners["worker.mqtt"], version))
            client.connect(id, **more)
            return client

        return worker, mqtt

    return start


@pytest.fixture
def command(shunt, tmp_path):
    """Starts client commands with pipes to type into and to read from."""
    return lambda *arguments, **more: shunt.closing(Command(tmp_path, *arguments, **more))


@pytest.fixture
def broker(shunt, tmp_path):
    """Debian's mosquitto."""
    return shunt.closing(Mosquitto(tmp_path / "mosquitto"))


@pytest.fixture
def pub(broker):
    """Runs `shunt pub` at the broker, which must succeed; returns what it says."""

    def publish(*arguments, **more):
        done = run("pub", *arguments, "--mqtt", broker.address, **more)
        assert done.returncode == 0, done
        return done.stderr

    return publish


@pytest.fixture
def sub(broker, command):
    """Starts `shunt sub` at the broker, and returns when it is subscribed."""

    def subscribe(*arguments, at=None, json=True):
        output = ["--output", "json"] if json else []
        process = command("sub", *arguments, "--mqtt", at or broker.address, *output)
        process.wait_for("subscribed to ")
        return process

    return subscribe


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        fixtures = getattr(item, "funcargs", {})
        for processes in filter(None, map(fixtures.get, ("shunt", "shared_shunt"))):
            for process in processes.all:
                report.sections.append((f"shunt {process.kind}, process {process.pid}", process.stderr[-8000:]))
    return report
