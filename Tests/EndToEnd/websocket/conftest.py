"""A worker with listeners of WebSocket, and clients that are closed at the end."""

import pytest

from websocket.client import RawClient


@pytest.fixture(scope="module")
def worker(shared_shunt):
    """`mqtt` over TCP, `ws` over WebSocket; `pages` for any page; `deep` at another path; `exchange.ws`; `behind` proxies."""
    sets = {"worker.loops": 2, "log.level": "debug", "limits.frame": "64KiB", "limits.frame_time": "2s"}
    for name in ("mqtt", "ws", "pages", "deep", "behind", "frames"):
        sets[f"worker.listeners.{name}.listen"] = "127.0.0.1:0"
        sets[f"worker.listeners.{name}.protocol"] = "exchange" if name == "frames" else "mqtt"
        sets[f"worker.listeners.{name}.transport"] = "tcp" if name == "mqtt" else "websocket"
    sets |= {
        "worker.listeners.pages.origins": "*", "worker.listeners.deep.path": "/a/b", "worker.listeners.deep.origins": "https://example.org",
        "worker.listeners.behind.proxy_protocol.from": "127.0.0.1/32"}
    return shared_shunt.worker(sets)


@pytest.fixture
def at(worker):
    """The address of a listener."""
    return lambda name: worker.listeners[f"worker.{name}"]


@pytest.fixture
def open(at):
    """Opens connections to a listener; `ws` where none is named."""
    clients = []

    def open(name="ws", **more) -> RawClient:
        clients.append(RawClient(at(name), **more))
        return clients[-1]

    yield open
    for client in clients:
        client.close()
