"""Run by test_package.py as root in a copy of the machine that nobody else sees: installs the package, runs what its units run, removes it.

    lifecycle.py PACKAGE    prints what was left in the end, as JSON
"""

import json
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/lib/systemd/system")
PATIENCE = 30.0


def call(*words, check=True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def shunt_files() -> set[str]:
    """What has the package's name, anywhere that belongs to packages."""
    found = subprocess.run(
        ["find", "/etc", "/lib", "/usr", "/var", "/run", "-xdev", "-name", "*shunt*"], capture_output=True, text=True).stdout
    return set(found.splitlines())


def files_of(folders) -> dict[str, int]:
    """Each file below, and when it was written."""
    return {
        path: os.lstat(path).st_mtime_ns for folder in folders for parent, _, names in os.walk(folder)
        for path in (os.path.join(parent, name) for name in names) if os.path.lexists(path)}


class Service:
    """A unit, run as far as that needs no systemd: account, folders, environment, command, notices."""

    def __init__(self, role: str):
        self.role = role
        lines = (line.partition("=") for line in (UNITS / f"shunt-{role}.service").read_text().splitlines() if not line.startswith("#"))
        self.unit = {key: value for key, _, value in lines}
        assert self.unit["Type"] == "notify"
        self.account = pwd.getpwnam(self.unit["User"])
        for key, above in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            if key in self.unit:
                folder = Path(above, self.unit[key])
                folder.mkdir(exist_ok=True)
                folder.chmod(int(self.unit[f"{key}Mode"], 8))
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def start(self):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"\0shunt-test-{self.role}")
        self.manager.settimeout(PATIENCE)
        self.log = open(f"/mnt/{self.role}.log", "a+b")
        command = ["setpriv", "--reuid", self.unit["User"], "--regid", self.unit["Group"], "--init-groups", "--no-new-privs", "--bounding-set=-all"]
        self.process = subprocess.Popen(
            command + shlex.split(self.unit["ExecStart"]), cwd=self.unit["WorkingDirectory"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, umask=int(self.unit["UMask"], 8),
            env={"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": f"@shunt-test-{self.role}"})
        self.expect("READY=1")

    def expect(self, word):
        try:
            told = self.manager.recv(4096).decode()
        except TimeoutError:
            told = "nothing"
        assert word in told.splitlines(), (self.role, word, told, self.text())

    def text(self) -> str:
        return Path(self.log.name).read_text()

    def reload(self):
        subprocess.run(["/bin/sh", "-c", self.unit["ExecReload"]], env={"MAINPID": str(self.process.pid)}, check=True)
        self.expect("RELOADING=1")
        self.expect("READY=1")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        assert self.process.wait(PATIENCE) == 0, self.text()
        self.manager.close()


def install(package):
    assert not shunt_files() and not Path("/etc/shunt").exists(), "the machine has a shunt already"
    call("dpkg", "-i", package)
    account = pwd.getpwnam("shunt")
    assert account.pw_shell.endswith("nologin") and account.pw_uid < 1000
    assert call("dpkg", "--verify", "shunt") == ""
    enabled = list(Path("/etc/systemd/system").rglob("shunt*"))
    assert not enabled, f"nobody has enabled {enabled}"
    assert "shunt" not in call("ps", "-e", "-o", "comm=").split(), "nobody has started it"
    for role in ("master", "worker"):
        call("shunt", role, "--check", "--config", f"/etc/shunt/{role}.yaml")


def run():
    folders = ("/etc", "/usr/share/shunt", "/var", "/run", "/tmp", "/lib/systemd")
    before = files_of(folders)
    master, worker = Service("master"), Service("worker")
    master.start()
    worker.start()
    deadline = time.monotonic() + PATIENCE
    while "live" not in (found := call("shunt", "admin", "workers", check=False)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    for service in (master, worker):
        service.reload()
        lines = [json.loads(line) for line in service.text().splitlines()]
        assert any("read the configuration again" in str(line) for line in lines)
    # A wrong configuration stops nothing, and starts nothing again.
    path = Path("/etc/shunt/worker.yaml")
    right = path.read_text()
    path.write_text("worker: { loops: many }\n")
    worker.reload()
    again = subprocess.run(shlex.split(worker.unit["ExecStart"]), capture_output=True)
    assert str(again.returncode) in worker.unit["RestartPreventExitStatus"].split(), again
    path.write_text(right)
    worker.stop()
    master.stop()
    after = files_of(folders)
    written = {path for path in after if after[path] != before.get(path)} - {"/etc/shunt/worker.yaml"}
    assert written and all(path.startswith("/var/lib/shunt/registry.sqlite") for path in written), written


def edit_and_install_again(package):
    """What an operator has changed stays."""
    path = Path("/etc/shunt/worker.yaml")
    path.write_text(path.read_text() + "# mine\n")
    call("dpkg", "--force-confold", "-i", package)
    assert path.read_text().endswith("# mine\n")


def remove():
    call("dpkg", "-r", "shunt")
    assert not Path("/usr/bin/shunt").exists() and not list(UNITS.glob("shunt*"))
    assert Path("/etc/shunt/worker.yaml").exists() and Path("/var/lib/shunt/registry.sqlite").exists(), "a removed package keeps what it was told"
    Path("/etc/shunt/cluster.token").write_text("an operator's\n")
    call("dpkg", "-P", "shunt")
    left = shunt_files() | {str(path) for path in Path("/etc/shunt").rglob("*")}
    print(json.dumps(sorted(left)))


if __name__ == "__main__":
    install(sys.argv[1])
    run()
    edit_and_install_again(sys.argv[1])
    remove()
