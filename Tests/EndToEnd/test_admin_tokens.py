"""Who may ask the admin API: tokens of a file, exchanged while the master runs; commands leave a trace, secrets none."""

import json
import signal
import urllib.error
import urllib.request

import pytest

from exchange import eventually
from processes import run

READER, OPERATOR = "readers-token-0123456789", "operators-token-0123456789"
TOKENS = f"# who may ask\nread:dash:{READER}\noperate:ops:{OPERATOR}\n"


@pytest.fixture
def guarded(shunt, tmp_path):
    """A master that asks for tokens, and the file of them."""
    file = tmp_path / "tokens"
    file.write_text(TOKENS)
    file.chmod(0o600)
    return shunt.dev({"master.admin.tokens_file": file}), file


def ask(process, path: str, token: str | None = None, method="GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://{process.admin}{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def admin(process, *arguments, token=None, **more):
    env = {"SHUNT_ADMIN": process.admin} | ({"SHUNT_ADMIN_TOKEN": token} if token else {})
    return run("admin", *arguments, env=env, **more)


def test_a_role_is_what_it_says(guarded):
    process, _ = guarded
    assert ask(process, "/healthz")[0] == ask(process, "/readyz")[0] == 200
    assert [ask(process, "/metrics", token)[0] for token in (None, "wrong", READER)] == [401, 401, 200]
    assert [ask(process, "/api/v1/chats/c", token, "DELETE")[0] for token in (None, READER, OPERATOR)] == [401, 403, 404]
    assert [ask(process, "/api/v1/retained?filter=%23", token, "DELETE")[0] for token in (None, READER, OPERATOR)] == [401, 403, 200]


def test_the_command_takes_a_token_from_a_file_and_the_environment_and_says_what_is_missing(guarded, tmp_path):
    process, _ = guarded
    file = tmp_path / "mine"
    file.write_text(READER + "\n")
    assert admin(process, "workers", "--token-file", file).returncode == 0
    assert admin(process, "workers", token=OPERATOR).returncode == 0
    # The option wins.
    assert admin(process, "close-chat", "c", "--token-file", file, token=OPERATOR).returncode == 77
    refusals = {
        None: ("close-chat", "--token-file"), "wrong-token-0123456789": ("workers", "SHUNT_ADMIN_TOKEN"), READER: ("close-chat", "operate"),
    }
    for token, (command, hint) in refusals.items():
        done = admin(process, command, *(["c"] if command == "close-chat" else []), token=token)
        assert done.returncode == 77 and hint in done.stderr, done
        assert not token or token not in done.stderr + done.stdout
    missing = admin(process, "workers", "--token-file", tmp_path / "nothing")
    assert missing.returncode == 78 and "nothing" in missing.stderr


def test_commands_are_events_with_the_name_of_the_token(guarded):
    process, _ = guarded
    assert admin(process, "close-chat", "room-7", token=OPERATOR).returncode == 65
    assert admin(process, "retained", "a/#", "--clear", token=OPERATOR).returncode == 0

    def events():
        done = admin(process, "events", "--kind", "command", "--output", "json", token=READER)
        return [(event["subject"], event["detail"]) for event in json.loads(done.stdout)["events"]]

    expected = {("ops", "close-chat room-7: refused, chat.unknown"), ("ops", "retained --clear a/#")}
    eventually(lambda: expected <= set(events()), 20, "the events")


def test_refusals_are_counted_and_one_event_tells_of_many(guarded):
    process, _ = guarded
    assert [ask(process, "/api/v1/workers", token)[0] for token in ("wrong", None)] == [401, 401]
    assert ask(process, "/api/v1/chats/c", READER, "DELETE")[0] == 403
    metrics = ask(process, "/metrics", READER)[1]
    for reason, count in {"token": 1, "missing": 1, "role": 1, "rate": 0}.items():
        assert f'shunt_master_admin_refused_total{{reason="{reason}"}} {count}\n' in metrics

    def events():
        done = admin(process, "events", "--kind", "admin.refused", "--output", "json", token=READER)
        return [(event["subject"], event["detail"]) for event in json.loads(done.stdout)["events"]]

    eventually(lambda: events() == [("127.0.0.1", "a wrong token")], 20, "the event")


def test_tokens_are_exchanged_by_sighup_and_a_wrong_file_changes_nothing(guarded):
    process, file = guarded
    file.write_text(f"read:new:another-{READER}\n")
    process.reload()
    assert [ask(process, "/metrics", token)[0] for token in (READER, f"another-{READER}")] == [401, 200]
    file.write_text(f"read:new:another-{READER}\nwrite:other:{OPERATOR}\n")
    said = process.reload()
    assert "stays as it was" in said and f"{file}:2" in said
    file.write_text("")
    assert "stays as it was" in process.reload()
    assert ask(process, "/metrics", f"another-{READER}")[0] == 200


def test_a_wrong_file_keeps_the_master_from_starting_and_one_that_others_read_is_told(shunt, tmp_path):
    file = tmp_path / "tokens"
    check = lambda: run("master", "--check", "--set", f"master.admin.tokens_file={file}", cwd=tmp_path)
    assert check().returncode == 78
    file.write_text(f"read:dash:{READER}\nread:dash:{OPERATOR}\nnonsense-{OPERATOR}\n")
    done = check()
    assert done.returncode == 78 and f"{file}:2" in done.stderr and f"{file}:3" in done.stderr
    assert OPERATOR not in done.stderr
    file.write_text(TOKENS)
    file.chmod(0o604)
    done = check()
    assert done.returncode == 0 and "chmod" in done.stderr, done
    file.chmod(0o600)
    assert "chmod" not in check().stderr


def test_an_open_admin_port_is_told_where_the_network_reaches_it(shunt, tmp_path):
    for address, is_told in (("127.0.0.1:0", False), ("localhost:0", False), ("[::1]:0", False), ("0.0.0.0:0", True)):
        done = run("master", "--check", "--set", f"master.admin.listen={address}", cwd=tmp_path)
        assert done.returncode == 0 and ("the admin API is open" in done.stderr) == is_told, done


def test_secrets_are_in_no_log_no_metrics_no_registry_and_no_arguments(guarded):
    process, _ = guarded
    for token in (None, "wrong-token-0123456789", READER, OPERATOR):
        ask(process, "/api/v1/chats/c", token, "DELETE")
    process.reload()
    everything = process.stderr + ask(process, "/metrics", READER)[1] + ask(process, "/api/v1/status", READER)[1]
    everything += process.registry.read_bytes().decode(errors="replace")
    everything += open(f"/proc/{process.pid}/cmdline").read()
    for secret in (READER, OPERATOR, "wrong-token-0123456789"):
        assert secret not in everything
