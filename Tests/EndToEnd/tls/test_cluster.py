"""Mutual TLS between masters and workers: who comes together, who is refused and how both say so, new certificates, tokens besides."""

import json
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error

import pytest

from exchange import ALLOCATION, BINDING, PING, Client, decode, encode, eventually, parse_address
from processes import Door, get, run
from tls.certificates import Certificates

TOKEN = "the-token-of-the-cluster-0123456789"
FAST = {"worker.heartbeat.every": "300ms"}


@pytest.fixture
def cluster_ca(tmp_path):
    return authority(tmp_path / "cluster")


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return {"cluster.token_file": file}


def authority(folder) -> Certificates:
    """An authority of a cluster, with certificates of a master and two workers."""
    made = Certificates(folder, "Cluster-CA")
    for member in ("m", "w1", "w2"):
        made.make("--member", member)
    return made


def tls(own: Certificates, name: str, ca=None) -> dict:
    return {"cluster.tls.certificate": own[f"{name}.pem"], "cluster.tls.key": own[f"{name}.key"], "cluster.tls.ca": ca or own["ca.pem"]}


def worker_of(shunt, master, sets=None, **more):
    return shunt.worker(FAST | {"worker.masters": f"[{master.master}]"} | (sets or {}), **more)


def ready(worker) -> str:
    try:
        return get(f"http://{worker.listeners['worker.http']}/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()


def joins(worker, master):
    eventually(lambda: worker.exchange in master.workers(), 20, "the worker")


def events(master) -> list[str]:
    return [event["detail"] for event in json.loads(get(f"http://{master.admin}/api/v1/events?kind=link.refused"))["events"]]


def refused(master, reason="certificate") -> int:
    found = re.search(rf'^shunt_master_link_refused_total{{reason="{reason}"}} (\d+)$', get(f"http://{master.admin}/metrics"), re.MULTILINE)
    return int(found[1])


def make_expired(own: Certificates, name: str):
    """A certificate of the cluster's authority that was good until an hour ago."""
    (own.folder / "index").write_text("")
    (own.folder / "serial").write_text("77\n")
    (own.folder / "expired.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={own['index']}\nserial={own['serial']}\nnew_certs_dir={own.folder}\ndefault_md=sha256\n"
        "policy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nextendedKeyUsage=serverAuth,clientAuth\n")
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
         "-keyout", own[f"{name}.key"], "-out", own[f"{name}.csr"]], check=True, capture_output=True)
    stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() - ago)) for ago in (7200, 3600)]
    subprocess.run(
        ["openssl", "ca", "-batch", "-config", own["expired.cnf"], "-keyfile", own["ca.key"], "-cert", own["ca.pem"], "-in",
         own[f"{name}.csr"], "-out", own[f"{name}.pem"], "-notext", "-startdate", stamp[0], "-enddate", stamp[1]], check=True, capture_output=True)


def test_members_of_one_authority_come_together(shunt, cluster_ca, connect):
    master = shunt.master(tls(cluster_ca, "m"))
    workers = [worker_of(shunt, master, tls(cluster_ca, name)) for name in ("w1", "w2")]
    for worker in workers:
        joins(worker, master)
        assert ready(worker) == "ready\n"
    # Chats are found by the link.
    owner = connect(workers[0].exchange)
    assert owner.create("room").status == 200
    eventually(lambda: connect(workers[1].exchange).create("room").status == 307, 10, "the other worker's redirection")
    assert connect(workers[1].exchange).create("room").text == workers[0].exchange
    # Clients ask by plain bytes who is there.
    with Client(master.master) as client:
        assert client.request(ALLOCATION).status == 200
        assert client.request(PING).status == 400
    assert refused(master) == 0 and events(master) == []
    name = "shunt_cluster_certificate_expiry_seconds"
    for metrics in (get(f"http://{master.admin}/metrics"), get(f"http://{workers[0].listeners['worker.http']}/metrics")):
        seconds = int(re.search(rf'^{name}{{certificate=".*/(?:m|w1)\.pem"}} (\d+)$', metrics, re.MULTILINE)[1])
        assert 824 * 86_400 < seconds <= 825 * 86_400
    assert "topic.no_subscriber" in run("pub", "t", "x", "--master", master.master).stderr


def test_dev_shows_its_certificate_to_itself(shunt, cluster_ca):
    dev = shunt.dev(tls(cluster_ca, "m"))
    joins(dev, dev)


def test_a_worker_of_another_authority_is_refused_and_both_say_so_once(shunt, cluster_ca, tmp_path):
    other = authority(tmp_path / "other")
    master = shunt.master(tls(cluster_ca, "m"))
    worker = worker_of(shunt, master, tls(other, "w1", ca=cluster_ca["ca.pem"]))
    worker.wait_log("a master is not trusted")
    worker.wait_log("unknown ca")
    assert "(cluster.tls)" in ready(worker) and "was left" in ready(worker)
    master.wait_log("the client's certificate is not taken: unable to get local issuer certificate")
    eventually(lambda: refused(master) >= 3, 20, "more attempts")
    assert any("the client's certificate is not taken" in event for event in events(master))
    assert worker.stderr.count("a master is not trusted") == 1
    assert master.workers() == {}


def test_a_worker_leaves_a_master_of_another_authority(shunt, cluster_ca, tmp_path):
    other = authority(tmp_path / "other")
    master = shunt.master(tls(other, "m", ca=cluster_ca["ca.pem"]))
    worker = worker_of(shunt, master, tls(cluster_ca, "w1"))
    worker.wait_log("the server's certificate is not taken: unable to get local issuer certificate")
    master.wait_log("the client refused")
    assert master.workers() == {}


def test_certificates_for_clients_alone_make_no_master(shunt, cluster_ca):
    cluster_ca.client("ann")
    master = shunt.master(tls(cluster_ca, "ann"))
    worker = worker_of(shunt, master, tls(cluster_ca, "w1"))
    worker.wait_log("the server's certificate is not taken: unsuitable certificate purpose")
    assert master.workers() == {}


@pytest.mark.parametrize("whose", ["master", "worker"])
def test_an_expired_certificate(shunt, cluster_ca, whose):
    make_expired(cluster_ca, "old")
    names = {"master": "m", "worker": "w1"} | {whose: "old"}
    master = shunt.master(tls(cluster_ca, names["master"]))
    worker = worker_of(shunt, master, tls(cluster_ca, names["worker"]))
    (master if whose == "master" else worker).wait_log("has a certificate that has expired")
    worker.wait_log("certificate has expired" if whose == "master" else "certificate expired")
    master.wait_log("was refused")
    eventually(lambda: refused(master) >= 1, 20, "the figure")
    assert master.workers() == {}


def test_a_plain_worker_at_a_master_with_tls(shunt, cluster_ca):
    master = shunt.master(tls(cluster_ca, "m"))
    worker = worker_of(shunt, master)
    worker.wait_log("show a certificate of the cluster by TLS")
    assert "show a certificate" in ready(worker)
    master.wait_log("ping without a certificate of the cluster")
    eventually(lambda: refused(master) >= 1, 20, "the figure")
    assert master.workers() == {}


def test_a_worker_with_tls_at_a_plain_master(shunt, cluster_ca):
    master = shunt.master()
    worker = worker_of(shunt, master, tls(cluster_ca, "w1"))
    worker.wait_log("it speaks no TLS there")
    master.wait_log("protocol.tls")
    assert master.workers() == {}


def test_who_shows_no_certificate_may_ask_for_workers_and_no_more(shunt, cluster_ca):
    master = shunt.master(tls(cluster_ca, "m"))
    context = ssl.create_default_context(cafile=cluster_ca["ca.pem"])
    with cluster_ca.connect(master.master, name="m", context=context) as stranger:

        def ask(*request):
            # One thread: OpenSSL's connection is for one at a time.
            stranger.sendall(encode(*request))
            buffer = b""
            while not (found := decode(buffer)):
                buffer += stranger.recv(4096)
            return found[0]

        assert ask(ALLOCATION, 1).text == "not found server"
        answer = ask(BINDING, 2, b"00" * 32, "link", "HELLO")
        assert answer.status == 401 and "certificate" in answer.text


def test_a_worker_goes_to_the_master_that_takes_it_and_comes_back_to_an_earlier_one(shunt, cluster_ca, tmp_path):
    other = authority(tmp_path / "other")
    first, second = shunt.closing(Door()), shunt.master(tls(cluster_ca, "m"))
    stranger = shunt.master(tls(other, "m"))
    first.target = stranger.master
    worker = shunt.worker(FAST | tls(cluster_ca, "w1") | {"worker.masters": f"[{first.address}, {second.master}]"})
    joins(worker, second)
    # It looks at the stranger meanwhile, which is not one to go back to.
    looks = refused(stranger)
    eventually(lambda: refused(stranger) >= looks + 2, 20, "looks at the first master")
    assert stranger.workers() == {} and worker.stderr.count("lost the master") == 0
    own = shunt.master(tls(cluster_ca, "w2"))
    first.target = own.master
    joins(worker, own)


def test_silent_connections_make_room_for_a_worker(shunt, cluster_ca):
    master = shunt.master(tls(cluster_ca, "m") | {"limits.connections": 10})
    silent = [socket.create_connection(parse_address(master.master)) for _ in range(12)]
    silent[-1].send(b"\x16")
    worker = worker_of(shunt, master, tls(cluster_ca, "w1"))
    joins(worker, master)
    assert sum(is_closed(one, 0.1) for one in silent) >= 3
    for one in silent:
        one.close()


def is_closed(one: socket.socket, patience: float) -> bool:
    one.settimeout(patience)
    try:
        return one.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_token_and_tls_are_both_needed(shunt, cluster_ca, token):
    master = shunt.master(tls(cluster_ca, "m") | token)
    both = worker_of(shunt, master, tls(cluster_ca, "w1") | token)
    joins(both, master)
    certificate = worker_of(shunt, master, tls(cluster_ca, "w2"))
    certificate.wait_log("prove the cluster's token")
    plain = worker_of(shunt, master, token)
    plain.wait_log("show a certificate of the cluster by TLS")
    eventually(lambda: refused(master) >= 1 and refused(master, "token") >= 1, 20, "the figures")
    assert list(master.workers()) == [both.exchange]
    for process in (master, both, certificate, plain):
        assert TOKEN not in process.stderr


def test_message_channels_workers_speak_plain_from_their_addresses(shunt, cluster_ca):
    master = shunt.master(tls(cluster_ca, "m") | {"cluster.allow_java": "true", "cluster.java_from": "[127.0.0.0/8]"})
    # A worker without TLS stands for one that can't have any.
    joins(worker_of(shunt, master), master)


def test_new_certificates_by_sighup_for_new_connections(shunt, tmp_path):
    old, new = authority(tmp_path / "old"), authority(tmp_path / "new")
    folders = {name: tmp_path / name for name in ("master", "worker")}

    def use(who: str, own: Certificates, name: str, ca: str):
        folders[who].mkdir(exist_ok=True)
        for kind in ("key", "pem"):
            (folders[who] / f"own.{kind}").write_text((own.folder / f"{name}.{kind}").read_text())
        (folders[who] / "ca.pem").write_text(ca)

    cas = {own: (own.folder / "ca.pem").read_text() for own in (old, new)}
    use("master", old, "m", cas[old])
    use("worker", old, "w1", cas[old])

    def sets(who):
        return {"cluster.tls.certificate": folders[who] / "own.pem", "cluster.tls.key": folders[who] / "own.key",
                "cluster.tls.ca": folders[who] / "ca.pem"}

    master = shunt.master(sets("master"))
    door = shunt.closing(Door())
    door.target = master.master
    worker = shunt.worker(FAST | {"worker.masters": door.address} | sets("worker"))
    joins(worker, master)
    # Broken files are told, and the old ones stay.
    (folders["master"] / "own.pem").write_text("broken")
    master.signal(signal.SIGHUP)
    master.wait_log("the cluster's certificates stay as they were")
    # The master moves on to the new authority. The link that is open stays; a worker of the old one does not come in any more.
    use("master", new, "m", cas[new])
    master.signal(signal.SIGHUP)
    master.wait_log("read the cluster's certificates again")
    beats = master.workers()[worker.exchange]["heartbeat_at"]
    eventually(lambda: master.workers()[worker.exchange]["heartbeat_at"] > beats, 10, "another heartbeat")
    late = worker_of(shunt, master, tls(old, "w2"))
    late.wait_log("a master is not trusted")
    # Once its connection ends, the first worker needs new files, too.
    door.cut()
    worker.wait_log("a master is not trusted")
    use("worker", new, "w1", cas[new])
    worker.signal(signal.SIGHUP)
    worker.wait_log("read the cluster's certificates again")
    worker.wait_metric("shunt_master_connected", 1)
    assert ready(worker) == "ready\n"


@pytest.mark.parametrize("lacks", ["certificate", "ca"])
def test_half_a_configuration_keeps_it_from_starting(tmp_path, cluster_ca, lacks):
    sets = {key: value for key, value in tls(cluster_ca, "m").items() if key != f"cluster.tls.{lacks}"}
    for kind in ("master", "worker", "dev"):
        done = run(kind, "--check", *sum((["--set", f"{key}={value}"] for key, value in sets.items()), []), cwd=tmp_path)
        assert done.returncode == 78 and "config.missing" in done.stderr and f"cluster.tls has no {lacks}" in done.stderr, done
