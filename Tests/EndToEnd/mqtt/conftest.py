"""Fixtures of the conversations: a broker for each file, clients that are closed at the end, names that no other test uses."""

import fnmatch
import itertools

import pytest

from mqtt import brokers
from mqtt.client import Client
from mqtt.known import DIFFERENCES
from mqtt.packets import V5

NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items):
    """What mosquitto is known to do otherwise fails there, and has to."""
    if brokers.CHOSEN != "mosquitto":
        return
    for item in items:
        name = f"{item.path.name}::{item.name}"
        for pattern, reason in DIFFERENCES.items():
            if fnmatch.fnmatchcase(name.replace("[", "<"), pattern.replace("[", "<")):
                item.add_marker(pytest.mark.xfail(reason=reason))


@pytest.fixture(scope="module")
def broker(request, tmp_path_factory):
    if brokers.CHOSEN == "mosquitto":
        mosquitto = brokers.Mosquitto(tmp_path_factory.mktemp("mosquitto"))
        yield brokers.Broker(mosquitto.address, False, mosquitto.process)
        mosquitto.stop()
    elif brokers.CHOSEN:
        yield brokers.Broker(brokers.CHOSEN, False)
    else:
        yield brokers.shunt(request.getfixturevalue("shared_shunt"))


@pytest.fixture
def name():
    """A name for topics and client identifiers that no other test uses."""
    return f"t{next(NUMBERS)}"


@pytest.fixture
def version():
    """Of tests that do not say which versions they run in."""
    return V5


@pytest.fixture
def raw(broker, version):
    """Opens connections that have sent nothing yet."""
    opened = []

    def open(speaks=None) -> Client:
        opened.append(Client(broker.address, speaks or version, broker.patience))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


@pytest.fixture
def client(raw, name):
    """Opens connected clients: `client("a")` has an identifier of this test, whatever else CONNECT may have is named."""

    def open(id=None, speaks=None, **more) -> Client:
        made = raw(speaks)
        made.connect(f"{name}{id}" if id else f"{name}-{next(NUMBERS)}", **more)
        return made

    return open


@pytest.fixture
def witness(client, name):
    """Another client of the broker, that must notice nothing: its own messages arrive, and nothing else does."""
    made = client("witness", speaks=V5)
    made.subscribe(f"{name}/witness", qos=1)
    yield made
    for number in range(2):
        assert made.publish(f"{name}/witness", f"{number}", qos=1) == 0
        assert made.message().payload == b"%d" % number
    made.ping()
    assert not made.kept, [str(each) for each in made.kept]
