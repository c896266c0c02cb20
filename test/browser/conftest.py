"""In a browser: pages of --report and the dashboard in headless Chromium, as people see them. Needs Debian's chromium, chromium-driver and python3-selenium."""
import os
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
PAGES, WEIR = BUILD / "test" / "browser" / "report-pages", BUILD / "weir"


class Browser:
    """One tab. Every page is opened as a file, at a size and in a colour scheme."""

    def __init__(self, folder):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000", f"--user-data-dir={folder / 'profile'}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses to sandbox what root runs
        for flag in flags:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.folder = folder

    def page(self, case):
        path = self.folder / f"{case}.html"
        if not path.exists():
            path.write_bytes(subprocess.run([str(PAGES), case], capture_output=True, check=True).stdout)
        return path

    def open(self, case, width=1400, height=1000, scheme="light"):
        return self.visit(self.page(case).as_uri(), width, height, scheme)

    def visit(self, address, width=1400, height=1000, scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.get(address)
        self.settle()
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def settle(self):
        """Two frames later everything asked for has been drawn."""
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium):
    """A test fails that leaves anything on the console."""
    chromium.console()
    yield chromium
    assert chromium.console() == []
