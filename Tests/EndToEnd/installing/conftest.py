"""The package, and copies of the machine to install it in."""

import functools
import os
import subprocess

import pytest

from processes import BINARY, ROOT


@functools.cache
def may_copy_machine() -> bool:
    """Whether this user may mount: root, where the system has overlays."""
    probe = "mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/root && mount -t overlay none -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root"
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", probe]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def copy_of_machine():
    """Runs a script of sh in a copy of the machine: its writes are lost, its ports and processes are its own. $root is the copy."""
    if not may_copy_machine():
        pytest.skip("this user may not mount an overlay of the machine")

    def run(script, *arguments, timeout=240):
        prepared = (
            "set -eu; mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/work /mnt/root; root=/mnt/root\n"
            "mount -t overlay none -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work $root\n"
            "ip link set lo up\n"
            "mount -t proc none $root/proc; mount --rbind /dev $root/dev; mount -t tmpfs none $root/run; mount -t tmpfs none $root/mnt\n")
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", prepared + script, "sh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    # Made to be small, a package takes much longer.
    environment = os.environ | {"SHUNT_BINARY": str(BINARY), "TO": str(folder), "COMPRESSION": "-Zgzip -z1"}
    done = subprocess.run([ROOT / "packaging/deb"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done
    assert not done.stderr, done.stderr
    return done.stdout.strip()
