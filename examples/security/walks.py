"""Does what docs/security.md tells, command by command, and compares. See README.md."""

import argparse
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/security.md"
SHUNT = Path(os.environ.get("SHUNT_BINARY", ROOT / ".build/release/shunt")).absolute()
PATIENCE = 60.0
# The ports that the page names, and what else uses them where the page says nothing: a variable of the environment.
PORTS = {8883: None, 8084: None, 4091: None, 4088: "SHUNT_MASTER_EXCHANGE_LISTEN", 4080: "SHUNT_MASTER_ADMIN_LISTEN",
         9091: "SHUNT_WORKER_HTTP_LISTEN"}
FAILURE = re.compile(r"shunt: |Error|Connection error|curl: ")
# Commands that look and change nothing.
LOOKS = re.compile(r"^grep|\| grep|^shunt admin (workers|events|bans|refused)")
# What is typed where a password is asked for.
PASSWORD = "lovelace"


class Wrong(Exception):
    pass


@dataclass
class Command:
    text: str
    expected: list[str] = field(default_factory=list)


@dataclass
class Walk:
    name: str
    steps: list = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(step.text if isinstance(step, Command) else step[1] for step in self.steps)


def walks(page: str) -> list[Walk]:
    """The sections that have commands, with their files and commands in order."""
    found, section, language, lines = [], None, None, []
    for line in page.splitlines():
        if language is None and line.startswith("## "):
            section = Walk(re.sub(r"[^a-z0-9]+", "-", line[3:].lower()).strip("-"))
            found.append(section)
        elif line.startswith("```"):
            if language is None:
                language, lines = line[3:] or "text", []
            else:
                if section:
                    section.steps += steps(language, lines)
                language = None
        elif language is not None:
            lines.append(line)
    return [walk for walk in found if any(isinstance(step, Command) for step in walk.steps)]


def steps(language: str, lines: list[str]) -> list:
    if language != "console":
        name = re.fullmatch(r"# ([\w./-]+)", lines[0]) if lines else None
        return [(name[1], "\n".join(lines) + "\n")] if name else []
    commands: list[Command] = []
    for line in lines:
        if line.startswith("$ "):
            commands.append(Command(line[2:]))
        elif line.startswith("> "):
            commands[-1].text += "\n" + line[2:]
        elif line.strip():
            commands[-1].expected.append(line.strip())
    return commands


class Shell:
    """A shell in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path, text: str):
        self.folder, self.started, self.tick = folder, 0, 0
        self.ports = {str(port): str(free_port()) for port in PORTS}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")}
        environment |= {"PATH": f"{folder / 'bin'}:{environment['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        for port, variable in PORTS.items():
            if variable and str(port) not in text:
                environment[variable] = f"127.0.0.1:{self.ports[str(port)]}"
        (folder / "bin").mkdir()
        (folder / "bin/shunt").symlink_to(SHUNT)
        self.environment = environment
        self.shell = subprocess.Popen(["bash", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        self.printed = b""
        # Jobs have numbers, as at a terminal.
        self.ask("set -m 2> /dev/null")

    def placed(self, text: str) -> str:
        """With this shell's ports in the place of the page's."""
        return re.sub(r"\b(" + "|".join(self.ports) + r")\b", lambda match: self.ports[match[1]], text)

    def write(self, name: str, text: str):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.placed(text))

    def run(self, command: Command):
        text = self.placed(command.text)
        print(f"  $ {command.text}", flush=True)
        if re.match(r"shunt admin passwd \S+ \S+$", text):
            return self.compare(command, *self.typed(text))
        if text.rstrip().endswith("&"):
            return self.start(text.rstrip()[:-1])
        text = "{ " + text + "\n} < /dev/null"
        deadline = time.monotonic() + 10
        while True:
            try:
                return self.compare(command, *self.ask(text))
            except Wrong:
                # What is looked for may be on its way.
                if not LOOKS.search(command.text) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def ask(self, text: str) -> tuple[str, int]:
        """What a command prints, on both outputs, and its exit code."""
        self.tick += 1
        mark = f"walk-{os.getpid()}-{self.tick}"
        self.shell.stdin.write(f"{text}\nset -- $?\necho\necho {mark} $1\n".encode())
        self.shell.stdin.flush()
        end, deadline = re.compile(rf"^{mark} (\d+)\n".encode(), re.MULTILINE), time.monotonic() + PATIENCE
        while not (found := end.search(self.printed)):
            if not select.select([self.shell.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Wrong(f"not within {PATIENCE:.0f} s:\n{self.printed.decode()}")
            more = os.read(self.shell.stdout.fileno(), 65_536)
            if not more:
                raise Wrong(f"the shell has ended:\n{self.printed.decode()}")
            self.printed += more
        printed, self.printed = self.printed[:found.start()].decode(), self.printed[found.end():]
        return printed, int(found[1])

    def typed(self, text: str) -> tuple[str, int]:
        """Runs a command at a terminal, and answers its questions for a password."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(["sh", "-c", f"exec {text}"], cwd=self.folder, env=self.environment, stdin=theirs, stdout=theirs,
                                   stderr=theirs, start_new_session=True)
        os.close(theirs)
        printed, asked, deadline = "", 0, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    printed += os.read(ours, 4096).decode()
                except OSError:
                    break
            if printed.count(": ") > asked:
                asked += 1
                time.sleep(0.05)
                os.write(ours, (PASSWORD + "\n").encode())
        os.close(ours)
        return printed, process.wait(PATIENCE)

    def start(self, text: str):
        """A server process, until it listens: on loopback, where the page says all addresses."""
        if log := re.search(r"\bshunt sub\b.* 2> (\S+)", text):
            self.ask(f"{text} &")
            path = self.folder / log[1]
            return self.wait(lambda: path.exists() and "subscribed" in path.read_text(), f"it does not subscribe: {text}")
        self.started += 1
        ready = self.folder / f".ready-{self.started}"
        for name in re.findall(r"--config (\S+)", text):
            (self.folder / f".{name}").write_text((self.folder / name).read_text().replace("0.0.0.0", "127.0.0.1"))
        text = re.sub(r"--config (\S+)", r"--config .\1", text)
        self.ask(re.sub(r"\bshunt (worker|master)\b", rf"shunt \1 --ready-file {ready}", text) + " &")
        self.wait(lambda: ready.exists() or self.ask("jobs -l %%")[0].count("Exit"), f"it does not listen: {text}")
        if not ready.exists():
            raise Wrong(f"it ended: {text}")

    def wait(self, condition, otherwise: str):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise Wrong(otherwise)
            time.sleep(0.05)

    def compare(self, command: Command, printed: str, code: int):
        lines = [line.strip() for line in printed.replace("\r", "\n").splitlines() if line.strip()]
        fails = any(FAILURE.match(line) for line in command.expected)
        if (code != 0) != fails:
            raise Wrong(f"it ended with {code}:\n{printed}")
        rest = iter(lines)
        for line in map(self.placed, command.expected):
            form = re.compile(".*".join(map(re.escape, line.split("…"))), re.DOTALL)
            if not any(form.fullmatch(each) for each in rest):
                raise Wrong(f"it does not print, or not in this place:\n{line}\nbut:\n{printed}")
        for line in lines if command.expected else []:
            print(f"  {line}")

    def end(self):
        # They end by the signal that people end them with, the last one first.
        self.ask("for job in $(jobs -p); do kill $job; done; wait 2> /dev/null; true")
        self.shell.stdin.close()
        self.shell.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def take(walk: Walk, options: argparse.Namespace):
    print(f"\n{walk.name}", flush=True)
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"{walk.name}-"))
    shell = Shell(folder, walk.text)
    try:
        for step in walk.steps:
            if isinstance(step, Command):
                shell.run(step)
            else:
                print(f"  ({step[0]})")
                shell.write(*step)
    except Wrong as wrong:
        logs = "".join(f"\n{path.name}:\n{path.read_text()}" for path in sorted(folder.glob("*.log")))
        sys.exit(f"\nWRONG, in {walk.name} of {options.page.name}: {wrong}{logs}")
    finally:
        shell.end()
        if options.keep:
            print(f"  in {folder}")
        else:
            shutil.rmtree(folder)
    print(f"  as the page says, in {time.monotonic() - begin:.1f} s")


def main():
    parser = argparse.ArgumentParser(description="Does what docs/security.md tells, and compares.")
    parser.add_argument("walks", nargs="*", metavar="WALK", help="the walks to take: all without one")
    parser.add_argument("--list", action="store_true", help="print the names of the walks")
    parser.add_argument("--keep", action="store_true", help="leave the folders")
    parser.add_argument("--page", type=Path, default=PAGE, help="another page")
    options = parser.parse_args()
    known = walks(options.page.read_text(encoding="utf-8"))
    names = [walk.name for walk in known]
    if options.list:
        return print("\n".join(names))
    if unknown := set(options.walks) - set(names):
        parser.error(f"no walk is called {unknown.pop()}: there are {', '.join(names)}")
    if not SHUNT.exists():
        sys.exit(f"{SHUNT} is not there: build it with 'make build', or name it with SHUNT_BINARY")
    for walk in known:
        if not options.walks or walk.name in options.walks:
            take(walk, options)
    print("\nAll is as it should be.")


main()
