#!/usr/bin/python3
"""dashboard.py ADDRESS NAMESPACE/NAME: what the dashboard of a running Weir loads, and when its first view is there, in headless Chromium; a JSON
object a line. Debian's own Python, for it needs what test/browser needs: chromium, chromium-driver, python3-selenium."""
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "test/browser"), str(ROOT / "test")]
from conftest import Browser  # noqa: E402
from support.waiting import wait_for  # noqa: E402

VIEWS, LIMIT_S = 9, 60
# In the frame after the first rows of the list came, since the navigation began.
WATCH = """
new MutationObserver((_, me) => {
  if (!document.querySelector('.objects tbody tr')) return;
  me.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstView = performance.now(); }));
}).observe(document, {childList: true, subtree: true});
"""
LOADED = """
return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map(e => [new URL(e.name).pathname, e.encodedBodySize, e.decodedBodySize]);
"""


def view(browser, address, ready):
    """Somebody comes for the first time."""
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.driver.get("about:blank")
    browser.visit(address)
    return wait_for(lambda: browser.run(ready), LIMIT_S, .02)


def first_view_ms(browser, address):
    return view(browser, address, "return window.firstView")


def sizes(browser):
    """Of its own files, not of what it asks the API: compressed, and as they are."""
    own = [sizes for path, *sizes in browser.run(LOADED) if path == "/" or path.startswith("/assets/")]
    return [sum(column) / 1000 for column in zip(*own)]


def told(name, value, unit):
    print(json.dumps({"name": name, "value": value, "unit": unit}))


def main():
    address, name = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder))
        try:
            browser.driver.execute_cdp_cmd("Network.enable", {})
            browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            told("dashboard_first_view_ms", statistics.median(first_view_ms(browser, address) for _ in range(VIEWS)), "ms")
            view(browser, f"{address}#/objects/{name}", "return Boolean(globalThis.Chart && document.querySelector('.chart'))")
            gzip_kb, kb = sizes(browser)
        finally:
            browser.driver.quit()
    told("dashboard_kb", kb, "kB")
    told("dashboard_gzip_kb", gzip_kb, "kB")


if __name__ == "__main__":
    main()
