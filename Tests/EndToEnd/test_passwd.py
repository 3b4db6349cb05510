"""shunt admin passwd on a terminal, in a pipe, and with a file that mosquitto_passwd has made."""

import os
import re
import shutil
import subprocess
import termios

import pytest

from exchange import eventually
from processes import BINARY, environment, run


class Terminal:
    """`shunt admin passwd` with a terminal as its standard input."""

    def __init__(self, *arguments):
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.settings = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [BINARY, "admin", "passwd", *arguments], stdin=self.slave, stdout=subprocess.PIPE, stderr=self.slave, env=environment())
        self.shown = b""

    def read(self) -> bytes:
        try:
            self.shown += os.read(self.master, 4096)
        except BlockingIOError:
            pass
        return self.shown

    def answer(self, question: bytes, keys: bytes):
        eventually(lambda: question in self.read(), 20, f"{question}, not {self.shown}")
        os.write(self.master, keys)

    def end(self) -> int:
        code = self.process.wait(20)
        self.read()
        assert termios.tcgetattr(self.slave) == self.settings, "the terminal is as it was"
        os.close(self.master)
        os.close(self.slave)
        return code


def users(path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if line and not line.startswith("#"))


def test_the_terminal_is_asked_twice_and_shows_nothing(tmp_path):
    path = tmp_path / "passwords"
    terminal = Terminal(str(path), "alice")
    terminal.answer(b"Password for alice: ", b"huntee\x7fr3\r")
    terminal.answer(b"The same again: ", b"wrong\x15huntxx\x7f\x7fer3\n")
    assert terminal.end() == 0
    assert b"hunt" not in terminal.shown
    assert b"added alice" in terminal.shown
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert re.fullmatch(r"\$y\$[^$]+\$[^$]+\$[./0-9A-Za-z]{43}", users(path)["alice"])


def test_passwords_that_differ_and_an_interruption_change_nothing(tmp_path):
    path = tmp_path / "passwords"
    for second in (b"other\r", b"hun\x03"):
        terminal = Terminal(str(path), "alice")
        terminal.answer(b"Password for alice: ", b"hunter3\r")
        terminal.answer(b"The same again: ", second)
        assert terminal.end() == 64
    assert list(tmp_path.iterdir()) == []


def test_standard_input_and_a_file_of_mosquitto(tmp_path):
    path = tmp_path / "passwords"
    if not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(path), "bob", "secret"], check=True)
    before = users(path)["bob"]
    done = run("admin", "passwd", str(path), "alice", input="hunter3\nnot this\n")
    assert (done.returncode, done.stderr) == (0, "added alice\n")
    assert users(path)["bob"] == before
    assert set(users(path)) == {"alice", "bob"}
    assert run("admin", "passwd", str(path), "bob", "--delete").returncode == 0
    assert set(users(path)) == {"alice"}
    assert run("admin", "passwd", str(path), "alice", input="").returncode == 64
    assert "hunter3" not in path.read_text()
