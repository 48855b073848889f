"""Pages as readers see them, as PNG files: exported as HTML and opened in JupyterLab, light and dark, screen by screen.

Wants Playwright, JupyterLab, and a Chromium: the system's, or Playwright's own. JupyterLab is started by
``groundup learn``, with none of this user's settings, and runs nothing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.press.export import THEMES, export
from tools.press.page import Page, PageError

from groundup.files import write_json

SCREEN = {"width": 1400, "height": 1400}
TOKEN = "screenshots"
#: Cells out of sight are drawn, too, so that what is scrolled to stands where it should.
NOTEBOOKS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
#: One screen down, less a line or two; was there more to see?
SCROLL = """name => {
    const element = document.querySelector(name), before = element.scrollTop;
    element.scrollTop += element.clientHeight - 60;
    return element.scrollTop > before;
}"""


def take(page: Page, folder: Path) -> list[str]:
    """Write the screens of a page into ``folder``; there is nothing to complain of then."""
    for package in ("playwright", "jupyterlab"):
        if importlib.util.find_spec(package) is None:
            raise PageError(f"[press] screenshots need {package}: pip install {package}")
    from playwright.sync_api import Error, sync_playwright

    stem = page.name.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{stem}-*.png"):
        old.unlink()
    try:
        with sync_playwright() as play, tempfile.TemporaryDirectory() as scratch:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"))
            export(page, Path(scratch))
            for theme in THEMES:
                tab = browser.new_page(viewport=SCREEN)
                tab.goto(Path(scratch, f"{stem}-{theme}.html").as_uri())
                screens(tab, "html", folder / f"{stem}-html-{theme}")
                with jupyterlab(theme) as address:
                    tab.goto(f"{address}/lab/tree/{page.name}.ipynb?token={TOKEN}")
                    tab.wait_for_selector(".jp-Notebook .jp-Cell")
                    tab.wait_for_timeout(8000)  # formulas are set one after the other
                    screens(tab, ".jp-WindowedPanel-outer", folder / f"{stem}-lab-{theme}")
                tab.close()
    except Error as error:
        raise PageError(f"[press] {page.name}: the browser says: {error.message.splitlines()[0]}") from None
    return []


def screens(tab: Any, scrolled: str, stem: Path) -> None:
    """Write one picture a screen, from the top of an element to its end."""
    more, number = True, 0
    while more:
        number += 1
        tab.wait_for_timeout(300)
        tab.screenshot(path=f"{stem}-{number:02}.png")
        more = tab.evaluate(SCROLL, scrolled)


@contextlib.contextmanager
def jupyterlab(theme: str) -> Iterator[str]:
    """What ``groundup learn`` opens, in a theme; its address."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        settings = {"@jupyterlab/apputils-extension:themes": {"theme": f"JupyterLab {theme.title()}"}}
        Path(home, "labconfig").mkdir()
        write_json(Path(home, "labconfig", "default_setting_overrides.json"), settings | NOTEBOOKS)
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
        probe.close()
        words = [sys.executable, "-m", "groundup", "learn", f"{home}/pages", "--no-browser", f"--port={port}"]
        own = {"JUPYTER_CONFIG_DIR": home, "JUPYTER_DATA_DIR": home, "JUPYTER_TOKEN": TOKEN}
        nowhere = subprocess.DEVNULL
        server = subprocess.Popen(words, env=os.environ | own, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        address = f"http://localhost:{port}"
        try:
            for _ in range(300):
                with contextlib.suppress(urllib.error.URLError):
                    urllib.request.urlopen(f"{address}/api")
                    break
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()
            server.wait()
