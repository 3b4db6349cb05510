"""Who is let in, and what clients may do: password files, ACL files and rules, tokens, certificates, both protocols, live."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

import pytest

from exchange import JSON, REGISTER, SUBSCRIBE, Client as ExchangeClient, eventually, subscription
from mqtt import packets
from mqtt.client import Client, Ended
from processes import run, write_rule

OPEN = {"worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.loops": 2}
USERS = {"ada": "secret-1", "bob": "secret-2", "eve": "secret-3"}
ACL = """
topic read public/#

user ada
topic readwrite sensors/#
topic deny sensors/private/#
topic write $chat/room

user bob
topic read sensors/#
topic write alarms/bob

pattern readwrite own/%u/#
"""


@pytest.fixture
def guarded(shunt, tmp_path):
    """A worker that asks for passwords; `more` are other settings."""
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    passwords.write_text("".join(f"{user}:{hashed(password)}\n" for user, password in USERS.items()))
    acl.write_text(ACL)

    def start(**more):
        sets = OPEN | {"access.password_file": passwords, "access.acl_file": acl, "worker.listeners.exchange.allow_anonymous": "false",
                       "worker.listeners.exchange.listen": "127.0.0.1:0"} | more
        worker = shunt.worker(sets)
        worker.acl, worker.passwords = acl, passwords
        return worker

    return start


def hashed(password: str) -> str:
    """As mosquitto 2 writes it, of few iterations."""
    salt = b"123456789012"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def connect(worker, version, user=None, password=None, name="", refused=False) -> Client:
    client = Client(worker.listeners["worker.mqtt"], version)
    client.connect(name, user=user, password=password and password.encode(), refused=refused)
    return client


@pytest.mark.parametrize("version", [4, 5])
def test_a_user_comes_in_with_the_right_password_alone(guarded, version):
    worker = guarded()
    ada = connect(worker, version, "ada", USERS["ada"])
    assert ada.subscribe("sensors/1") == [0]
    for user, password in [("ada", "wrong"), ("nobody", "secret-1"), (None, None)]:
        refused = connect(worker, version, user, password, refused=True)
        assert refused.connack.reason == (0x86 if version == 5 else 4)
        assert refused.ended() is None
    worker.wait_metric('shunt_access_refused_total{reason="password"}', 2)
    worker.wait_metric('shunt_access_refused_total{reason="anonymous"}', 1)
    assert USERS["ada"] not in worker.stderr


def test_what_follows_connect_waits_for_the_answer(guarded):
    """CONNECT, SUBSCRIBE and PUBLISH in one segment."""
    worker = guarded()
    client = Client(worker.listeners["worker.mqtt"], 5)
    client.send(packets.connect(5, "eager", user="ada", password=b"secret-1"), packets.subscribe(5, 1, [("sensors/1", 1)], None),
                packets.publish(5, "sensors/1", b"x", 1, id=2))
    assert client.wait(packets.CONNACK).reason == 0
    assert client.wait(packets.SUBACK, 1).reasons == [1]
    assert client.wait(packets.PUBACK, 2).reason == 0
    assert client.message().payload == b"x"


@pytest.mark.parametrize("version", [4, 5])
def test_an_acl_says_what_a_client_may_publish_and_read(guarded, version):
    worker = guarded()
    ada, bob = connect(worker, version, "ada", USERS["ada"]), connect(worker, version, "bob", USERS["bob"])
    denied = 0x87 if version == 5 else 0x80
    assert bob.subscribe("sensors/#", "other/#", "own/bob/x", "own/ada/x", qos=1) == [1, denied, 1, denied]
    worker.wait_log("clients asked for what they may not do")
    assert '"example":"subscribe \\"other/#\\" by no entry"' in worker.stderr
    # What is denied below an allowed filter is withheld.
    assert ada.subscribe("sensors/#", qos=1) == [1]
    assert ada.publish("sensors/1", b"allowed", 1) == (0 if version == 5 else None) or version == 4
    assert bob.message().payload == b"allowed" and ada.message().payload == b"allowed"
    refused = ada.publish("sensors/private/1", b"denied", 1)
    assert version == 4 or refused == 0x87
    refused = bob.publish("sensors/1", b"denied", 1)
    assert version == 4 or refused == 0x87
    bob.publish("own/bob/x", b"own", 1)
    assert bob.message().payload == b"own"
    eventually(lambda: worker.metric("shunt_access_denied_total") >= 4, 10)


def test_messages_that_a_subscriber_may_not_read_are_withheld(guarded):
    worker = guarded(**{"worker.listeners.exchange.allow_anonymous": "true"})
    worker.acl.write_text(ACL.replace("topic deny sensors/private/#", "topic deny sensors/private/#\ntopic read #"))
    worker.reload()
    ada, eve = connect(worker, 5, "ada", USERS["ada"]), connect(worker, 5, "bob", USERS["bob"])
    for qos in (0, 1):
        assert ada.subscribe("#", qos=qos) == [qos]
        eve.publish("alarms/bob", b"heard", 1)
        assert ada.message().topic == "alarms/bob"
    worker.acl.write_text(ACL + "\nuser bob\ntopic write sensors/private/#\ntopic write alarms/#\nuser ada\ntopic read #\n")
    worker.reload()
    assert eve.publish("sensors/private/1", b"secret", 1) in (0, 0x10)
    eve.publish("alarms/bob", b"after", 1)
    assert ada.message().payload == b"after"
    worker.wait_metric("shunt_access_withheld_total", 1)


def test_rights_hold_after_rules(guarded, tmp_path):
    """A rule gives nobody rights that the sender does not have."""
    folder = write_rule(tmp_path / "plugins", "mirror", """
        return { match = { topic = "sensors/#" },
                 on_message = function(msg) return route.to("audit/" .. msg.topic) end }
    """)
    worker = guarded(**{"rules.directory": folder, "rules.enabled": "[mirror]"})
    ada = connect(worker, 5, "ada", USERS["ada"])
    assert ada.publish("sensors/1", b"x", 1) == 0x83
    worker.wait_metric("shunt_access_denied_total", 1)


def test_a_rules_table_may_grant_more(guarded, tmp_path):
    folder = write_rule(tmp_path / "plugins", "mirror", """
        return { match = { topic = "sensors/#" }, grants = { publish = {"audit/#"} },
                 on_message = function(msg)
                   return msg.payload == "audit" and route.to("audit/x") or route.to("elsewhere")
                 end }
    """)
    worker = guarded(**{"rules.directory": folder, "rules.enabled": "[mirror]"})
    worker.acl.write_text(ACL + "\nuser bob\ntopic read audit/#\ntopic read elsewhere\n")
    worker.reload()
    ada, bob = connect(worker, 5, "ada", USERS["ada"]), connect(worker, 5, "bob", USERS["bob"])
    assert bob.subscribe("audit/#", "elsewhere") == [0, 0]
    assert ada.publish("sensors/1", b"audit", 1) == 0
    assert bob.message().topic == "audit/x"
    assert ada.publish("sensors/1", b"other", 1) == 0x83


@pytest.mark.parametrize("qos", [0, 1])
def test_who_may_be_in_a_chat_hears_it(guarded, qos):
    """The right to be in a chat is asked for once: its messages need no other."""
    worker = guarded()
    worker.acl.write_text(ACL + "\nuser bob\ntopic write $chat/room\n")
    worker.reload()
    ada, bob, eve = (connect(worker, 5, user, USERS[user]) for user in ("ada", "bob", "eve"))
    assert eve.subscribe("$chat/room", qos=qos) == [0x87]
    assert ada.subscribe("$chat/room", qos=qos) == [qos] and bob.subscribe("$chat/room", qos=qos) == [qos]
    assert ada.publish("$chat/room", b"hello", 1) == 0
    assert bob.message().payload == b"hello"
    assert eve.publish("$chat/room", b"hello", 1) == 0x87


def test_a_will_needs_the_right_too(guarded):
    worker = guarded()
    client = Client(worker.listeners["worker.mqtt"], 5)
    assert client.connect("w", user="bob", password=b"secret-2", will=packets.Will("sensors/1", b"x"), refused=True).reason == 0x87


def test_what_is_no_longer_allowed_ends_at_once(guarded):
    worker = guarded()
    ada, bob = connect(worker, 5, "ada", USERS["ada"]), connect(worker, 5, "bob", USERS["bob"])
    assert bob.subscribe("sensors/#", "own/bob/#", qos=1) == [1, 1]
    worker.acl.write_text(ACL.replace("topic read sensors/#", ""))
    worker.reload()
    assert ada.publish("sensors/1", b"x", 1) == 0x10
    bob.publish("own/bob/1", b"still", 1)
    assert bob.message().payload == b"still"
    # A file that cannot be read changes nothing.
    worker.acl.write_text("topic reed x\n")
    assert f"{worker.acl}:1" in worker.reload()
    assert ada.publish("sensors/1", b"x", 1) == 0x10


def test_wrong_files_are_told_at_the_start(shunt, tmp_path):
    (tmp_path / "acl").write_text("user ada\ntopc read x\n")
    sets = {"access.acl_file": tmp_path / "acl", "worker.listeners.mqtt.listen": "127.0.0.1:0", "worker.listeners.mqtt.allow_anonymous": "true"}
    arguments = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    checked = run("worker", "--check", *arguments)
    assert checked.returncode == 78 and f"{tmp_path}/acl:2" in checked.stderr and "topic" in checked.stderr
    missing = run("worker", "--check", "--set", f"access.password_file={tmp_path}/none")
    assert missing.returncode == 78 and "access.password_file" in missing.stderr


def test_a_listener_that_lets_nobody_in_is_an_error():
    checked = run("worker", "--check", "--set", "worker.listeners.mqtt.protocol=mqtt", "--set", "worker.listeners.mqtt.listen=127.0.0.1:0")
    assert checked.returncode == 78 and "nobody can come in by worker.listeners.mqtt" in checked.stderr


def test_rules_alone_may_know_the_clients(shunt, tmp_path):
    """A listener needs nothing else then, and those whom no rule names stay outside."""
    plugins = write_rule(tmp_path / "plugins", "door", """
        local R = {}
        function R.on_connect(conn)
          if conn.device == "ada" then return conn:with { uid = "ada" } end
        end
        return R""")
    worker = shunt.worker({
        "worker.listeners.mqtt.protocol": "mqtt", "worker.listeners.mqtt.listen": "127.0.0.1:0",
        "worker.listeners.mqtt.allow_anonymous": "false", "rules.directory": plugins, "rules.enabled": "[door]"})
    for name, reason in [("ada", 0), ("bob", 0x86)]:
        client = Client(worker.listeners["worker.mqtt"], 5)
        assert client.connect(name, refused=bool(reason)).reason == reason
        client.close()


def test_a_client_identifier_is_one_users(guarded):
    worker = guarded()
    ada = connect(worker, 5, "ada", USERS["ada"], name="phone")
    thief = connect(worker, 5, "bob", USERS["bob"], name="phone", refused=True)
    assert thief.connack.reason == 0x87
    assert ada.subscribe("sensors/1") == [0]
    again = connect(worker, 5, "ada", USERS["ada"], name="phone")
    assert ada.ended() == 0x8E and again.subscribe("sensors/1") == [0]


def test_the_exchange_protocol_shows_a_token_with_its_first_frame(guarded):
    worker = guarded()

    def first(token, uid="ada") -> tuple[ExchangeClient, int]:
        client = ExchangeClient(worker.exchange)
        body = {"uid": uid, "device": "phone", "tags": [], "alias": []} | ({"token": token} if token else {})
        return client, client.request(REGISTER, json.dumps(body).encode(), format=JSON).status

    ada, status = first("ada:secret-1")
    assert status == 200
    assert ada.request(SUBSCRIBE, subscription("sensors/#", "g", None), format=JSON).status == 403, "a group cannot withhold"
    ada.subscribe("sensors/1", "g")
    assert ada.message("sensors/1", "x").status == 200
    assert ada.message("alarms/1", "x").status == 403
    assert first("ada:wrong")[1] == 401
    assert first(None)[1] == 401
    assert first("ada:secret-1", uid="bob")[1] == 403


def token(claims: dict, key=b"a-shared-key-of-32-bytes-length!") -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = part(json.dumps({"alg": "HS256", "kid": "k"}).encode()) + "." + part(json.dumps(claims).encode())
    return text + "." + part(hmac.new(key, text.encode(), hashlib.sha256).digest())


def test_tokens_name_clients_and_end_their_connections(shunt, tmp_path):
    key = base64.urlsafe_b64encode(b"a-shared-key-of-32-bytes-length!").rstrip(b"=").decode()
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": key}]}))
    worker = shunt.worker(OPEN | {"access.jwt.keys": tmp_path / "keys.json", "access.jwt.skew": "0s", "access.jwt.issuer": "id",
                                  "worker.listeners.exchange.allow_anonymous": "true"})
    now = time.time()
    claims = {"sub": "ada", "iss": "id", "exp": now + 3, "acl": {"publish": ["t/%u"], "subscribe": ["t/#"]}}
    ada = connect(worker, 5, "any", token(claims))
    assert ada.subscribe("t/#", "x", qos=1) == [1, 0x87]
    assert ada.publish("t/ada", b"x", 1) == 0
    assert ada.message().payload == b"x"
    assert ada.publish("t/bob", b"x", 1) == 0x87
    for wrong in [token(claims | {"exp": now - 5}), token(claims | {"iss": "other"}), token(claims, b"x" * 32), "eyJ.e30.", "no token"]:
        assert connect(worker, 5, "any", wrong, refused=True).connack.reason == 0x86
    assert ada.ended() == 0x87 and "its token is over" in ada.farewell.get("reason_string")


def test_a_token_is_renewed_before_it_is_over(shunt, tmp_path):
    key = base64.urlsafe_b64encode(b"a-shared-key-of-32-bytes-length!").rstrip(b"=").decode()
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": key}]}))
    worker = shunt.worker(OPEN | {"access.jwt.keys": tmp_path / "keys.json", "access.jwt.skew": "0s",
                                  "worker.listeners.exchange.allow_anonymous": "true"})
    method = {"authentication_method": "OAUTH2-JWT"}

    def shown(text: str) -> dict:
        return method | {"authentication_data": text.encode()}

    def claims(seconds: float, user="ada", topics=("t/#",)) -> dict:
        return {"sub": user, "exp": time.time() + seconds, "acl": {"publish": ["t/#"], "subscribe": list(topics)}}

    def come(seconds: float) -> Client:
        client = Client(worker.listeners["worker.mqtt"], 5)
        connack = client.connect("", more=shown(token(claims(seconds))))
        assert connack.get("authentication_method") == "OAUTH2-JWT"
        return client

    ada, brief = come(3), come(3)
    assert ada.subscribe("t/#", qos=1) == [1]
    # More than one, in a row, and with other packets behind.
    for _ in range(3):
        ada.send(packets.auth(0x19, shown(token(claims(60)))) + packets.publish(5, "t/1", b"x", 1, id=9))
        answer = ada.wait(packets.AUTH)
        assert answer.reason == 0 and answer.get("authentication_method") == "OAUTH2-JWT"
        assert ada.wait(packets.PUBACK, 9).reason == 0 and ada.message().payload == b"x"
    assert brief.ended() == 0x87, "the token that both came with is over"
    assert ada.publish("t/1", b"still", 1) == 0 and ada.message().payload == b"still"
    # A newer token may allow less.
    ada.send(packets.auth(0x19, shown(token(claims(60, topics=["u/#"])))))
    ada.wait(packets.AUTH)
    assert ada.publish("t/1", b"x", 1) == 0x10
    for wrong in [shown(token(claims(60, "bob"))), shown(token(claims(-5))), shown(token(claims(60), b"x" * 32)), shown("x"), method]:
        client = come(60)
        client.send(packets.auth(0x19, wrong))
        assert client.ended() == 0x87 and client.farewell.get("reason_string")
    for sent in [
        packets.auth(0x19, {"authentication_method": "SCRAM-SHA-1"}), packets.auth(0x18, shown("x")), packets.auth(), packets.auth(0x19),
    ]:
        client = come(60)
        client.send(sent)
        assert client.ended() == 0x82
    other = Client(worker.listeners["worker.mqtt"], 5)
    assert other.connect("", more=method | {"authentication_method": "SCRAM-SHA-1"}, refused=True).reason == 0x8C
    assert other.farewell is None or "OAUTH2-JWT" in other.connack.get("reason_string")


def test_a_token_is_no_password_and_a_password_no_token(shunt, tmp_path):
    """Where the authentication method says that a token comes, a password is none, though the listener takes both."""
    key = base64.urlsafe_b64encode(b"a-shared-key-of-32-bytes-length!").rstrip(b"=").decode()
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": key}]}))
    (tmp_path / "passwords").write_text(f"ada:{hashed('secret-1')}\n")
    worker = shunt.worker(OPEN | {"access.jwt.keys": tmp_path / "keys.json", "access.password_file": tmp_path / "passwords",
                                  "worker.listeners.exchange.allow_anonymous": "false", "worker.listeners.exchange.listen": "127.0.0.1:0",
                                  "access.jwt.skew": "0s", "log.levels": "{access: debug}"})
    method = {"authentication_method": "OAUTH2-JWT"}
    good = token({"sub": "ada", "exp": time.time() + 60})
    client = Client(worker.listeners["worker.mqtt"], 5)
    client.connect("", user="ada", more=method | {"authentication_data": good.encode()})
    client.send(packets.auth(0x19, method | {"authentication_data": b"secret-1"}))
    assert client.ended() == 0x87
    client = Client(worker.listeners["worker.mqtt"], 5)
    assert client.connect("", user="ada", more=method | {"authentication_data": b"secret-1"}, refused=True).reason == 0x86
    # A token by mistake in the place of the name is not in the log.
    client = Client(worker.listeners["worker.mqtt"], 5)
    assert client.connect("", user=good, password=b"x", refused=True).reason == 0x86
    assert connect(worker, 5, "ada", token({"sub": "ada", "acl": None}), refused=True).connack.reason == 0x86, "null is no list"

    # By the exchange protocol another REGISTER shows another token.
    def register(client, text) -> int:
        body = {"uid": "ada", "device": "phone", "tags": [], "alias": []} | ({"token": text} if text else {})
        return client.request(REGISTER, json.dumps(body).encode(), format=JSON).status

    ada, brief = ExchangeClient(worker.exchange), Client(worker.listeners["worker.mqtt"], 5)
    over = token({"sub": "ada", "exp": time.time() + 2, "acl": {"publish": ["t/#"]}})
    assert register(ada, over) == 200
    assert brief.connect("brief", user="ada", password=over.encode()).reason == 0
    assert [register(ada, each) for each in (None, token({"sub": "ada", "exp": time.time() + 60, "acl": {"publish": ["u/#"]}}))] == [200, 200]
    assert ada.message("t/1", "x").status == 403
    for wrong in ("ada:wrong", token({"sub": "bob"})):
        client = ExchangeClient(worker.exchange)
        assert register(client, good) == 200 and register(client, wrong) == 401
    assert brief.ended() == 0x87, "the token that both came with is over"
    assert ada.message("u/1", "x").status not in (401, 403)
    assert good[40:] not in worker.stderr and "eyJ" in worker.stderr


def test_who_is_no_longer_in_the_password_file_has_to_go(guarded):
    worker = guarded()
    ada, bob, eve = (connect(worker, 5, user, USERS[user]) for user in ("ada", "bob", "eve"))
    lines = dict(line.split(":", 1) for line in worker.passwords.read_text().split())
    worker.passwords.write_text(f"ada:{lines['ada']}\nbob:{hashed('another')}\n")
    worker.reload()
    assert bob.ended() == 0x87 and eve.ended() == 0x87
    assert ada.publish("sensors/1", b"x", 1) in (0, 0x10)
    connect(worker, 5, "bob", "another")


def test_guesses_become_slow(guarded):
    worker = guarded()
    started = time.monotonic()
    for number in range(6):
        assert connect(worker, 4, "ada", f"guess-{number}", refused=True).connack.reason == 4
    assert time.monotonic() - started > 1
    other = time.monotonic()
    connect(worker, 4, "bob", USERS["bob"])
    assert time.monotonic() - other < 5


def test_mosquittos_clients_and_files(shunt, tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "ada", "secret-1"], check=True)
    worker = shunt.worker(OPEN | {"access.password_file": passwords, "worker.listeners.exchange.allow_anonymous": "true"})
    host, port = worker.listeners["worker.mqtt"].split(":")
    good = ["-h", host, "-p", port, "-u", "ada", "-P", "secret-1", "-q", "1", "-V", "5"]
    subscriber = subprocess.Popen(["mosquitto_sub", *good, "-t", "t", "-C", "1"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: worker.metric("shunt_subscriptions") == 1, 10)
    subprocess.run(["mosquitto_pub", *good, "-t", "t", "-m", "hello"], check=True)
    assert subscriber.communicate(timeout=10)[0] == "hello\n"
    bad = subprocess.run(["mosquitto_pub", *good[:-6], "wrong", "-t", "t", "-m", "x", "-V", "5"], capture_output=True, text=True)
    assert bad.returncode != 0
