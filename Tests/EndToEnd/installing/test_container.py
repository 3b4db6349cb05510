"""The manners of a container: the command as process 1, without a terminal, on a root that is read-only, as a user without rights."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from exchange import eventually
from processes import BINARY, PATIENCE, ROOT

# $1 is the binary; what follows are its arguments.
SCRIPT = """
touch $root/mnt/shunt; mount --bind "$1" $root/mnt/shunt; shift
mkdir $root/mnt/state; mount -t tmpfs -o mode=777 none $root/mnt/state
mount -o remount,ro $root; for folder in run mnt tmp; do mount -o remount,ro $root/$folder; done
exec chroot --userspec=65534:65534 $root env --chdir=/ -i PATH=/usr/bin /mnt/shunt "$@"
"""


class Container:
    def __init__(self, copy, log: Path, *arguments):
        self.log = log
        with open(log, "wb") as stderr:
            self.process = copy(SCRIPT, BINARY, *arguments, wait=False, stderr=stderr, stdout=stderr)
        self.wait("started")
        # The only child of unshare.
        self.pid = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def text(self) -> str:
        return self.log.read_text()

    def wait(self, text):
        eventually(lambda: text in self.text() or self.process.poll() is not None, PATIENCE, f"'{text}' in the log")
        assert text in self.text() and self.process.poll() is None, self.text()

    def inside(self, *command) -> subprocess.CompletedProcess:
        return subprocess.run(["nsenter", "--target", str(self.pid), "--net", *command], capture_output=True, text=True)

    def status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def signal(self, number):
        """As a container's engine does it: from outside."""
        subprocess.run(["kill", f"-{number}", str(self.pid)], check=True)


@pytest.fixture
def container(copy_of_machine, tmp_path):
    started = []

    def start(*arguments) -> Container:
        started.append(Container(copy_of_machine, tmp_path / f"log-{len(started)}", *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


ROLES = {
    "worker": (["worker", "--set", "worker.masters=[]", "--set", "worker.listeners.exchange.allow_anonymous=true"], "http://127.0.0.1:9091/healthz"),
    "master": (["master", "--set", "master.registry.path=/mnt/state/registry.sqlite"], "http://127.0.0.1:4080/healthz"),
}


@pytest.mark.parametrize("role", ROLES)
def test_process_one_serves_reloads_and_ends(container, role):
    arguments, address = ROLES[role]
    running = container(*arguments)
    status = running.status()
    assert status["NSpid"].split()[-1] == "1" and status["Uid"].split() == ["65534"] * 4
    assert running.inside("curl", "-fsS", address).returncode == 0, running.text()

    running.signal(signal.SIGHUP)
    running.wait("read the configuration again")
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE) == 0, running.text()
    assert time.monotonic() - began < 10, "an engine kills it after ten seconds"
    for line in running.text().splitlines():
        json.loads(line)


def test_a_master_without_a_place_says_so(container):
    with pytest.raises(AssertionError, match="(?i)registry"):
        container("master", "--set", "master.registry.path=/srv/registry.sqlite")


def test_the_containerfile_names_what_the_package_has():
    """The engines that would build it may not be here; what it says of the package is held against the package's own files."""
    text = (ROOT / "packaging/Containerfile").read_text()
    unit = (ROOT / "packaging/systemd/shunt-worker.service").read_text().replace("@PREFIX@", "/usr")
    command = json.loads(text[text.index("ENTRYPOINT") + 10:].splitlines()[0]) + json.loads(text[text.index("\nCMD") + 4:].splitlines()[0])
    assert f"ExecStart={' '.join(command)}\n" in unit
    assert f"HEALTH={ROLES['master'][1]} " in text and f"ENV HEALTH={ROLES['worker'][1]}\n" in text
    assert "--uid 890 " in text and "\nUSER 890:890\n" in text and "User=shunt\n" in unit
