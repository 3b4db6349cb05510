"""Client commands that run while a test types into them and reads what they show."""

import json
import os
import signal
import subprocess

from exchange import eventually
from processes import BINARY, environment


class Command:
    """A running client command, with pipes to type into and to read from."""

    def __init__(self, folder, *arguments, stdout=None):
        self.output, self.log = folder / f"out-{os.urandom(4).hex()}", folder / f"err-{os.urandom(4).hex()}"
        with open(self.output, "wb") as output, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, *map(str, arguments)], stdin=subprocess.PIPE, stdout=stdout or output, stderr=log, env=environment(),
                # A shell in the background has its children ignore SIGINT.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def type(self, text: str):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, text: str):
        eventually(lambda: text in self.shown or self.process.poll() is not None, 30, f"'{text}' in {self.shown!r}")
        assert text in self.shown, self.shown

    @property
    def shown(self) -> str:
        return self.output.read_text() + self.log.read_text()

    def end(self, number=None) -> int:
        if number:
            self.process.send_signal(number)
        else:
            self.process.stdin.close()
        return self.process.wait(30)

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except OSError:
                pass


def messages(process: Command) -> list[dict]:
    """What `--output json` has printed."""
    return [json.loads(line) for line in process.output.read_text().splitlines()]


def wait_messages(process: Command, count: int) -> list[dict]:
    eventually(lambda: len(messages(process)) >= count, 20, f"{count} messages in {process.shown}")
    assert len(messages(process)) == count
    return messages(process)
