"""Contexts: a file that names clusters, and what goes before it."""

import pytest

from exchange import eventually
from processes import run

READER = "readers-token-0123456789"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home/.config/shunt"
    folder.mkdir(parents=True)
    return folder


def written(home, text: str) -> dict:
    """The environment of a user who has this file."""
    (home / "client.yaml").write_text(text)
    return {"HOME": str(home.parents[1]), "XDG_CONFIG_HOME": ""}


@pytest.fixture
def cluster(shunt, home, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read:dash:{READER}\n")
    tokens.chmod(0o600)
    dev = shunt.dev({"master.admin.tokens_file": tokens})
    (home / "mine.token").write_text(READER + "\n")
    env = written(home, f"""current: there
contexts:
  there: {{ admin: "{dev.admin}", master: "{dev.master}", token_file: mine.token }}
  straight: {{ worker: "{dev.exchange}" }}
  nowhere: {{ admin: "127.0.0.1:1", master: "127.0.0.1:1" }}
""")
    eventually(lambda: run("admin", "workers", env=env).stdout.count("\n") > 1, 20, "the worker")
    return dev, env


def test_commands_find_the_cluster_by_a_context_and_other_options_go_before_it(cluster):
    dev, env = cluster
    publish = lambda *more, **variables: run("pub", "t", "x", *more, env=env | variables)
    found, lost = "topic.no_subscriber", 69
    assert found in publish().stderr
    assert found in publish("--context", "straight").stderr
    assert found in publish("--context", "there", SHUNT_MASTER="127.0.0.1:1").stderr
    assert found in publish("--master", dev.master, "--context", "nowhere").stderr
    assert found in publish(SHUNT_MASTER=dev.master, SHUNT_CONTEXT="nowhere").stderr
    assert publish("--context", "nowhere").returncode == publish(SHUNT_CONTEXT="nowhere").returncode == lost
    assert publish(SHUNT_MASTER="127.0.0.1:1").returncode == lost
    unknown = publish("--context", "ther")
    assert unknown.returncode == 78 and "did you mean 'there'?" in unknown.stderr


def test_a_contexts_token_is_for_its_own_hosts_alone(cluster):
    dev, env = cluster
    assert run("admin", "workers", env=env).returncode == 0
    # The same master by another name, which the context does not have.
    port = dev.admin.rsplit(":", 1)[1]
    other = run("admin", "workers", "--master", f"localhost:{port}", env=env)
    assert other.returncode == 77 and "--token-file" in other.stderr
    wrong = run("admin", "workers", env=env | {"SHUNT_ADMIN_TOKEN": "wrong-token-0123456789"})
    assert wrong.returncode == 77 and "SHUNT_ADMIN_TOKEN" in wrong.stderr
    assert run("admin", "workers", "--context", "there", env=env | {"SHUNT_ADMIN_TOKEN": "wrong-token-0123456789"}).returncode == 0


def test_contexts_are_listed_shown_and_chosen(cluster, home):
    dev, env = cluster
    assert run("context", "list", env=env).stdout == "  nowhere\n  straight\n* there\n"
    shown = run("context", "show", env=env).stdout
    assert dev.admin in shown and str(home / "mine.token") in shown and READER not in shown
    assert dev.exchange in run("context", "show", "straight", env=env).stdout
    before = (home / "client.yaml").read_text()
    assert run("context", "use", "straight", env=env).returncode == 0
    assert (home / "client.yaml").read_text() == before.replace("current: there", "current: straight")
    assert "* straight" in run("context", "list", env=env).stdout
    assert "* nowhere" in run("context", "list", env=env | {"SHUNT_CONTEXT": "nowhere"}).stdout
    assert run("context", "use", "nothing", env=env).returncode == 78


def test_a_wrong_file_is_told_with_its_place_and_can_be_passed_over(home):
    env = written(home, "contexts:\n  a: { mastr: 127.0.0.1 }\n")
    for command in (["pub", "t", "x"], ["admin", "workers"], ["context", "list"]):
        done = run(*command, env=env)
        assert done.returncode == 78 and "client.yaml:2:8" in done.stderr and "did you mean 'master'?" in done.stderr, done
    assert run("pub", "t", "x", "--context", "", "--master", "127.0.0.1:1", env=env).returncode == 69


def test_user_and_password_of_a_context_go_to_its_hosts(home, broker, tmp_path):
    (home / "password").write_text("secret-of-ada\n")
    env = written(home, 'current: b\ncontexts:\n  b: { worker: "127.0.0.1:1", user: ada, password_file: password }\n')
    assert run("pub", "t", "x", "--mqtt", broker.address, env=env).returncode == 0
    (home / "password").unlink()
    # It is read where the host is the context's, and not looked for elsewhere.
    assert "password" in run("pub", "t", "x", "--mqtt", broker.address, env=env).stderr
    port = broker.address.rsplit(":", 1)[1]
    assert run("pub", "t", "x", "--mqtt", f"localhost:{port}", env=env).returncode == 0
