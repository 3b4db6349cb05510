"""Machines in a box: network namespaces of Linux that share a bridge, each with an address of its own, and links between two of them that can be
cut without either being told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = "SHUNT_TEST_IN_NAMESPACES"


def why_not() -> str | None:
    """Why this machine can't have them; None where it can."""
    try:
        tried = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "--mount", "--fork", "sh", "-c",
             "mount -t tmpfs tmpfs /run && ip link add br0 type bridge && ip netns add one && nsenter --net=/run/netns/one true"],
            capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if tried.returncode == 0 else tried.stderr.strip() or f"unshare ended with {tried.returncode}"


def run_inside(file: str, test: str):
    """Runs one test of a file again, inside namespaces of its own."""
    why = why_not()
    if why:
        pytest.skip(f"no network namespaces here: {why}")
    command = f"mount -t tmpfs tmpfs /run && exec '{sys.executable}' -m pytest -q --tb=short -p no:cacheprovider '{file}' -k {test}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--mount", "--fork", "--kill-child", "sh", "-c", command],
        env=os.environ | {INSIDE: "1"}, capture_output=True, text=True, timeout=300, cwd=Path(file).parent)
    assert done.returncode == 0, done.stdout[-30_000:] + done.stderr[-2000:]


class Network:
    """A bridge that this process is at as well, and the machines at it."""

    def __init__(self):
        self.addresses: dict[str, str] = {}
        self._ip("link set lo up")
        self._ip("link add br0 type bridge")
        self._ip("addr add 10.9.0.1/24 dev br0")
        self._ip("link set br0 up")

    def add(self, name: str) -> str:
        """A machine; returns its address."""
        address = f"10.9.0.{len(self.addresses) + 10}"
        self._ip(f"netns add {name}")
        self._ip(f"link add v-{name} type veth peer name eth0 netns {name}")
        self._ip(f"link set v-{name} master br0 up")
        self._ip(f"-n {name} addr add {address}/24 dev eth0")
        self._ip(f"-n {name} link set eth0 up")
        self._ip(f"-n {name} link set lo up")
        self.addresses[name] = address
        return address

    def cut(self, one: str, other: str):
        """Packets between two machines get lost, in both directions."""
        for here, there in ((one, other), (other, one)):
            self._ip(f"-n {here} route add blackhole {self.addresses[there]}/32")

    def heal(self, one: str, other: str):
        for here, there in ((one, other), (other, one)):
            self._ip(f"-n {here} route del blackhole {self.addresses[there]}/32")

    @staticmethod
    def within(name: str) -> list[str]:
        """What runs a command on a machine."""
        return ["nsenter", f"--net=/run/netns/{name}"]

    @staticmethod
    def _ip(arguments: str):
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
        assert done.returncode == 0, f"ip {arguments}: {done.stderr}"
