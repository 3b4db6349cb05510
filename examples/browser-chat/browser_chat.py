"""Two pages in headless Chromium chat through a worker; then checks what each shows. `--open` serves the page and waits, for people."""

import asyncio
import base64
import functools
import hashlib
import http.server
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import websockets

HERE = Path(__file__).resolve().parent
SHUNT = Path(os.environ.get("SHUNT_BINARY", HERE.parents[1] / ".build/release/shunt")).absolute()
PICTURES = os.environ.get("PICTURES")
PATIENCE = 60.0


def main():
    if not SHUNT.exists():
        sys.exit(f"{SHUNT} is not there: build it with 'make build', or name it with SHUNT_BINARY")
    with tempfile.TemporaryDirectory(prefix="browser-chat-") as folder, ExitStack() as stack:
        folder = Path(folder)
        worker, listeners = start_worker(folder, stack)
        site = serve_page(stack)
        # By the name of the page's host: pages of other hosts are refused.
        broker, secure = (f"{scheme}://localhost:{listeners[name].rsplit(':', 1)[1]}/mqtt"
                          for scheme, name in (("ws", "worker.web"), ("wss", "worker.secure")))
        if "--open" in sys.argv:
            say(f"open {site}?{urlencode({'broker': broker})}, in two windows; Ctrl-C ends it")
            with suppress(KeyboardInterrupt):
                worker.wait()
            return
        browser = start_browser(folder, stack)
        asyncio.run(chat(browser, site, broker, secure, listeners["worker.exchange"]))
        worker.terminate()
        check(worker.wait(PATIENCE) == 0, "the worker has ended, with exit code 0", worker.returncode)
    print("\nAll is as it should be.")


async def chat(browser: str, site: str, broker: str, secure: str, exchange: str):
    """What happens, step by step."""
    async with Browser(browser) as browser:
        address = lambda **more: f"{site}?{urlencode({'broker': secure, 'room': 'lobby', **more}, quote_via=quote)}"
        ann, bob = await browser.page(address(name="Ann")), await browser.page(address(name="Bob"))
        for page in (ann, bob):
            await page.wait("both are here", "texts('#present li').length === 2")
        check(await ann.value("texts('#present li')") == ["Ann (you)", "Bob"], "Ann sees herself and Bob", "")

        await ann.type("Hello, Bob! ☕ <b>not bold</b>")
        await bob.wait("Bob reads it", "texts('.theirs span').includes('Hello, Bob! ☕ <b>not bold</b>')")
        await ann.wait("Ann's message is marked as sent", "document.querySelectorAll('.mine.sent').length === 1")
        await bob.type("Hi Ann. " + "A long story. " * 80)
        await bob.type("Well?")
        await ann.wait("Ann reads both answers in their order", "texts('.theirs span').length === 2 && texts('.theirs span')[1] === 'Well?'")
        check(await ann.value("texts('.theirs b')") == ["Bob", "Bob"], "and who wrote them", "")

        await ann.type("Lunch is ready", button="#announce")
        for page in (ann, bob):
            await page.wait("a page's word to everyone is there", "texts('.notice span').includes('Ann: Lunch is ready')")
        subprocess.run([SHUNT, "notify", "Back at nine", "--worker", exchange], env=environment(), check=True, stdout=subprocess.DEVNULL)
        for page in (ann, bob):
            await page.wait("so is an operator's", "texts('.notice span').includes('Back at nine')")
        await ann.picture("ann")
        await bob.picture("bob-small", width=400)

        carol = await browser.page(address(room="attic", name="Carol", broker=broker))
        await carol.wait("Carol, who does without TLS, is in a room of her own", "texts('#present li').length === 1")
        check(await carol.value("texts('#lines li')") == [], "and hears nothing of the lobby", "")

        await bob.close()
        await ann.wait("Ann sees Bob leave", "texts('#present li').length === 1 && texts('.note').includes('Bob has left')")
        await ann.picture("ann-alone")
        for page in (ann, carol):
            check(page.faults == [], "the console of a page is empty", page.faults)


# Chromium, by its DevTools protocol


class Browser:
    def __init__(self, address: str):
        self.address, self.numbers, self.answers, self.pages = address, itertools.count(1), {}, {}

    async def __aenter__(self):
        self.socket = await websockets.connect(self.address, max_size=None, ping_interval=None)
        self.reader = asyncio.create_task(self.read())
        return self

    async def __aexit__(self, *error):
        self.reader.cancel()
        await self.socket.close()

    async def read(self):
        async for text in self.socket:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
            elif page := self.pages.get(message.get("sessionId")):
                page.heard(message)

    async def ask(self, method: str, session=None, **parameters) -> dict:
        number = next(self.numbers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})))
        answer = await asyncio.wait_for(self.answers[number], PATIENCE)
        check("error" not in answer, None, answer)
        return answer["result"]

    async def page(self, address: str) -> "Page":
        """In a context of its own, as another person's browser."""
        context = (await self.ask("Target.createBrowserContext"))["browserContextId"]
        target = (await self.ask("Target.createTarget", url="about:blank", browserContextId=context, width=1000, height=700))["targetId"]
        session = (await self.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self.pages[session] = Page(self, target, session)
        for domain in ("Runtime", "Log", "Page"):
            await page.ask(f"{domain}.enable")
        await page.ask("Page.navigate", url=address)
        return page


class Page:
    TEXTS = "const texts = (what) => [...document.querySelectorAll(what)].map((element) => element.textContent);"

    def __init__(self, browser: Browser, target: str, session: str):
        self.browser, self.target, self.session, self.faults = browser, target, session, []

    def heard(self, event: dict):
        if event["method"] == "Runtime.exceptionThrown" or event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.faults.append(event["params"])

    async def ask(self, method: str, **parameters) -> dict:
        return await self.browser.ask(method, self.session, **parameters)

    async def value(self, expression: str):
        result = await self.ask("Runtime.evaluate", expression=f"(() => {{ {self.TEXTS} return {expression}; }})()", returnByValue=True)
        check("exceptionDetails" not in result, None, result)
        return result["result"].get("value")

    async def wait(self, text: str, condition: str):
        deadline = time.monotonic() + PATIENCE
        while not await self.value(condition):
            if time.monotonic() > deadline:
                sys.exit(f"WRONG: not within {PATIENCE:.0f} s: {text}: {await self.value('document.body.innerText')} {self.faults}")
            await asyncio.sleep(0.05)
        say(text)

    async def type(self, text: str, button="#say button"):
        """As a person does: into the field, then the button."""
        await self.value("document.querySelector('#text').focus()")
        await self.ask("Input.insertText", text=text)
        await self.value(f"document.querySelector('{button}').click()")

    async def picture(self, name: str, width=1000):
        if PICTURES:
            await self.ask("Emulation.setDeviceMetricsOverride", width=width, height=700, deviceScaleFactor=1, mobile=False)
            await asyncio.sleep(0.3)
            data = (await self.ask("Page.captureScreenshot"))["data"]
            Path(PICTURES, f"{name}.png").write_bytes(base64.b64decode(data))

    async def close(self):
        await self.browser.ask("Target.closeTarget", targetId=self.target)


# Processes


def start_worker(folder: Path, stack: ExitStack):
    ready, log = folder / "ready.json", folder / "worker.log"
    subprocess.run([SHUNT, "cert", "--self-signed", "localhost", "--out", folder], env=environment(), check=True, stdout=subprocess.DEVNULL)
    worker = start(stack, [SHUNT, "worker", "--config", HERE / "config.yaml", "--ready-file", ready], log, cwd=folder)
    wait("the worker is ready", lambda: ready.exists() or fail_if_ended(worker, log))
    return worker, json.loads(ready.read_text())["listeners"]


def serve_page(stack: ExitStack) -> str:
    """Any server of files will do."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HERE / "page"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return f"http://localhost:{server.server_port}/"


def key_hash(certificate: Path) -> str:
    """By which Chromium is told to trust this one certificate."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    key = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def start_browser(folder: Path, stack: ExitStack) -> str:
    """The address of its DevTools."""
    profile, log = folder / "profile", folder / "chromium.log"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = start(
        stack, ["chromium", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--no-first-run",
                f"--user-data-dir={profile}", f"--ignore-certificate-errors-spki-list={key_hash(folder / 'server.pem')}", *sandbox,
                "about:blank"], log, cwd=folder)
    port = profile / "DevToolsActivePort"
    wait("Chromium is ready", lambda: port.exists() and port.read_text().count("\n") >= 1 or fail_if_ended(browser, log))
    number, path = port.read_text().split("\n")[:2]
    return f"ws://127.0.0.1:{number}{path}"


def environment() -> dict:
    """The caller's, without what would configure shunt."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHUNT_")}


def start(stack: ExitStack, arguments: list, log: Path, **more) -> subprocess.Popen:
    """It ends with this script at the latest."""
    file = stack.enter_context(open(log, "wb"))
    process = subprocess.Popen(list(map(str, arguments)), env=environment(), stdout=file, stderr=file, **more)

    def end():
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)

    stack.callback(end)
    return process


def fail_if_ended(process: subprocess.Popen, log: Path):
    if process.poll() is not None:
        sys.exit(f"WRONG: it ended with {process.returncode}:\n{log.read_text(errors='replace')}")


def say(text: str):
    print(f"- {text}", flush=True)


def check(holds: bool, text: str | None, found):
    if not holds:
        sys.exit(f"WRONG: {text or 'a question to Chromium'}: {found}")
    if text:
        say(text)


def wait(text: str, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"WRONG: not within {PATIENCE:.0f} s: {text}")
        time.sleep(0.02)
    say(text)


if __name__ == "__main__":
    main()
