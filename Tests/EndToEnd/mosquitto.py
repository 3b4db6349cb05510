"""Debian's mosquitto, for the clients of Shunt: a broker in a folder of its own, on a port that the system picks."""

import getpass
import shutil
import socket
import subprocess
from pathlib import Path

from exchange import eventually
from processes import PATIENCE

# Debian keeps daemons where not every user's PATH leads.
BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto:
    def __init__(self, folder: Path, *lines: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log_path = folder, folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        lines = lines or ("allow_anonymous true", "max_queued_messages 100000")
        # Started by root, it would become a user that cannot read the test's folder.
        lines = [f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", *lines]
        (folder / "mosquitto.conf").write_text("".join(line + "\n" for line in lines))
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY, "-v", "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log)
        eventually(self._answers, PATIENCE, "mosquitto")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"mosquitto ended with {self.process.returncode}: {self.log}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text: str, times: int = 1):
        eventually(lambda: self.log.count(text) >= times, PATIENCE, f"'{text}' in the log of mosquitto")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.kill()
