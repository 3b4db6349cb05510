"""Headless Chromium, by its DevTools protocol: pages that are opened, typed into, looked at."""

import base64
import itertools
import json
import os
import subprocess
from pathlib import Path

from websockets.sync.client import connect

from exchange import eventually

PATIENCE = 60.0
# A folder that gets what pages look like, for people.
PICTURES = os.environ.get("PICTURES")


class Chromium:
    def __init__(self, folder: Path):
        profile = folder / "profile"
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with open(folder / "chromium.log", "wb") as log:
            self.process = subprocess.Popen(
                ["chromium", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--no-first-run",
                 "--lang=en-US", f"--user-data-dir={profile}", *sandbox, "about:blank"], stdout=log, stderr=log)
        port = profile / "DevToolsActivePort"
        eventually(lambda: port.exists() and port.read_text().count("\n") >= 1, PATIENCE, "Chromium")
        number, path = port.read_text().split("\n")[:2]
        self.socket = connect(f"ws://127.0.0.1:{number}{path}", max_size=None, ping_interval=None)
        self.numbers, self.pages = itertools.count(1), {}

    def ask(self, method: str, session=None, **parameters) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})))
        while True:
            message = json.loads(self.socket.recv(timeout=PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return message["result"]
            if page := self.pages.get(message.get("sessionId")):
                page.heard(message)

    def open(self, address: str, width=1280, height=800, dark=False) -> "Page":
        """A page of a browser that knows nothing yet."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Runtime", "Log", "Page", "Network"):
            page.ask(f"{domain}.enable")
        page.look(width, height, dark)
        page.ask("Page.navigate", url=address)
        return page

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(PATIENCE)


class Page:
    def __init__(self, browser: Chromium, session: str):
        self.browser, self.session = browser, session
        # What the console has of errors, and what was asked of whom.
        self.faults, self.requests = [], []

    def heard(self, event: dict):
        method, parameters = event["method"], event["params"]
        if method == "Runtime.exceptionThrown" or method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.faults.append(parameters)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def ask(self, method: str, **parameters) -> dict:
        return self.browser.ask(method, self.session, **parameters)

    def look(self, width: int, height: int, dark: bool):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def value(self, expression: str):
        result = self.ask("Runtime.evaluate", expression=f"({expression})", returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def wait(self, condition: str):
        """A page that has not come yet may have none of what the condition looks at."""
        try:
            return eventually(lambda: self.value(f"(() => {{ try {{ return {condition}; }} catch {{ return false; }} }})()"), PATIENCE)
        except AssertionError:
            raise AssertionError(f"not so: {condition}; the page says: {self.value('document.body.innerText')[:2000]}; {self.faults}") from None

    def text(self, selector: str) -> str:
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def wait_text(self, selector: str, text: str):
        self.wait(f"[...document.querySelectorAll({json.dumps(selector)})].some((found) => found.innerText.includes({json.dumps(text)}))")

    def click(self, selector: str, text=""):
        """The first such element that can be seen, and has the text in it."""
        self.wait(f"""(() => {{
            const found = [...document.querySelectorAll({json.dumps(selector)})].find((element) =>
                element.checkVisibility() && element.innerText.includes({json.dumps(text)}));
            found?.click();
            return found !== undefined;
        }})()""")

    def type(self, selector: str, text: str):
        """Into an empty field, and Enter."""
        self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        self.ask("Input.insertText", text=text)
        self.press("Enter")

    def press(self, key: str):
        text = "\r" if key == "Enter" else key if len(key) == 1 else None
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "End": 35, "Home": 36, "ArrowDown": 40, "ArrowUp": 38}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **({"text": text} if text else {}), **code)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def picture(self, name: str):
        if PICTURES:
            data = self.ask("Page.captureScreenshot")["data"]
            Path(PICTURES, f"{name}.png").write_bytes(base64.b64decode(data))
