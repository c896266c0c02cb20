"""The page of `weir simulate --report` and `weir compare --report`."""
import base64
import json
import subprocess
import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from conftest import PAGES, ROOT, WEIR

# How many pixels of a canvas have the colour of one of its lines.
DRAWN = """
const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
const lines = Chart.getChart(c).data.datasets.map(s => [1, 3, 5].map(i => parseInt(s.borderColor.slice(i, i + 2), 16)));
let n = 0;
for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && lines.some(l => l.every((v, k) => Math.abs(v - d[i + k]) < 20))) n++;
return n;
"""
LEFT_OF_CENTRE = -100


def canvases(browser):
    """Scrolls to each, so that it is drawn."""
    found = browser.all("#charts canvas")
    for canvas in found:
        browser.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
        browser.settle()
        browser.settle()
    return found


def title_of(browser, canvas):
    return browser.run("return arguments[0].closest('figure').querySelector('h3').textContent", canvas)


def rows(browser):
    return browser.all("#list tbody tr")


def choose(browser, canvas, offset=LEFT_OF_CENTRE):
    browser.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    browser.settle()
    ActionChains(browser.driver).move_to_element_with_offset(canvas, offset, 0).click().perform()
    browser.settle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("case", ["hour", "compare", "hostile", "nothing"])
def test_opens_at_any_size_and_fits(browser, case, width, scheme):
    browser.open(case, width, 844, scheme)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    light = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(v => v > 128)")
    assert light == (scheme == "light")
    for canvas in canvases(browser):
        assert (browser.run(DRAWN, canvas) > 100) == (case != "nothing"), title_of(browser, canvas)


def test_says_what_the_run_was(browser):
    browser.open("hour")
    assert browser.text("h1") == "weir simulate"
    assert "share in SLO99.31 %" in browser.text("#summary")
    assert "241 decisions in 60 min" in browser.text("#about")
    assert "the term `queue / 20` does it" in browser.text("#findings")
    titles = [h.text for h in browser.all("#charts h3")]
    assert titles == ["requests (per second)", "Replicas", "Formula against its target", "rate (trigger, metrics-api)",
                      "queue (trigger, prometheus)", "waiting (requests)", "share in SLO (of a minute's requests)", "Cost so far ($)"]


def test_times_without_a_date_count_from_the_start(browser):
    browser.open("triggers")
    assert browser.text("#shown") == "00:00:00 – 00:30:00 (30 min)"
    assert "target × replicas" in browser.text("#charts figure:nth-child(4)")  # no formula: the trigger has a target of its own


def test_a_moment_clicked_shows_its_decision(browser):
    browser.open("hour")
    choose(browser, browser.all("#charts canvas")[1])
    body = browser.text("#moment-body")
    for words in ("running now:", "Steps", "Inputs", "Formula", "queue > 50 = ", "decided at 2026-01-01 00:"):
        assert words in body
    chosen = browser.all("#list tr.chosen")
    assert len(chosen) == 1 and chosen[0].text.split(": ", 1)[1].split("\n")[0] in body


def test_a_failed_source_is_named(browser):
    browser.open("hour")
    browser.find("#search").send_keys("queue failed")
    browser.settle()
    rows(browser)[0].find_element("css selector", "button").click()
    browser.settle()
    assert "failed" in browser.text("#moment table")
    assert "nothing is taken away" in browser.text("#moment-body")


def test_the_keyboard_alone(browser):
    browser.open("hour")
    canvas = browser.all("#charts canvas")[1]
    browser.run("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.HOME)
    moments = []
    for _ in range(3):
        canvas.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT)
        moments.append(browser.text("#moment-title"))
        assert "→" in browser.text("#moment-body")  # a scale event
    assert moments == sorted(set(moments))
    canvas.send_keys(Keys.SHIFT + Keys.ARROW_LEFT)
    assert browser.text("#moment-title") == moments[1]
    canvas.send_keys("+")
    assert "(30 min)" in browser.text("#shown")
    canvas.send_keys("0")
    assert "(60 min)" in browser.text("#shown")


def test_dragging_zooms(browser):
    browser.open("hour")
    canvas = browser.all("#charts canvas")[1]
    browser.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    browser.settle()
    ActionChains(browser.driver).move_to_element_with_offset(canvas, -100, 0).click_and_hold().move_by_offset(200, 0).release().perform()
    browser.settle()
    assert "(60 min)" not in browser.text("#shown")
    browser.find("[data-do=all]").click()
    assert "(60 min)" in browser.text("#shown")


def test_the_list_is_searched(browser):
    browser.open("hour")
    everything = len(rows(browser))
    browser.find("#search").send_keys("tolerance 00:0")
    found = [row.text for row in rows(browser)]
    assert 0 < len(found) < everything and all("tolerance" in text and "00:0" in text for text in found)
    browser.find("#search").clear()
    browser.find("#search").send_keys(" ")
    browser.find("#moved").click()
    assert all("→" in row.text for row in rows(browser)) and 0 < len(rows(browser)) < everything
    browser.run("const r = document.getElementById('reason'); r.value = 'activated'; r.dispatchEvent(new Event('input', {bubbles: true}))")
    assert [row.text.split("\n")[0].split()[:2] for row in rows(browser)] == [["2026-01-01", "00:00:00"]]


def test_parts_of_the_formula_on_demand(browser):
    browser.open("hour")
    browser.find("#parts summary").click()
    label = next(l for l in browser.all("#parts label") if l.text == "queue / 20")
    label.find_element("css selector", "input").send_keys(Keys.SPACE)
    browser.run("document.querySelector('#part-charts canvas').scrollIntoView()")
    browser.settle()
    browser.settle()
    assert browser.run(DRAWN, browser.find("#part-charts canvas")) > 100
    label.find_element("css selector", "input").send_keys(Keys.SPACE)
    assert not browser.find("#part-charts figure").is_displayed()


def test_runs_side_by_side(browser):
    browser.open("compare")
    assert [cell.text for cell in browser.all("#summary thead th")] == ["A old.yaml", "B new.yaml"]
    assert [cell.text for cell in browser.all("#summary .best")] == ["99.80 %", "5.1", "17"]
    browser.all("#partings button")[1].click()
    browser.settle()
    assert browser.text("#moment-title") == "2026-01-01 00:25:15"
    assert "old.yaml" in browser.text("#moment-body") and "new.yaml" in browser.text("#moment-body")
    assert "(60 min)" not in browser.text("#shown")


def test_hostile_names_are_only_texts(browser):
    browser.open("hostile")
    assert browser.driver.title == "weir simulate"
    assert browser.run("return [document.scripts.length, document.images.length, document.querySelectorAll('iframe, object, embed, a[href^=\"javascript\"]').length]") == [3, 0, 0]
    evil = "</script><script>document.title='owned'</script>"
    for place in ("#subtitle", "#summary", "#findings", "#partings", "#charts", "#list"):
        assert evil in browser.text(place)
    choose(browser, browser.all("#charts canvas")[1])
    assert evil in browser.text("#moment-body")
    assert browser.driver.title == "weir simulate"


def test_the_policy_lets_nothing_else_run(browser):
    browser.open("hour")
    browser.run("const s = document.createElement('script'); s.textContent = 'document.title = \"owned\"'; document.body.append(s)")
    browser.run("const i = document.createElement('img'); i.src = 'https://example.org/x.png'; document.body.append(i)")
    browser.settle()
    assert browser.driver.title == "weir simulate"
    said = browser.console()
    assert len(said) >= 2 and all("Content Security Policy" in line for line in said)


def test_nothing_is_loaded(browser):
    browser.open("hour")
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_a_week_is_small_and_quick(browser):
    assert browser.page("week").stat().st_size < 3 * 1024 * 1024
    started = time.monotonic()
    browser.open("week")
    assert time.monotonic() - started < 10  # a second or two; the machine may be busy
    assert "40,321 decisions in 7 d" in browser.text("#about")
    assert [title_of(browser, canvas) for canvas in canvases(browser) if browser.run(DRAWN, canvas) < 100] == []
    assert browser.run("return document.querySelectorAll('#list tbody tr').length") == 200
    browser.find("#more").click()
    assert browser.run("return document.querySelectorAll('#list tbody tr').length") == 400
    # One tick of 40,321 had ten times the others' demand: it is there.
    assert browser.run("return Math.max(...Chart.getChart(document.querySelector('#charts canvas')).data.datasets[0].data.map(p => p.y || 0))") > 850


def test_the_other_colours_and_paper(browser):
    browser.open("hour")
    browser.find("#theme").click()
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    pdf = base64.b64decode(browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"])
    assert pdf.startswith(b"%PDF") and len(pdf) > 50000
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find("#range").is_displayed() and not browser.find("#filter").is_displayed()


def test_the_same_bytes_every_time():
    once, again = (subprocess.run([str(PAGES), "compare"], capture_output=True, check=True).stdout for _ in range(2))
    assert once == again


def weir(*arguments):
    return subprocess.run([str(WEIR), *map(str, arguments)], capture_output=True, text=True, check=True, cwd=ROOT).stdout


TRACE = ["--trace", "examples/traces/azure2023_conv_10s.csv", "--duration", "20m", "--price", "2.5"]


def test_simulate_writes_it(browser):
    page = browser.folder / "simulate.html"
    said = json.loads(weir("simulate", "examples/token-latency/recommended.yaml", *TRACE, "--report", page, "--output", "json"))
    browser.open("simulate")
    about = browser.text("#about")
    assert f"{said['ticks']:,} decisions in 20 min" in about and f"{said['summary']['events']} scale events" in about
    browser.find("#moved").click()
    moments = [m for m in said["moments"] if m["before"] != m["after"]]
    assert [row.text.split("\n")[0].split()[1] for row in rows(browser)] == [time.strftime("%H:%M:%S", time.gmtime(m["at_s"])) for m in moments]
    assert all(m["why"].split(": ", 1)[1] in row.text for m, row in zip(moments, rows(browser)))
    assert [title_of(browser, canvas) for canvas in canvases(browser) if browser.run(DRAWN, canvas) < 100] == []


def test_compare_writes_it(browser):
    policies = ["examples/token-latency/as-written.yaml", "examples/token-latency/recommended.yaml"]
    weir("compare", *policies, *TRACE, "--map", "tokens_per_min=tokens_per_min", "--report", browser.folder / "compared.html")
    browser.open("compared")
    assert [cell.text for cell in browser.all("#summary thead th")] == [f"{letter} {name}" for letter, name in zip("AB", policies)]
    assert browser.all("#partings li")
    assert [title_of(browser, canvas) for canvas in canvases(browser) if browser.run(DRAWN, canvas) < 100] == []
