"""A worker with listeners for TLS, of either protocol."""

import pytest

from tls.certificates import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    certificates.server()
    for name in ("ann", "bob"):
        certificates.client(name)
    return certificates


def listeners(own, /, **more) -> dict:
    """Settings of two listeners with certificates of their own; `more` are settings of TLS, with their values."""
    sets = {"worker.loops": 4, "log.level": "debug"}
    for name, protocol in (("mqtts", "mqtt"), ("exchanges", "exchange")):
        listener = f"worker.listeners.{name}"
        sets |= {f"{listener}.protocol": protocol, f"{listener}.listen": "127.0.0.1:0",
                 f"{listener}.tls.certificate": own["server.pem"]}
        sets |= {f"{listener}.tls.{key}": value for key, value in more.items()}
    return sets


@pytest.fixture(scope="module")
def worker(shared_shunt, certificates):
    return shared_shunt.worker(listeners(certificates))
