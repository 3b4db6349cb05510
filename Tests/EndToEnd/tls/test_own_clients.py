"""Our own clients over TLS and with credentials, over MQTT and over the exchange protocol."""

import os
import signal

import pytest

from access.test_access import USERS, hashed
from client_commands import Command, wait_messages
from processes import run
from tls.certificates import Certificates
from tls.conftest import listeners

ACL = """
user ada
topic readwrite #
topic readwrite $shunt/notify
topic readwrite $chat/#

user bob
topic read open/#
topic readwrite $chat/#
"""


@pytest.fixture(scope="module")
def guarded(shared_shunt, certificates, tmp_path_factory):
    """A worker that speaks TLS alone, and asks for passwords."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "passwords").write_text("".join(f"{user}:{hashed(password)}\n" for user, password in USERS.items()))
    (folder / "acl").write_text(ACL)
    for user, password in USERS.items():
        (folder / user).write_text(password + "\n")
    (folder / "wrong").write_text("guess\n")
    worker = shared_shunt.worker(listeners(certificates) | {"access.password_file": folder / "passwords", "access.acl_file": folder / "acl"})
    worker.folder = folder
    return worker


OPEN = {f"worker.listeners.{name}.allow_anonymous": "true" for name in ("mqtts", "exchanges")}


def routes(worker) -> dict[str, list]:
    mqtt, exchange = (worker.listeners[f"worker.{name}"].rsplit(":", 1)[1] for name in ("mqtts", "exchanges"))
    return {"mqtt": ["--mqtt", f"localhost:{mqtt}"], "exchange": ["--worker", f"localhost:{exchange}"]}


@pytest.fixture(params=["mqtt", "exchange"])
def to(request, guarded, certificates):
    """Who ada is, and where to."""
    return [*routes(guarded)[request.param], "--tls", "--cafile", certificates["ca.pem"], *who(guarded, "ada")]


def who(worker, user, file=None) -> list:
    return ["--user", user, "--password-file", worker.folder / (file or user)]


def well(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def command(tmp_path):
    commands = []

    def start(*arguments) -> Command:
        commands.append(Command(tmp_path, *arguments))
        return commands[-1]

    yield start
    for each in commands:
        each.close()


def test_pub_and_sub(to, command, tmp_path):
    consumer = command("sub", "open/1", "--output", "json", *to)
    consumer.wait_for("subscribed")
    well("pub", "open/1", "first", *to)
    (tmp_path / "large").write_bytes(b"x" * 300_000)
    well("pub", "open/1", "--file", tmp_path / "large", *to)
    well("pub", "open/1", "many", "--count", "1000", *to)
    got = wait_messages(consumer, 1002)
    assert [len(message["payload"]) for message in got[:3]] == [5, 300_000, 4]


def test_device_and_notify(to, command):
    device = command("device", "--uid", "ada", "--device", f"phone-{os.urandom(3).hex()}", *to)
    device.wait_for("registered")
    well("notify", "--uid", "ada", "storm", *to)
    device.wait_for("storm")
    assert device.end(signal.SIGINT) == 0


def test_a_device_is_its_users_own(guarded, certificates):
    done = run("device", "--uid", "bob", "--device", "phone", *routes(guarded)["exchange"], "--tls", "--cafile", certificates["ca.pem"],
               *who(guarded, "ada"))
    assert done.returncode == 77, done.stderr


def test_chat(guarded, certificates, command):
    room = f"room-{os.urandom(3).hex()}"
    to = [*routes(guarded)["exchange"], "--tls", "--cafile", certificates["ca.pem"]]
    ada, bob = (command("chat", room, "--as", user, *to, *who(guarded, user)) for user in ("ada", "bob"))
    for member in (ada, bob):
        member.wait_for("in the chat")
    ada.type("hello\n")
    bob.wait_for("hello")


@pytest.mark.parametrize("wrong", [[], ["--user", "ada", "--password-file", "wrong"], ["--user", "nobody", "--password-file", "ada"]])
@pytest.mark.parametrize("protocol", ["mqtt", "exchange"])
@pytest.mark.parametrize("subcommand", [["pub", "open/1", "x"], ["sub", "open/1"], ["chat", "room", "--as", "me"]])
def test_wrong_credentials_are_refused_at_once(guarded, certificates, protocol, wrong, subcommand):
    wrong = [guarded.folder / word if before == "--password-file" else word for before, word in zip([""] + wrong, wrong)]
    done = run(*subcommand, *routes(guarded)[protocol], "--tls", "--cafile", certificates["ca.pem"], *wrong)
    # Who shows nothing learns by the first message that it was wanted.
    code = 65 if protocol == "exchange" and not wrong and subcommand[0] == "pub" else 77
    assert done.returncode == code and "access." in done.stderr, done
    assert "guess" not in done.stderr and USERS["ada"] not in done.stderr


def test_rights_hold_over_tls(guarded, certificates):
    for to in routes(guarded).values():
        done = run("pub", "open/1", "x", *to, "--tls", "--cafile", certificates["ca.pem"], *who(guarded, "bob"))
        assert done.returncode == 65 and "refused" in done.stderr, done


def test_the_environment_says_it_too(guarded, certificates):
    variables = {"SHUNT_CAFILE": certificates["ca.pem"], "SHUNT_USER": "ada", "SHUNT_PASSWORD_FILE": str(guarded.folder / "ada")}
    for protocol, to in routes(guarded).items():
        done = run("pub", "open/nobody", "x", *to, "--tls", env=variables)
        # The exchange protocol says that nobody subscribes, MQTT does not mind.
        assert done.returncode == (0 if protocol == "mqtt" else 65), done
        assert protocol == "mqtt" or "nobody" in done.stderr


def test_server_certificates_are_verified(guarded, certificates, tmp_path):
    others = Certificates(tmp_path / "others", "Others")
    for to in routes(guarded).values():
        unknown = run("pub", "open/1", "x", *to, "--tls", "--cafile", others["ca.pem"], *who(guarded, "ada"))
        assert unknown.returncode == 69 and "signed by nobody that this client trusts" in unknown.stderr and "--cafile" in unknown.stderr
        system = run("pub", "open/1", "x", *to, "--tls", *who(guarded, "ada"))
        assert system.returncode == 69 and "signed by nobody" in system.stderr


def test_a_certificate_for_another_name_is_refused(shunt, tmp_path):
    others = Certificates(tmp_path / "others")
    others.server("elsewhere.example")
    for to in routes(shunt.worker(listeners(others) | OPEN)).values():
        done = run("pub", "open/1", "x", *to, "--tls", "--cafile", others["ca.pem"])
        assert done.returncode == 69 and "for other names than 'localhost'" in done.stderr, done


def test_a_client_certificate_says_who_the_client_is(shunt, certificates):
    sets = listeners(certificates, client_ca=certificates["ca.pem"], verify="required")
    for protocol, to in routes(shunt.worker(sets)).items():
        to = ["pub", "open/nobody", "x", *to, "--tls", "--cafile", certificates["ca.pem"]]
        known = run(*to, "--cert", certificates["ann.pem"])
        assert known.returncode == (0 if protocol == "mqtt" else 65) and "tls" not in known.stderr, known
        unknown = run(*to)
        assert unknown.returncode == 69 and "--cert" in unknown.stderr, unknown


def test_a_plain_port_is_told(shunt):
    plain = shunt.worker()
    done = run("pub", "a", "x", "--worker", plain.exchange, "--tls")
    assert done.returncode == 69 and "TLS" in done.stderr and "leave TLS away" in done.stderr, done


def test_options_that_belong_together():
    for arguments, missing in [
        (["--cafile", "x"], "--tls"), (["--cert", "x"], "--tls"), (["--tls", "--cert-key", "x"], "--cert"),
        (["--password-file", "x", "--token-file", "y"], "exclude"), (["--user", "ada"], "--password-file"),
    ]:
        done = run("pub", "a", "x", *arguments)
        assert done.returncode == 64 and missing in done.stderr, done
    missing = run("pub", "a", "x", "--user", "ada", "--password-file", "/nowhere")
    assert missing.returncode == 78 and "/nowhere" in missing.stderr, missing
    missing = run("pub", "a", "x", "--tls", "--cafile", "/nowhere")
    assert missing.returncode == 78 and "/nowhere" in missing.stderr, missing
