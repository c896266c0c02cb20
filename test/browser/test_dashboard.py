"""The dashboard, in a browser: on a fake API for what is rare (fake_api.py), on a running Weir for what is true."""
import json
import os
import sys
import time
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fake_api import FORMULA, MARKUP, FakeApi, row  # noqa: E402
from support.source import Source  # noqa: E402
from support.waiting import free_port, wait_for  # noqa: E402
from support.weir import Running  # noqa: E402

OBJECT = "#/objects/team-01/service-00001"
SHOTS = os.environ.get("WEIR_SHOTS")  # a folder: pictures of all pages, to be looked at
# Everything that can be clicked or typed into has a name; no id twice; tables have heads; pictures have words.
NAMELESS = """
const name = e => (e.getAttribute('aria-label') || (e.labels && [...e.labels].map(l => l.textContent).join('')) || e.textContent || e.title || '').trim();
const out = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')].filter(e => e.offsetParent && !name(e)).map(e => e.outerHTML);
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
out.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map(id => 'twice: ' + id));
out.push(...[...document.querySelectorAll('table')].filter(t => !t.tHead || !t.getAttribute('aria-label')).map(t => 'table without a head or a name'));
out.push(...[...document.querySelectorAll('canvas, [role=img]')].filter(e => !e.getAttribute('aria-label')).map(e => e.outerHTML));
out.push(...[...document.querySelectorAll('img')].filter(e => !e.hasAttribute('alt')).map(e => e.outerHTML));
out.push(...[...document.querySelectorAll('section')].filter(e => !e.getAttribute('aria-label')).map(e => 'section without a name'));
if (document.querySelectorAll('h1').length !== 1) out.push('not one h1');
for (const what of ['header', 'main', 'nav', 'footer']) if (document.querySelectorAll('body > ' + what + ', header > ' + what).length !== 1) out.push('not one ' + what);
return out;
"""
# Texts that stand out too little from what is behind them (WCAG AA: 4.5).
PALE = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255]; };
const out = new Set();
for (const e of document.querySelectorAll('body *')) {
  if (!e.offsetParent || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('.heard')) continue;
  const a = light(rgba(getComputedStyle(e).color)), b = light(behind(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) out.add(`${e.tagName}.${e.className} "${e.textContent.slice(0, 30)}" ${ratio.toFixed(2)}`);
}
return [...out];
"""
DRAWN = """
const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, chart = Chart.getChart(c);
const lines = chart.data.datasets.filter(s => s.borderWidth > 0).map(s => [1, 3, 5].map(i => parseInt(s.borderColor.slice(i, i + 2), 16)));
let n = 0;
for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && lines.some(l => l.every((v, k) => Math.abs(v - d[i + k]) < 20))) n++;
return n;
"""


@pytest.fixture
def fake(browser):
    made = []

    def make(*args, **more):
        made.append(FakeApi(*args, **more))
        return made[-1]

    yield make
    browser.driver.get("about:blank")  # so that nobody misses it
    for f in made:
        f.close()


def visit(browser, api, where="", **how):
    """A new document each time: another address of the same one would only be another page of it."""
    browser.driver.get("about:blank")
    browser.visit(api.url + "/" + where, **how)
    return browser


def until(browser, script, *arguments, limit_s=10):
    try:
        return wait_for(lambda: browser.run(script, *arguments), limit_s, .05)
    except AssertionError as err:
        raise AssertionError(f"{script}\n{browser.run('return document.body.innerText')[:1500]}\n{browser.console()}") from err


def listed(browser, count):
    until(browser, "return document.querySelectorAll('.objects tbody tr').length === arguments[0]", count)


def names(browser):
    return browser.run("return [...document.querySelectorAll('.objects .c-name a')].map(a => a.textContent)")


def live(browser):
    until(browser, "return document.getElementById('live').textContent === 'live'")


def opened(browser):
    live(browser)
    until(browser, "return document.querySelectorAll('.decisions li').length > 0 && [...document.querySelectorAll('.side section')].some(s => s.textContent.includes('What it would take'))")


def canvases(browser):
    found = until(browser, "return document.querySelectorAll('.chart canvas')")
    for canvas in found:
        browser.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
        until(browser, "return Boolean(globalThis.Chart && Chart.getChart(arguments[0]))", canvas)
        browser.settle()
        browser.settle()
    return found


def shoot(browser, name):
    if SHOTS:
        browser.run("scrollTo(0, 0)")
        size = browser.run("return [innerWidth, Math.min(4000, document.documentElement.scrollHeight)]")
        shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}})
        import base64
        (Path(SHOTS) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


PAGES = {"list": ("", lambda b: listed(b, 60)), "object": (OBJECT, opened), "overview": ("#/overview", lambda b: until(b, "return document.querySelectorAll('main table').length === 4"))}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("page", PAGES)
def test_fits_is_named_and_can_be_read(browser, fake, page, width, scheme):
    where, ready = PAGES[page]
    visit(browser, fake(), where, width=width, height=800, scheme=scheme)
    ready(browser)
    live(browser)
    if page == "object":
        for canvas in canvases(browser):
            assert browser.run(DRAWN, canvas) > 100, canvas.get_attribute("aria-label")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(v => v > 128)") == (scheme == "light")
    shoot(browser, f"{page}-{width}-{scheme}")
    assert browser.run(NAMELESS) == []
    assert browser.run(PALE) == []


# ------------------------------------------------------------------ the list

def test_ten_thousand_objects(browser, fake):
    api = fake(10000)
    visit(browser, api)
    listed(browser, 100)
    assert "of 10,000 objects" in browser.text(".found")
    states = [row(i)["attention"] for i in range(10000)]
    first = browser.run("return [...document.querySelectorAll('.objects tbody tr')].map(tr => tr.object.attention)")
    assert first == sorted(states, reverse=True)[:100]
    browser.run("scrollTo(0, document.documentElement.scrollHeight)")
    until(browser, "return document.querySelectorAll('.objects tbody tr').length > 150")
    shoot(browser, "list-10000")
    assert len(set(names(browser))) == len(names(browser))


def test_search_and_filters_are_in_the_address(browser, fake):
    api = fake(2000)
    visit(browser, api)
    live(browser)
    browser.find("body").send_keys("/")
    browser.driver.switch_to.active_element.send_keys("SERVICE-0012")
    listed(browser, 10)
    assert "q=SERVICE-0012" in browser.run("return location.hash")
    browser.run("const s = document.querySelector('select[name=namespace]'); s.value = 'team-01'; s.dispatchEvent(new Event('change', {bubbles: true}))")
    listed(browser, 1)
    assert names(browser) == ["team-01/service-00121"]
    address = browser.run("return location.href")
    visit(browser, api)
    browser.driver.get(address)
    listed(browser, 1)
    visit(browser, api)
    live(browser)
    browser.run("[...document.querySelectorAll('.chip')].find(c => c.textContent.startsWith('Needs attention')).click()")
    until(browser, "return document.querySelectorAll('.objects tbody tr:not(.attention)').length === 0")
    assert browser.run("return document.querySelectorAll('.objects tbody tr').length") == sum(r["attention"] > 0 for r in api.rows)
    visit(browser, api, "#/objects?q=nothing-is-called-so")
    until(browser, "return document.querySelector('.found').textContent === 'nothing fits'")


def test_rows_change_as_they_are_told(browser, fake):
    api = fake(30)
    visit(browser, api)
    live(browser)
    listed(browser, 30)
    changed = {**api.rows[4], "summary": "4 -> 7: it grew", "wantedReplicas": 7}
    api.emit("row", changed)
    until(browser, "return document.body.textContent.includes('4 → 7: it grew')")
    gone = api.rows.pop(5)
    api.emit("gone", {k: gone[k] for k in ("kind", "namespace", "name")})
    listed(browser, 29)
    api.rows[20].update(state="failed", attention=80, summary="it failed")
    api.emit("row", api.rows[20])
    until(browser, "return document.querySelectorAll('.objects tbody tr')[1].textContent.includes('it failed')")  # moved up by itself
    api.emit("overview", {**api.overview(), "states": {"failed": 7}})
    until(browser, "return document.querySelector('.chip.attention b').textContent === '7'")


def test_says_when_it_is_not_live_and_catches_up(browser, fake):
    api = fake(30)
    visit(browser, api)
    live(browser)
    api.refuse_streams = True
    api.drop_streams()
    until(browser, "return document.getElementById('live').textContent.startsWith('not live since ')")
    shoot(browser, "not-live")
    api.rows[3]["summary"] = "meanwhile something happened"
    api.refuse_streams = False
    live(browser)
    until(browser, "return document.body.textContent.includes('meanwhile something happened')")
    assert all("503" in line or "ERR_INCOMPLETE_CHUNKED" in line for line in browser.console())


def test_keys(browser, fake):
    visit(browser, fake(30))
    live(browser)
    listed(browser, 30)
    body = browser.find("body")
    body.send_keys("j")
    active = lambda: browser.run("return document.activeElement.textContent")  # noqa: E731
    assert active() == names(browser)[0]
    browser.driver.switch_to.active_element.send_keys("j", Keys.ARROW_DOWN, "k")
    assert active() == names(browser)[1]
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    opened(browser)
    assert browser.run("return document.activeElement.id") == "main"
    browser.driver.switch_to.active_element.send_keys("u")
    listed(browser, 30)
    browser.find("body").send_keys("/")
    browser.driver.switch_to.active_element.send_keys("zzz", Keys.ESCAPE)
    assert browser.run("return document.activeElement.id") != "search"


# ------------------------------------------------------------------ an object

def test_an_object_says_everything(browser, fake):
    visit(browser, fake(), OBJECT)
    opened(browser)
    canvases(browser)
    text = browser.run("return document.querySelector('main').innerText")
    for words in ("team-01/service-00001", "formula at 2.5 against a target of 1 asks for 3", "Next poll", "Cooldown", "Fallback", "not in force", "Pause", "not paused", "Last active",
                  "Why", "running now: 2", "What it would take", "rate above 30.1 would make it 4", "Decisions", "What if", "as a list", "= 3 against a target of 1",
                  "rate prometheus", "asked once for 4 objects", "TriggerAuthentication/prometheus-token, read 2 h ago", "Configuration", "spec.maxReplicaCount: 8 → 10", "maxReplicaCount: 10", "10.0.0.1:8080"):
        assert words in text, words
    titles = [h.text for h in browser.all(".chart h3")]
    assert titles == ["Replicas", "rate prometheus", "queue redis", "SLO held"]
    label = browser.run("return document.querySelectorAll('.chart canvas')[1].getAttribute('aria-label')")
    assert "target, unused beside the formula 10" in label and "failed for" in label


def test_each_part_of_the_formula_has_its_value_under_it(browser, fake):
    visit(browser, fake(), OBJECT)
    opened(browser)
    parts = browser.run("return [...document.querySelectorAll('.formula .part')].map(p => [p.querySelector(':scope > .of').innerText.replace(/\\s+/g, ' '), p.querySelector(':scope > .is').textContent])")
    values = dict(parts)
    assert values["queue"] == "60" and values["rate"] == "25" and len(parts) == 8
    assert browser.run("return document.querySelector('.formula').getAttribute('aria-label')") == f"{FORMULA}: 3"
    above = browser.run("const p = document.querySelector('.part.leaf'); return p.querySelector('.of').getBoundingClientRect().bottom <= p.querySelector('.is').getBoundingClientRect().top + 1")
    assert above
    browser.run("document.querySelector('.formula + details').open = true")
    items = [li.text for li in browser.all(".formula + details li")]
    assert "queue > 50 = true" in items and "queue / 20 = 3" in items


def test_charts_mark_events_and_shade_what_was_missing(browser, fake):
    visit(browser, fake(), OBJECT)
    opened(browser)
    replicas, rate = canvases(browser)[:2]
    marks = browser.run("return Chart.getChart(arguments[0]).data.datasets.find(d => d.label === 'scale event').data.length", replicas)
    assert marks > 3
    shaded = """
        const c = arguments[0], chart = Chart.getChart(c), a = chart.chartArea, ratio = c.width / c.clientWidth;
        const line = c.getContext('2d').getImageData(0, (a.top + 6) * ratio, c.width, 1).data;
        return [.72, .3].map(share => line[4 * Math.round((a.left + (a.right - a.left) * share) * ratio) + 3]);"""
    inside, outside = browser.run(shaded, rate)
    assert inside > 20 > outside  # of how much is painted there
    browser.run("arguments[0].focus()", replicas)
    replicas.send_keys(Keys.SHIFT, Keys.ARROW_LEFT)
    said = until(browser, "return document.getElementById('said').textContent")
    assert "against a target of 1 asks for" in said
    assert "value" in browser.run("return document.querySelectorAll('.chart .read')[1].textContent")  # the other charts tell the same moment
    browser.run("document.querySelector('.chart details').open = true")
    until(browser, "return document.querySelectorAll('.chart table tbody tr').length > 3")


def test_another_range_is_asked_for_and_kept(browser, fake):
    api = fake()
    visit(browser, api, OBJECT)
    opened(browser)
    canvases(browser)
    browser.run("[...document.querySelectorAll('.ranges button')].find(b => b.textContent === '30 d').click()")
    until(browser, "return document.querySelector('.ranges [aria-pressed=true]').textContent === '30 d'")
    wait_for(lambda: any("history" in path and "since=720h" in path for path in api.asked))
    assert "since=720h" in browser.run("return location.hash")


def test_what_if(browser, fake):
    api = fake()
    visit(browser, api, OBJECT)
    opened(browser)
    field = browser.find(".what-value input")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", field)
    field.send_keys("80")
    until(browser, "return document.querySelector('.verdict') && document.querySelector('.verdict').textContent.includes('3 → 8')")
    assert api.posted[-1][0].endswith("/what-if?kind=ScaledObject") and api.posted[-1][1] == {"values": {"rate": 80}}
    browser.run("const s = document.querySelectorAll('.what-value select')[1]; s.value = 'failed'; s.dispatchEvent(new Event('input', {bubbles: true}))")
    later = browser.find("input[name=later]")
    later.send_keys("10m")
    wait_for(lambda: api.posted[-1][1] == {"values": {"rate": 80, "queue": "failed"}, "laterSeconds": 600})
    later.send_keys("x")
    until(browser, "return document.querySelector('.answer').textContent.includes('a span like 90s')")
    api.emit("object", api.object(api.rows[1]))  # what was typed stays
    time.sleep(.3)
    assert field.get_attribute("value") == "80"
    browser.run("[...document.querySelectorAll('.what-if button')].at(-1).click()")
    until(browser, "return document.querySelector('.answer').textContent === ''")


def test_an_object_changes_as_it_is_told(browser, fake):
    api = fake()
    visit(browser, api, OBJECT)
    opened(browser)
    o = api.object(api.rows[1])
    o["summary"] = "3 -> 9: everything is different"
    o["decision"]["after"] = 9
    api.emit("object", o)
    until(browser, "return document.querySelector('.told').textContent.includes('everything is different')")
    until(browser, "return document.getElementById('said').textContent.includes('everything is different')")
    api.emit("gone", {k: o[k] for k in ("kind", "namespace", "name")})
    until(browser, "return document.body.textContent.includes('This object is gone')")


def test_actions_only_for_those_who_may(browser, fake):
    visit(browser, fake(can_act=False), OBJECT)
    opened(browser)
    assert browser.all(".actions button") == []
    api = fake(can_act=True)
    visit(browser, api, OBJECT)
    opened(browser)
    until(browser, "return document.querySelectorAll('.actions button').length === 2")
    browser.run("[...document.querySelectorAll('.actions button')].find(b => b.textContent === 'Pause').click()")
    wait_for(lambda: api.posted and api.posted[-1][0].endswith("/actions/pause?kind=ScaledObject"))
    until(browser, "return document.querySelector('.head').textContent.includes('It is paused.')")


def test_the_difference_between_two_versions(browser, fake):
    visit(browser, fake(), OBJECT)
    opened(browser)
    browser.run("const s = document.querySelector('select[aria-label=\"What is shown\"]'); s.value = 'diff'; s.dispatchEvent(new Event('change'))")
    until(browser, "return document.querySelector('.diff')")
    assert browser.run("return [...document.querySelectorAll('.diff .gone, .diff .new')].map(l => l.textContent.trim())") == ["removed: -   maxReplicaCount: 8", "added: +   maxReplicaCount: 10"]


# ------------------------------------------------------------------ who and what else

def test_markup_stays_text(browser, fake):
    api = fake(20, hostile=True)
    for where, ready in (("", lambda b: listed(b, 20)), ("#/objects/team-01/service-00001", opened), ("#/overview", lambda b: until(b, "return document.querySelectorAll('main table').length === 4"))):
        visit(browser, api, where)
        ready(browser)
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert MARKUP in browser.run("return document.querySelector('main').textContent"), where


def test_login(browser, fake):
    api = fake(20, token="open-sesame")
    browser.driver.delete_all_cookies()
    visit(browser, api)
    until(browser, "return document.getElementById('token')")
    shoot(browser, "login")
    assert browser.run("return document.activeElement.id") == "token"
    browser.find("#token").send_keys("wrong", Keys.ENTER)
    until(browser, "return document.querySelector('#login [role=alert]').textContent.includes('not known')")
    assert "wrong" not in browser.run("return location.href")
    browser.find("#token").clear()
    browser.find("#token").send_keys("open-sesame", Keys.ENTER)
    listed(browser, 20)
    live(browser)
    until(browser, "return document.getElementById('who').textContent.startsWith('alice')")
    browser.run("document.querySelector('#who button').click()")
    until(browser, "return document.getElementById('token')")
    assert all("401" in line for line in browser.console())
    browser.driver.delete_all_cookies()


def test_without_chart_js_the_tables_say_it(browser, fake):
    visit(browser, fake(charts=False), OBJECT)
    opened(browser)
    until(browser, "return document.body.textContent.includes('Charts are missing')")
    browser.run("document.querySelector('.chart details').open = true")
    until(browser, "return document.querySelectorAll('.chart table tbody tr').length > 3")
    assert all("chart.js" in line for line in browser.console())


def test_an_object_there_is_not(browser, fake):
    visit(browser, fake(), "#/objects/team-01/nobody")
    until(browser, "return document.querySelector('[role=alert]') && document.querySelector('[role=alert]').textContent.includes('there is no such object')")
    assert all("404" in line for line in browser.console())


def test_the_theme_is_kept(browser, fake):
    api = fake(20)
    visit(browser, api, scheme="light")
    listed(browser, 20)
    for _ in range(2):
        browser.run("document.getElementById('theme').click()")
    assert browser.run("return document.documentElement.dataset.theme") == "dark"
    browser.driver.refresh()
    listed(browser, 20)
    assert browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(v => v < 80)")
    browser.run("localStorage.clear()")


# ------------------------------------------------------------------ a running Weir

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: main, image: example, command: [sleep, "100000"]}}]
---
"""
SCALED = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {name}
  annotations: {{weir.dev/polling-interval: 300ms}}
spec:
  scaleTargetRef: {{name: {name}}}
  minReplicaCount: 1
  maxReplicaCount: 6
  cooldownPeriod: 5
  advanced:
    horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: {{stabilizationWindowSeconds: 1}}}}}}
    scalingModifiers: {{formula: "{formula}", target: "1"}}
  triggers:
  - {{type: metrics-api, name: load, metadata: {{url: "{url}", valueLocation: value, targetValue: "10"}}}}
"""


class Real(Running):
    """weir run with a listener, and a source whose value a test sets."""

    def __init__(self, folder, source, *options):
        manifests = folder / "manifests"
        manifests.mkdir()
        for name, formula in (("checkout", "load > 5 ? load / 10 : 0.1"), ("payments", "load / 20")):
            (manifests / f"{name}.yaml").write_text(DEPLOYMENT.format(name=name) + SCALED.format(name=name, formula=formula, url=source.url))
        super().__init__(folder, manifests, *options)
        port = free_port()
        self.listen, self.url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    source = Source()
    source.value = 25
    weir = Real(tmp_path_factory.mktemp("real"), source)
    weir.source = source
    weir.start()
    wait_for(lambda: weir.object("checkout").get("readyReplicas") == 3)
    yield weir
    weir.stop()
    source.close()


def test_a_running_weir_is_seen_live(browser, real):
    visit(browser, real)
    live(browser)
    listed(browser, 2)
    real.source.value = 45
    until(browser, "return [...document.querySelectorAll('.c-replicas')].some(td => td.textContent.startsWith('5/5'))", limit_s=20)
    shoot(browser, "real-list")
    visit(browser, real, "#/objects/default/checkout")
    live(browser)
    until(browser, "return document.querySelector('.told').textContent")
    text = until(browser, "const t = document.querySelector('main').innerText; return t.includes('What it would take') && t.includes('running now: 5') && t")
    for words in ("default/checkout", "Next poll", "load metrics-api", real.source.root):
        assert words in text, words
    values = browser.run("return [...document.querySelectorAll('.formula .part')].map(p => p.querySelector(':scope > .is').textContent)")
    assert "45" in values and "4.5" in values and "true" in values
    assert browser.run(DRAWN, canvases(browser)[0]) > 100
    shoot(browser, "real-object")
    visit(browser, real, "#/overview")
    until(browser, "return document.querySelectorAll('.tile').length >= 2")
    shoot(browser, "real-overview")


def test_what_if_is_decided_by_weir(browser, real):
    real.source.value = 25
    visit(browser, real, "#/objects/default/checkout")
    live(browser)
    until(browser, "return document.querySelector('.what-value input') && document.querySelector('.what-value input').placeholder === '25'", limit_s=20)
    field = browser.find(".what-value input")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", field)
    field.send_keys("58")
    browser.find("input[name=later]").send_keys("10m")  # whatever limits the pace now
    until(browser, "return document.querySelector('.verdict') && document.querySelector('.verdict').textContent.includes('→ 6')")
    text = browser.find(".what-if textarea")
    text.clear()
    text.send_keys("load / ")
    until(browser, "return document.querySelector('.answer .notice.bad')")
    assert all("400" in line for line in browser.console())


def test_who_is_not_known_logs_in(browser, tmp_path):
    source = Source()
    (tmp_path / "tokens").write_text("a-token-of-some-length alice\n")
    (tmp_path / "tokens").chmod(0o600)
    weir = Real(tmp_path, source, "--token-file", tmp_path / "tokens")
    weir.start()
    try:
        visit(browser, weir)
        browser.find("input[name=token]").send_keys("a-token-of-some-length", Keys.ENTER)
        live(browser)
        until(browser, "return document.getElementById('who').textContent.startsWith('alice')")
        browser.driver.delete_all_cookies()
        browser.run("location.hash = '#/objects/default/checkout'")
        until(browser, "return document.getElementById('token')")  # the session has ended: the page itself asks
        browser.find("#token").send_keys("a-token-of-some-length", Keys.ENTER)
        until(browser, "return document.querySelector('.told') && document.querySelector('.told').textContent")
        browser.run("document.querySelector('#who button').click()")
        until(browser, "return document.querySelector('form[action=\"/login\"]')")
        known = ("401", "[DOM]", "favicon.ico")  # the last two are of the page without scripts that asks strangers for a token
        assert [line for line in browser.console() if not any(word in line for word in known)] == []
    finally:
        browser.driver.get("about:blank")
        weir.stop()
        source.close()
