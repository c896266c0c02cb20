"""weir explain: one page for people and for programs, in pipes and on terminals of every kind."""
import json
import re
import subprocess
import time

import pytest
from conftest import WEIR, Source, manifest, wait_for
from support.screen import Screen
from test_jobs import JOB

FORMULA = "    scalingModifiers: {formula: 'max(load / 2, spare) + 1', target: '10', metricType: AverageValue}\n"
BLOCKS = "▁▂▃▄▅▆▇█"


@pytest.fixture
def spare():
    s = Source()
    yield s
    s.close()


@pytest.fixture
def scaled(weir, source, spare):
    """A Weir with default/app at three replicas, by a formula over two triggers."""
    trigger = "".join(f"""  - {{type: metrics-api, name: {name}, metadata: {{url: "{s.url}", valueLocation: value}}}}
""" for name, s in (("load", source), ("spare", spare)))
    source.value, spare.value = 50, 3
    w = weir()
    w.write("app.yaml", manifest(source.url, spec=FORMULA, trigger=trigger))
    w.start()
    w.wait_ready(3)
    wait_for(lambda: w.object()["decision"]["before"] == 3)  # nothing moves any more
    return w


def explain(w, *arguments, **env):
    return subprocess.run([str(WEIR), "explain", "app", "--data-dir", str(w.data), *arguments], capture_output=True, text=True,
                          check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env})


def words_of(text):
    """Without line ends and marks: what a narrow terminal broke is whole again."""
    return re.sub(r"\s+", " ", text)


def test_the_page(scaled):
    page = explain(scaled).stdout
    title, summary, *rest = page.splitlines()
    assert re.fullmatch(r"default/app at \S+Z(, .* ago)?: active", title)
    assert "formula at 26 against a target of 10 asks for 3" in page and summary.startswith("  ")
    assert any("Deployment app, 0..5 replicas, mode direct" in line and "3 ready" in line for line in rest)
    assert any(line.startswith("  next poll in") for line in rest)
    load = next(line for line in rest if line.startswith("  load ") and " ok" in line)
    assert re.search(r"50 +ok, \d+\.\d s old", load)
    for section in ("inputs", "formula = 26", "steps", "last decisions with a new outcome"):
        assert f"\n{section}\n" in page, section


def test_the_formula_with_values_below_its_parts(scaled):
    lines = explain(scaled).stdout.splitlines()
    at = lines.index("  max(load / 2, spare) + 1")
    picture = lines[at + 1:lines.index("", at)]
    marks = {}
    for line in picture:
        for found in re.finditer(r"(╰─*╯|╵) (\S+)", line):
            marks[lines[at][found.start(1):found.end(1)]] = found[2]
    assert marks == {"load": "50", "load / 2": "25", "spare": "3", "max(load / 2, spare)": "25", "max(load / 2, spare) + 1": "26"}


def test_a_formula_that_is_too_wide_is_a_tree(scaled):
    with Screen([WEIR, "explain", "app", "--data-dir", scaled.data], columns=40, rows=80) as screen:
        assert screen.ended() == 0
        assert "├ load / 2 = 25" in screen.text or "└ load / 2 = 25" in screen.text, screen.text


def test_no_control_sequences_in_a_pipe_unless_they_are_wanted(scaled):
    assert "\x1b" not in explain(scaled).stdout
    assert "\x1b[0;32m" in explain(scaled, "--color", "always").stdout
    assert "\x1b" not in explain(scaled, "--color", "never").stdout
    wrong = explain(scaled, "--color", "sometimes")
    assert wrong.returncode == 2 and "auto|always|never" in wrong.stderr


@pytest.mark.parametrize("env, colours", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False),
                                          ({"TERM": None}, False)])
def test_colours_on_a_terminal(scaled, env, colours):
    with Screen([WEIR, "explain", "app", "--data-dir", scaled.data], columns=100, rows=60, **env) as screen:
        assert screen.ended() == 0
        assert (b"\x1b[" in screen.raw) == colours
        assert screen.colours_of("active") == ({"green"} if colours else {"default"})


def test_history_in_a_row(scaled, source):
    page = wait_for(lambda: re.search(r"^  load +([▁▂▃▄▅▆▇█ ]+) +(\d+)  (\d+)\.\.(\d+)", explain(scaled).stdout, re.M))
    assert set(page[1].strip()) <= set(BLOCKS) and page[2] == "50"
    plain = explain(scaled, LC_ALL="C").stdout
    assert plain.isascii() and re.search(r"^  wanted +[_.:=+*#-]+ +3  ", plain, re.M), plain
    assert "history of 1 h" in plain
    source.status = 500
    wait_for(lambda: scaled.object()["held"])


@pytest.mark.parametrize("columns", [60, 80, 132])
def test_the_width_of_the_terminal_is_respected(scaled, columns):
    with Screen([WEIR, "explain", "app", "--data-dir", scaled.data], columns=columns, rows=100) as screen:
        assert screen.ended() == 0
        sent = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in screen.raw.decode().split("\r\n")]
        assert max(map(len, sent)) <= columns, max(sent, key=len)
        whole = words_of(explain(scaled).stdout)
        for step in json.loads(explain(scaled, "-o", "json").stdout)["steps"]:
            assert step["text"] in whole and step["text"] in words_of("\n".join(sent))


def test_json_and_text_are_the_same(scaled):
    record = json.loads(explain(scaled, "-o", "json").stdout)
    page = words_of(explain(scaled).stdout)
    assert record["from"] == "weir" and record["object"]["name"] == "app" and "decision" not in record["object"]
    assert record["after"] == 3 and record["summary"] in page
    assert all(step["text"] in page for step in record["steps"])
    assert record["decisions"] and all(line["summary"] in page for line in record["decisions"])
    for part in record["trace"]:
        assert f"{part['value']:g}" in page


def test_an_earlier_moment(scaled, source):
    time.sleep(1.1)
    source.value = 90
    scaled.wait_ready(5)
    record = json.loads(explain(scaled, "-o", "json").stdout)
    first = record["decisions"][-1]
    then = json.loads(explain(scaled, "-o", "json", "--at", first["at"]).stdout)
    assert then["at"] == first["at"] and "object" not in then and then["outlook"] is None
    page = explain(scaled, "--at", first["at"]).stdout
    assert first["summary"] in page and " ago" not in page.splitlines()[0]
    long_ago = explain(scaled, "--at", "48h")
    assert long_ago.returncode == 1 and "no decision about default/app until then" in long_ago.stderr


def test_decisions_since(scaled, source):
    source.value = 90
    scaled.wait_ready(5)
    wait_for(lambda: scaled.object()["decision"]["before"] == 5)
    page = explain(scaled, "--since", "6h").stdout
    assert "\nsteps\n" not in page and "decisions with a new outcome, the newest first" in page
    listed = json.loads(explain(scaled, "--since", "6h", "-o", "json").stdout)["decisions"]
    assert len(listed) >= 2 and listed == sorted(listed, key=lambda line: line["at"], reverse=True)
    assert all(line["summary"] in page for line in listed)
    none = explain(scaled, "--since", "5h", "--at", "4h")
    assert none.returncode == 0 and "none in this time" in none.stdout
    for wrong in (["--since", "tomorrow"], ["--since", "1h", "--at", "2026-01-01T00:00:00Z", "--watch"], ["--since", "2999-01-01T00:00:00Z"]):
        assert explain(scaled, *wrong).returncode == 2, wrong


def test_watching_on_a_terminal(scaled, source):
    with Screen([WEIR, "explain", "app", "--watch", "--data-dir", scaled.data], columns=100, rows=70) as screen:
        screen.wait_for("3 wanted, ").wait_for("3 ready")
        wait_for(lambda: "\nweir_streams 1\n" in scaled.get("/metrics"))  # it is told, and need not ask again and again
        source.value = 90
        screen.wait_for("5 wanted, ").wait_for("5 ready")
        screen.resize(60, 10)
        screen.wait_for("lines more; make the window higher")
        screen.press("ctrl-c")
        assert screen.ended() == 0
        assert screen.raw.startswith(b"\x1b[?1049h\x1b[?25l") and screen.raw.endswith(b"\x1b[0m\x1b[?25h\x1b[?1049l")


def test_watching_goes_on_while_weir_is_away(scaled):
    with Screen([WEIR, "explain", "app", "-w", "--data-dir", scaled.data], columns=100, rows=70) as screen:
        screen.wait_for("3 ready")
        scaled.kill()
        screen.wait_for("no Weir runs: from the journal")
        scaled.start()
        screen.wait_for(lambda s: "from the journal" not in s.text and "next poll in" in s.text)
        screen.press("ctrl-c")
        assert screen.ended() == 0


def test_watching_into_a_pipe_prints_what_is_new(scaled, source):
    with subprocess.Popen([str(WEIR), "explain", "app", "-w", "--data-dir", str(scaled.data)], stdout=subprocess.PIPE, text=True) as watch:
        first = watch.stdout.readline()
        assert first.startswith("default/app at ")
        source.value = 90
        for line in watch.stdout:
            if "-> 5: " in line:
                break
        watch.terminate()
        rest = watch.stdout.read()
        assert watch.wait(20) == 0 and "\x1b" not in rest


def test_what_a_source_says_cannot_rule_the_terminal(weir, source):
    source.body = b'{"value": "\\u001b]0;owned\\u0007\\u001b[2J"}'
    w = weir()
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: w.object().get("triggers", [{}])[0].get("why"))
    with Screen([WEIR, "explain", "app", "--data-dir", w.data], columns=100, rows=60) as screen:
        assert screen.ended() == 0
        assert not re.search(rb"\x1b(?!\[[0-9;]*m)", screen.raw) and b"\x07" not in screen.raw
        assert "failed" in screen.text


def test_without_a_running_weir(scaled):
    scaled.stop()
    page = explain(scaled).stdout
    assert "(no Weir runs: from the journal)" in page.splitlines()[0] and "\ninputs\n" in page and "\nformula = 26\n" in page
    record = json.loads(explain(scaled, "-o", "json").stdout)
    assert record["from"] == "journal" and record["decisions"]


def test_a_scaled_job(weir, source):
    source.value = 2
    w = weir()
    w.write("work.yaml", JOB.format(url=source.url, maximum=2, command="sleep 1000"))
    w.start()
    wait_for(lambda: w.object("work").get("running") == 2)
    page = subprocess.run([str(WEIR), "explain", "ScaledJob/default/work", "--data-dir", str(w.data)], capture_output=True, text=True, check=True).stdout
    assert "\n  2 jobs run, 0 wait\n" in page and "asks for 2, room for" in page and "\ninputs\n" in page, page
    with Screen([WEIR, "explain", "work", "-w", "--data-dir", w.data], columns=100, rows=40) as screen:
        screen.wait_for("2 jobs run")
        wait_for(lambda: "\nweir_streams 1\n" in w.get("/metrics"))  # found without its kind
        screen.press("ctrl-c")
        assert screen.ended() == 0
