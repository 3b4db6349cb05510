"""What a running process does with a changed configuration, and when it is ready for clients."""

import signal
import subprocess
import time
import urllib.error

import pytest

from exchange import JSON, PING, SUBSCRIBE, eventually, subscription
from processes import BINARY, environment, get, write_rule, write_whole


LIVE = (
    "worker: {{ groups: {{ strategy: {strategy} }}, listeners: {{ exchange: {{ protocol: exchange, listen: '{listen}' }} }} }}\n"
    "limits: {{ frame: {frame} }}\nlog: {{ level: {level} }}\n"
)


def live(strategy="sticky", listen="127.0.0.1:0", frame="1MiB", level="info") -> str:
    return LIVE.format(strategy=strategy, listen=listen, frame=frame, level=level)


def test_a_signal_changes_limits_and_strategies_at_once(shunt, connect, tmp_path):
    path = tmp_path / "live.yaml"
    write_whole(path, live(strategy="round_robin"))
    worker = shunt.worker(config=path)
    members = [connect(worker.exchange).subscribe("t", "g") for _ in range(2)]
    producer = connect(worker.exchange)
    for _ in range(10):
        assert producer.message("t", "x" * 2000).status == 200
    eventually(lambda: [len(member.inbox) for member in members] == [5, 5])
    write_whole(path, live(strategy="sticky", frame="1KiB"))
    log = worker.reload()
    assert "limits.frame" in log and "worker.groups.strategy" in log
    for _ in range(10):
        assert producer.message("t", "x").status == 200
    eventually(lambda: sorted(len(member.inbox) for member in members) == [5, 15])
    producer.publish("t", "x" * 2000)
    producer.wait_closed()


def test_a_signal_changes_the_log_level_at_once(shunt, connect, tmp_path):
    """What a reload changed is told at notice: heard at the level debug, not at error, and heard again at info."""
    path = tmp_path / "live.yaml"
    write_whole(path, live(level="debug"))
    worker = shunt.worker(config=path)

    write_whole(path, live(level="debug", frame="2MiB"))
    assert "limits.frame" in worker.reload()
    write_whole(path, live(level="error", frame="2MiB"))
    worker.signal(signal.SIGHUP)
    write_whole(path, live(level="error", frame="1KiB"))
    before = len(worker.stderr)

    def refused() -> bool:
        worker.signal(signal.SIGHUP)
        with connect(worker.exchange) as client:
            try:
                return client.message("t", "x" * 2000).status == 413
            except ConnectionError:
                return True

    eventually(refused, what="the limit that came with the last signal")
    assert "limits.frame" not in worker.stderr[before:]
    write_whole(path, live(level="info", frame="3MiB"))
    assert "limits.frame" in worker.reload()


def test_a_changed_port_is_named_and_stays(shunt, connect, tmp_path):
    path = tmp_path / "live.yaml"
    write_whole(path, live())
    worker = shunt.worker(config=path)
    write_whole(path, live(listen="127.0.0.1:1"))
    log = worker.reload()
    assert "stays until the next start" in log and "worker.listeners" in log
    assert connect(worker.exchange).request(PING).status == 200


def test_a_wrong_configuration_changes_nothing_in_a_running_process(shunt, connect, tmp_path):
    path = tmp_path / "live.yaml"
    good = live()
    write_whole(path, good)
    worker = shunt.worker(config=path)
    client = connect(worker.exchange).subscribe("t")
    write_whole(path, good.replace("1MiB", "1KiB") + "wroker: {}\n")
    log = worker.reload()
    assert "the configuration stays as it was" in log and f"{path}:4" in log
    assert client.message("t", "x" * 2000).status == 200
    refused = client.request(SUBSCRIBE, subscription("t", "group"), format=JSON)
    assert refused.text == "subscribe failed", "its subscriptions are still there"


def test_a_configuration_that_has_become_empty_changes_nothing(shunt, connect, tmp_path):
    path = tmp_path / "live.yaml"
    write_whole(path, live(frame="1KiB"))
    worker = shunt.worker(config=path)
    write_whole(path, "")
    log = worker.reload()
    assert "the configuration stays as it was" in log and "empty" in log and str(path) in log
    producer = connect(worker.exchange)
    producer.publish("t", "x" * 2000)
    producer.wait_closed()


def test_a_reload_says_which_rules_were_loaded_anew(shunt, tmp_path):
    plugins = tmp_path / "plugins"
    rule = "return {{ name = '{0}', on_message = function() return {1} end }}"
    for name in ("one", "two"):
        write_rule(plugins, name, rule.format(name, "route.pass()"))
    path = tmp_path / "live.yaml"
    write_whole(path, live() + f"rules: {{ directory: {plugins}, enabled: all }}\n")
    worker = shunt.worker(config=path)
    write_rule(plugins, "two", rule.format("two", "route.drop()"))
    assert '"two"' in worker.reload().split("rules loaded anew", 1)[1].split("}")[0].split(",")[0]
    assert '"rules ended":"none","rules loaded anew":"none"' in worker.reload()
    write_whole(path, live() + f"rules: {{ directory: {plugins}, enabled: [one] }}\n")
    assert '"rules ended":"two","rules loaded anew":"none"' in worker.reload()


def readiness(worker) -> tuple[int, str]:
    try:
        return 200, get(f"http://{worker.listeners['worker.http']}/readyz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_worker_is_ready_with_its_master_or_when_it_goes_on_without(shunt):
    alone = shunt.worker({"worker.masters": "[127.0.0.1:1]"})
    status, text = readiness(alone)
    assert status == 503 and "no master" in text
    eventually(lambda: readiness(alone)[0] == 200, 30)
    assert "goes on without" in readiness(alone)[1]
    assert readiness(shunt.worker({"worker.masters": "[]"})) == (200, "ready\n")
    joined = shunt.dev()
    eventually(lambda: readiness(joined) == (200, "ready\n"), 20)


def test_a_worker_that_is_told_to_end_while_it_starts_ends(tmp_path):
    """No signal is lost, whatever the process does when it comes: it ends by itself, or by the signal where it has not begun."""
    for milliseconds in range(0, 120, 8):
        worker = subprocess.Popen(
            [BINARY, "worker", "--set", "worker.listeners={a: {listen: '127.0.0.1:0', allow_anonymous: true}}",
             "--set", "worker.http.listen=127.0.0.1:0", "--set", "worker.masters=[]"],
            cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(milliseconds / 1000)
        worker.send_signal(signal.SIGTERM)
        try:
            assert worker.wait(20) in (0, -signal.SIGTERM), milliseconds
        finally:
            worker.kill()


def test_a_worker_that_is_stopping_is_not_ready(shunt, tmp_path):
    plugins = write_rule(
        tmp_path / "plugins", "slow", "return { name = 'slow', on_message = function() end,\n"
        "  on_unload = function() while true do end end }")
    worker = shunt.worker(
        {"rules.directory": plugins, "rules.enabled": "all", "rules.budget.time": "5s", "worker.loops": 1})
    assert readiness(worker)[0] == 200
    worker.signal(signal.SIGTERM)
    eventually(lambda: readiness(worker)[0] == 503, 20)
    assert "stopping" in readiness(worker)[1] and not worker.ready_path.exists()


@pytest.mark.parametrize("limit, loops", [(3, 2), (1, 2), (5, 3)])
def test_no_more_clients_are_let_in_than_the_limit_and_no_fewer(shunt, connect, limit, loops):
    worker = shunt.worker({"limits.connections": limit, "worker.loops": loops})
    clients = [connect(worker.exchange) for _ in range(limit)]
    assert all(client.request(PING).status == 200 for client in clients)
    connect(worker.exchange).wait_closed()
    clients[0].close()
    worker.wait_metric("shunt_connections", limit - 1)

    def let_in() -> bool:
        try:
            return connect(worker.exchange).request(PING).status == 200
        except ConnectionError:
            return False

    eventually(let_in, 20)
