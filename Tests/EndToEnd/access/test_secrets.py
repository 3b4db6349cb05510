"""Passwords, tokens, their hashes and private keys are in no log, figure, registry, answer, argument of a process, or core dump."""

import base64
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from access.test_access import connect, hashed, token
from exchange import JSON, REGISTER, Client as ExchangeClient, eventually
from processes import BINARY, get, run
from tls.certificates import Certificates


class Secrets:
    """Random texts by name, and every form in which one might be written."""

    def __init__(self):
        self.all: dict[str, str] = {}

    def new(self, name: str) -> str:
        return self.add(name, secrets.token_hex(20))

    def add(self, name: str, text: str) -> str:
        self.all[name] = text
        return text

    def found(self, content: bytes) -> list[str]:
        return [name for name, text in self.all.items() if any(form in content for form in self.forms(text.encode()))]

    @staticmethod
    def forms(secret: bytes) -> set[bytes]:
        forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), quote(secret).encode(), secret.decode().encode("utf-16-le")}
        # A line of JSON writes a slash with a backslash before it, in some hands.
        forms |= {secret.replace(b"/", b"\\/")}
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + secret)
            forms.add(encoded[4 if shift else 0 : -4])
        return forms


def ask(url: str, credentials: str | None = None, method="GET") -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method)
    if credentials:
        request.add_header("Authorization", f"Bearer {credentials}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Cluster:
    """A master and a worker that use each kind of secret, and log all they can."""

    def __init__(self, shunt, folder: Path):
        self.secrets, self.folder = Secrets(), folder
        new = self.secrets.new
        self.password, self.reader, self.operator = new("password"), new("reader's token"), new("operator's token")
        self.key = new("key of tokens")[:32].encode()
        self.secrets.add("key of tokens", self.key.decode())
        certificates = self.certificates = Certificates(folder / "certificates")
        certificates.server()
        certificates.client("ann")
        for name in ("server", "ann", "ca"):
            self.secrets.add(f"private key of {name}", Path(certificates[f"{name}.key"]).read_text().splitlines()[1])
        self.secrets.add("hash of the password", hashed(self.password).rsplit("$", 1)[1])
        encoded = base64.urlsafe_b64encode(self.key).rstrip(b"=").decode()
        self.write("keys.json", json.dumps({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": encoded}]}))
        self.write("passwords", f"ada:{hashed(self.password)}\n")
        self.write("password", self.password + "\n")
        self.write("operator", self.operator + "\n")
        self.write("tokens", f"read:dash:{self.reader}\noperate:ops:{self.operator}\n")
        self.write("cluster", new("token of the cluster") + "\n")
        common = {"log.level": "trace", "cluster.token_file": folder / "cluster"}
        self.master = shunt.master(common | {"master.admin.tokens_file": folder / "tokens"})
        listeners = {}
        for name, protocol in (("mqtt", "mqtt"), ("mqtts", "mqtt"), ("exchange", "exchange")):
            listeners |= {f"worker.listeners.{name}.protocol": protocol, f"worker.listeners.{name}.listen": "127.0.0.1:0"}
        tls = {"certificate": "server.pem", "client_ca": "ca.pem", "verify": "optional"}
        tls = {key: value if key == "verify" else certificates[value] for key, value in tls.items()}
        self.worker = shunt.worker(
            common | listeners | {f"worker.listeners.mqtts.tls.{key}": value for key, value in tls.items()}
            | {"worker.masters": f"[{self.master.master}]", "access.password_file": folder / "passwords", "access.jwt.keys": folder / "keys.json"})
        eventually(lambda: self.worker.exchange.encode() in self.ask("/api/v1/workers", self.reader)[1], 20, "the worker")

    def write(self, name: str, text: str):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600)

    def ask(self, path: str, credentials=None, method="GET") -> tuple[int, bytes]:
        return ask(f"http://{self.master.admin}{path}", credentials, method)

    @property
    def processes(self):
        return (self.master, self.worker)


@pytest.fixture
def cluster(shunt, tmp_path):
    return Cluster(shunt, tmp_path)


def log_in(cluster, shunt):
    """Each way of showing a secret, rightly and wrongly; a wrong one is a secret too: it may be a typing error in a right one."""
    worker, new = cluster.worker, cluster.secrets.new
    right = token({"sub": "bob", "exp": time.time() + 3600}, cluster.key)
    expired, foreign = token({"sub": "bob", "exp": time.time() - 3600}, cluster.key), token({"sub": "bob"}, b"x" * 32)
    for name, text in (("token", right), ("expired token", expired), ("foreign token", foreign)):
        cluster.secrets.add(name, text.rsplit(".", 1)[1])
    for version in (4, 5):
        connect(worker, version, "ada", cluster.password)
        connect(worker, version, "bob", right)
        for wrong in (new(f"guess of {version}"), expired, foreign, "eyJ." + new(f"no token of {version}")):
            connect(worker, version, "ada", wrong, refused=True)
    for name, text, status in (("ada", cluster.password, 200), ("ada", new("guess by REGISTER"), 401)):
        client = shunt.closing(ExchangeClient(worker.exchange))
        body = {"uid": name, "device": "phone", "tags": [], "alias": [], "token": f"{name}:{text}"}
        assert client.request(REGISTER, json.dumps(body).encode(), format=JSON).status == status
    # A frame that is no REGISTER, and one that cannot be read, with secrets in them.
    client = shunt.closing(ExchangeClient(worker.exchange))
    client.request(REGISTER, b'{"token": "ada:' + new("broken REGISTER").encode(), format=JSON)
    cluster.certificates.connect(worker.listeners["worker.mqtts"], "ann").close()
    # The admin API: right, wrong, and in places where people put tokens by mistake.
    assert cluster.ask("/api/v1/workers", cluster.reader)[0] == 200
    assert cluster.ask("/api/v1/chats/c", cluster.operator, "DELETE")[0] == 404
    assert cluster.ask("/api/v1/chats/c", cluster.reader, "DELETE")[0] == 403
    assert cluster.ask("/api/v1/workers", new("wrong token"))[0] == 401
    assert cluster.ask("/api/v1/retained?filter=%23", cluster.operator, "DELETE")[0] == 200
    # A stranger with another token of a cluster.
    cluster.write("stranger", new("stranger's token") + "\n")
    stranger = shunt.worker({"log.level": "trace", "worker.masters": f"[{cluster.master.master}]", "cluster.token_file": cluster.folder / "stranger"})
    eventually(lambda: b"link.refused" in cluster.ask("/api/v1/events", cluster.reader)[1], 20, "the refusal")
    return stranger


def command_lines() -> bytes:
    """Of all processes, as `ps` shows them."""
    return subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout


def test_no_secret_is_told_anywhere(cluster, shunt):
    stranger = log_in(cluster, shunt)
    told = {"command lines": command_lines()}
    for name, process in (("master", cluster.master), ("worker", cluster.worker), ("stranger", stranger)):
        told[f"log of {name}"] = process.stderr.encode()
        told[f"files of {name}"] = b"".join(path.read_bytes() for path in sorted(process.folder.rglob("*")) if path.is_file())
    for process in (cluster.worker, stranger):
        told[f"figures of {process.exchange}"] = get(f"http://{process.listeners['worker.http']}/metrics").encode()
    for path in ("/metrics", "/api/v1/status", "/api/v1/workers", "/api/v1/events", "/api/v1/devices", "/readyz"):
        told[f"answer to {path}"] = cluster.ask(path, cluster.reader)[1]
    assert b"refused a client" in told["log of worker"] and b"why" in told["log of worker"], "failures are told"
    assert b'"ops"' in told["answer to /api/v1/events"] or b"ops" in told["answer to /api/v1/events"], "commands are told"
    assert told["files of master"].count(b"SQLite format 3") >= 1, "the registry was searched"
    guilty = {where: found for where, content in told.items() if (found := cluster.secrets.found(content))}
    assert not guilty
    # The search finds what it looks for.
    for name, text in cluster.secrets.all.items():
        assert name in cluster.secrets.found(b"..." + base64.b64encode(b"x" + text.encode() + b"yz") + b"...")
        assert name in cluster.secrets.found(f'{{"why":"{text}"}}'.encode())


def test_our_commands_show_no_secret_to_other_users(cluster, tmp_path):
    """Secrets come from files: a client that runs has none in its arguments, and a command that fails prints none."""
    worker, secrets = cluster.worker, cluster.secrets
    cluster.write("guess", secrets.new("guess of a command") + "\n")
    to = ["--mqtt", worker.listeners["worker.mqtt"], "--user", "ada"]
    with open(tmp_path / "sub.log", "wb") as log:
        consumer = subprocess.Popen([BINARY, "sub", "a/#", *to, "--password-file", tmp_path / "password"], stdout=log, stderr=log)
    try:
        eventually(lambda: b"subscribed" in (tmp_path / "sub.log").read_bytes(), 20, "the subscription")
        assert b"--password-file" in command_lines() and not secrets.found(command_lines())
    finally:
        consumer.send_signal(signal.SIGINT)
        consumer.wait(20)
    results = [run("pub", "a/1", "x", *to, "--password-file", tmp_path / "guess"),
               run("pub", "a/1", "x", *to, "--password-file", tmp_path / "password"),
               run("admin", "workers", "--master", cluster.master.admin, "--token-file", tmp_path / "guess"),
               run("admin", "workers", "--master", cluster.master.admin, "--token-file", tmp_path / "operator")]
    assert [result.returncode for result in results] == [77, 0, 77, 0], [result.stderr for result in results]
    printed = "".join(result.stdout + result.stderr for result in results).encode() + (tmp_path / "sub.log").read_bytes()
    assert not secrets.found(printed)


def test_wrong_files_of_secrets_are_told_without_what_is_in_them(tmp_path):
    secrets, certificates = Secrets(), Certificates(tmp_path / "certificates")
    certificates.server()
    certificates.client("ann")
    for name in ("server", "ann"):
        secrets.add(f"private key of {name}", Path(certificates[f"{name}.key"]).read_text().splitlines()[1])
    wrong = {"short": secrets.new("short token")[:12], "passwords": f"ada {secrets.new('password')}\n",
             "tokens": f"own:{secrets.new('admin token')}\n",
             "keys": '{"keys":[{"kty":"oct","k":"' + secrets.new("key") + '"'}
    for name, text in wrong.items():
        (tmp_path / name).write_text(text)
    secrets.add("short token", wrong["short"])
    tls = f"{{certificate: {certificates['server.pem']}, key: {certificates['ann.key']}}}"
    own = f"worker.listeners.mqtts={{protocol: mqtt, listen: '127.0.0.1:0', allow_anonymous: true, tls: {tls}}}"
    for sets in (["cluster.token_file=short"], ["access.password_file=passwords"], ["master.admin.tokens_file=tokens"], ["access.jwt.keys=keys"],
                 ["worker.listeners.exchange.listen=127.0.0.1:0", own]):
        result = run("dev", "--check", *(word for each in sets for word in ("--set", each)), cwd=tmp_path)
        assert result.returncode == 78 and not secrets.found((result.stdout + result.stderr).encode()), result.stderr


@pytest.mark.parametrize("which", [0, 1])
def test_a_process_that_crashes_leaves_no_core(cluster, which):
    """Secrets that it needs are in its memory; no dump is written, whatever the system does with dumps."""
    process = cluster.processes[which]
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")] == [["0", "0"]], limits
    process.was_killed = True
    process.signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (ended.si_status, ended.si_code) == (signal.SIGABRT, os.CLD_KILLED), "not CLD_DUMPED"
    process.process.wait()
    assert not list(process.folder.rglob("core*"))
