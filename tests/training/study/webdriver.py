# SPDX-License-Identifier: Apache-2.0
"""Just enough of the WebDriver protocol to use a page as a person would."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One tab of a headless Chromium without a network."""

    def __init__(self, address: str, capabilities: dict[str, Any]) -> None:
        self._address = address
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def open(self, page: Path, fragment: str = "") -> None:
        self._post("/url", url=page.resolve().as_uri() + fragment)

    def run(self, script: str, *values: Any) -> Any:
        return self._post("/execute/sync", script=script, args=list(values))

    def click(self, selector: str) -> None:
        found = self._post("/element", using="css selector", value=selector)
        self._post(f"/element/{found[_ELEMENT]}/click")

    def press(self, *keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._post("/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def wait(self, script: str, seconds: float = 15.0) -> Any:
        """Wait until the script returns something true."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {script}")):
            assert time.monotonic() < end, f"still not: {script}"
            time.sleep(0.03)
        return value

    def complaints(self) -> list[str]:
        """What the console says that is worse than a note."""
        entries = self._post("/se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def close(self) -> None:
        self._call("DELETE", self._session)

    def _post(self, path: str, **values: Any) -> Any:
        return self._call("POST", self._session + path, values)

    def _call(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._address + path, body, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None


@contextmanager
def browser(folder: Path, phone: bool = False) -> Iterator[Browser]:
    """A fresh profile below ``folder``; downloads land in ``folder/downloads``."""
    assert CHROMIUM and DRIVER
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--mute-audio",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1100,900",
    ]
    options: dict[str, Any] = {
        "binary": CHROMIUM,
        "args": arguments,
        "prefs": {"download.default_directory": str(folder / "downloads")},
    }
    if phone:
        options["mobileEmulation"] = {"deviceMetrics": {"width": 390, "height": 844, "touch": True}}
    capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    process = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        started = re.compile(r"successfully on port (\d+)")
        port = next(found[1] for line in lines if (found := started.search(line)))
        tab = Browser(f"http://127.0.0.1:{port}", capabilities)
        try:
            yield tab
        finally:
            tab.close()
    finally:
        process.terminate()
        process.wait(20)
