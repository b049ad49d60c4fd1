"""A page as a picture or as paper: drawn by Chromium without a window, spoken to over a pipe."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge",
)  # fmt: skip
PATIENCE_S = 60
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip

# Chromium reads commands from descriptor 3 and answers on 4. They are set in a process between,
# for a fork of a program with threads may run no Python of its own.
_LAUNCH = """
import os, sys
reads, writes = int(sys.argv[1]), int(sys.argv[2])
writes = os.dup(writes) if writes == 3 else writes
os.dup2(reads, 3), os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

# What the page draws on its canvas stands there two frames after it has said that it is ready.
_READY = """
new Promise((done) => {
  const drawn = () => requestIdleCallback(() =>
    requestAnimationFrame(() => requestAnimationFrame(() => done(true))));
  const still = () => { document.body.classList.add("still"); drawn(); };
  const look = () =>
    document.body?.classList.contains("ready") ? still() : setTimeout(look, 20);
  look();
})
"""


def browser() -> str:
    """Where Chromium, or a browser made of it, is.

    Raises
    ------
    FileNotFoundError
        There is none; the sentence says what to install.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(
            "PNG and PDF are drawn by Chromium, which is not installed; install it (Debian and "
            "Ubuntu: `apt install chromium fonts-noto-cjk`), or write .html, which needs none"
        )
    return found


def png(html: str, size: tuple[int, int]) -> bytes:
    """A self-contained page of ours (one that sets ``body.ready``) in `size` (wide, high) pixels.

    Raises
    ------
    FileNotFoundError
        There is no browser.
    RuntimeError
        The browser did not draw the page.
    """
    with _opened(html, size) as tab:
        shot = tab.ask("Page.captureScreenshot", format="png")
    return base64.b64decode(shot["data"])


def pdf(html: str) -> bytes:
    """The same as a sheet of the page's own size, landscape A4; see `png`."""
    with _opened(html, (1440, 900)) as tab:
        sheet = tab.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    return base64.b64decode(sheet["data"])


class _Tab:
    """A tab of the browser, in the words of the DevTools protocol: JSON ended by a NUL."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands, self._answers = commands, answers
        self._asked, self._rest, self._session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._asked += 1
        said = {"id": self._asked, "method": method, "params": params}
        if self._session:
            said["sessionId"] = self._session
        self._commands.write(json.dumps(said).encode() + b"\0")
        while (answer := self._next()).get("id") != self._asked:
            pass
        if "error" in answer:
            raise RuntimeError(f"Chromium refused {method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = self._answers.read(1 << 20)
            if not more:
                raise EOFError
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


@contextmanager
def _opened(html: str, size: tuple[int, int]) -> Iterator[_Tab]:
    """The page in a browser of its own, once it is drawn."""
    found = browser()
    with tempfile.TemporaryDirectory(prefix="wangge-", ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(html, encoding="utf-8")
        with _running(found, Path(folder)) as tab:
            tab.ask(
                "Emulation.setDeviceMetricsOverride",
                width=size[0], height=size[1], deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            tab.ask("Page.navigate", url=page.as_uri())  # answered once the page is there
            tab.ask("Runtime.evaluate", expression=_READY, awaitPromise=True)
            yield tab


@contextmanager
def _running(found: str, folder: Path) -> Iterator[_Tab]:
    """A browser that keeps its things in `folder`, and is gone afterwards."""
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}"]
    if os.geteuid() == 0:  # as which Chromium has no sandbox; it opens this one file of ours alone
        flags.append("--no-sandbox")
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-ISc", _LAUNCH, str(from_us), str(to_us), found, *flags],
            pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    os.close(from_us)
    os.close(to_us)
    alarm = Timer(PATIENCE_S, process.kill)
    alarm.start()
    try:
        with (
            os.fdopen(to_browser, "wb", buffering=0) as commands,
            os.fdopen(from_browser, "rb", buffering=0) as answers,
        ):
            yield _Tab(commands, answers)
    except (EOFError, BrokenPipeError):
        lines = log.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(
            f"{found} ended, or took over {PATIENCE_S} s, before the map was drawn; it said: "
            f"{lines[-1] if lines else 'nothing'}"
        ) from None
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
