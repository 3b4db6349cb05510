"""`make install`: units that systemd takes, and a configuration that is left alone."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from processes import BINARY, ROOT, run


def install(**variables):
    environment = os.environ | {"SHUNT_BINARY": str(BINARY)} | {key: str(value) for key, value in variables.items()}
    return subprocess.run([ROOT / "packaging/install"], capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("install")
    done = install(PREFIX=folder / "opt", SYSCONFDIR=folder / "etc")
    assert done.returncode == 0, done
    return folder


def units(prefix):
    return sorted(prefix.glob("opt/lib/systemd/system/*.service"))


def test_all_paths_are_below_the_prefix(prefix):
    assert [unit.name for unit in units(prefix)] == ["shunt-master.service", "shunt-worker.service", "shunt-worker@.service"]
    for path in (*units(prefix), *prefix.glob("etc/shunt/*.yaml")):
        text = path.read_text()
        assert not re.search(r"@[A-Z]+@", text), f"{path} has a name that was not filled in"
        assert "/etc/" not in text.replace(f"{prefix}/etc/", ""), path


def test_the_configuration_is_right(prefix):
    for role in ("master", "worker"):
        done = run(role, "--check", "--config", prefix / f"etc/shunt/{role}.yaml")
        assert done.returncode == 0, done


def test_another_install_leaves_the_configuration(prefix):
    path = prefix / "etc/shunt/worker.yaml"
    right = path.read_text()
    path.write_text("# mine\n")
    try:
        done = install(PREFIX=prefix / "opt", SYSCONFDIR=prefix / "etc")
        assert f"{path} is left as it is" in done.stdout and path.read_text() == "# mine\n"
    finally:
        path.write_text(right)


def test_a_staged_install_writes_below_destdir_alone(tmp_path):
    assert install(DESTDIR=tmp_path / "stage", PREFIX="/opt/shunt").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
    unit = (tmp_path / "stage/opt/shunt/lib/systemd/system/shunt-worker.service").read_text()
    assert "ExecStart=/opt/shunt/bin/shunt worker --config /etc/shunt/worker.yaml\n" in unit


def test_a_relative_prefix_is_refused():
    done = install(PREFIX="opt")
    assert done.returncode == 64 and "absolute" in done.stderr


def test_systemd_takes_the_units(prefix):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units(prefix)], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_units_may_do_little(prefix):
    """The score is 0 for a service that may do nothing, and 10 for one that may do everything."""
    for unit in units(prefix):
        command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit]
        done = subprocess.run(command, capture_output=True, text=True)
        print(done.stdout.splitlines()[-1])
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_master_alone_has_a_place_on_the_disk(prefix):
    for unit in units(prefix):
        text = unit.read_text()
        assert "ProtectSystem=strict\n" in text and "ReadWritePaths" not in text
        assert ("StateDirectory=" in text) == (unit.name == "shunt-master.service")
