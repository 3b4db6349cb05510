"""The admin API over TLS, and `shunt admin` that asks it."""

import http.client
import json

import pytest

from exchange import eventually
from processes import run
from tls.certificates import Certificates


@pytest.fixture
def own(tmp_path):
    own = Certificates(tmp_path / "own")
    own.server()
    return own


@pytest.fixture
def master(shunt, own):
    return shunt.master({"master.admin.tls.certificate": own["server.pem"]})


def test_shunt_admin_asks_by_https(master, own, tmp_path):
    port = master.admin.rsplit(":", 1)[1]
    to = ["admin", "workers", "--master", f"https://localhost:{port}"]
    known = run(*to, "--cafile", own["ca.pem"], "--output", "json")
    assert known.returncode == 0 and json.loads(known.stdout)["total"] == 0, known
    variables = {"SHUNT_ADMIN": f"https://localhost:{port}", "SHUNT_CAFILE": own["ca.pem"]}
    assert run("admin", "events", env=variables).returncode == 0
    unknown = run(*to)
    assert unknown.returncode == 69 and "signed by nobody that this client trusts" in unknown.stderr, unknown
    plain = run("admin", "workers", "--master", f"localhost:{port}")
    assert plain.returncode == 69 and "https://" in plain.stderr, plain
    misused = run("admin", "workers", "--master", f"localhost:{port}", "--cafile", own["ca.pem"])
    assert misused.returncode == 64 and "https://" in misused.stderr, misused


def test_a_plain_admin_port_is_told(shunt):
    done = run("admin", "workers", "--master", f"https://{shunt.master({}).admin}")
    assert done.returncode == 69 and "does not speak TLS" in done.stderr, done


def test_other_clients_get_answers_of_any_size_and_a_kept_connection(master, own):
    host, port = "localhost", int(master.admin.rsplit(":", 1)[1])
    connection = http.client.HTTPSConnection(host, port, context=own.context(), timeout=20)
    for target in ["/healthz", "/metrics", "/api/v1/workers", "/nowhere"] * 3:
        connection.request("GET", target)
        answer = connection.getresponse()
        assert answer.status == (404 if target == "/nowhere" else 200)
        assert len(answer.read()) > 0
    connection.close()


def test_sighup_reads_the_certificate_again(master, own):
    def serial() -> str:
        with own.connect(master.admin) as client:
            return client.getpeercert()["serialNumber"]

    old = serial()
    own.server()
    master.process.send_signal(1)
    eventually(lambda: serial() != old, 20)
    # A wrong file changes nothing.
    new = serial()
    (own.folder / "server.pem").write_text("nothing")
    master.process.send_signal(1)
    master.wait_log("the admin API's certificate stays as it was")
    assert serial() == new


def test_wrong_files_keep_a_master_from_starting(own, tmp_path):
    for sets, words in [
        (["master.admin.tls.certificate=/nowhere"], ["tls.invalid", "/nowhere"]),
        ([f"master.admin.tls.key={own['server.key']}"], ["config.missing", "no certificate"]),
    ]:
        sets += [f"master.registry.path={tmp_path}/registry.sqlite", "master.admin.listen=127.0.0.1:0", "master.exchange.listen=127.0.0.1:0"]
        done = run("master", *[word for each in sets for word in ("--set", each)])
        assert done.returncode == 78 and all(word in done.stderr for word in words), done
