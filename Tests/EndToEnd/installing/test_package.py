"""The Debian package: what lintian says of it, and its life from installation to purge."""

import json
import os
import subprocess
from pathlib import Path

from processes import ROOT


def test_lintian_finds_nothing(package):
    done = subprocess.run(["lintian", "--fail-on", "error,warning", package], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_belongs_to_the_operator(package):
    names = subprocess.run(["dpkg-deb", "--info", package, "conffiles"], capture_output=True, text=True, check=True).stdout.split()
    assert names == ["/etc/shunt/master.yaml", "/etc/shunt/worker.yaml"]


def test_installed_run_reloaded_stopped_removed_purged(package, copy_of_machine):
    done = copy_of_machine(
        'cp "$1" $root/mnt/shunt.deb; cp "$2" $root/mnt/lifecycle.py; chroot $root python3 /mnt/lifecycle.py /mnt/shunt.deb',
        package, Path(__file__).parent / "lifecycle.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["/etc/shunt/cluster.token"], "what an operator made stays, and nothing else"
