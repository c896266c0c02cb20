"""weir top: the table of all objects, driven by keys on terminals of several kinds."""
import json
import re
import socket
import subprocess
import threading
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
from conftest import WEIR, Source, manifest, wait_for
from support.screen import Screen

if "built without ncurses" in subprocess.run([str(WEIR), "help"], capture_output=True, text=True, check=True).stdout:
    pytest.skip("built without ncurses", allow_module_level=True)

MANY = 60


@pytest.fixture
def many(weir, source):
    """A Weir that looks at sixty objects, one of which has a source that fails, and moves nothing."""
    source.value = 20
    w = weir("--mode", "observe")
    for i in range(MANY):
        w.write(f"app-{i:02}.yaml", manifest(source.url, name=f"app-{i:02}"))
    w.write("broken.yaml", manifest("http://127.0.0.1:9/value", name="broken"))
    lone = manifest(source.url, name="lone")
    w.write("other.yaml", lone.replace("{name: lone}\nspec", "{name: lone, namespace: shop}\nspec").replace("  name: lone\n", "  name: lone\n  namespace: shop\n"))
    w.start()
    wait_for(lambda: json.loads(w.get("/api/v1/objects?q=broken"))["objects"][0].get("state") == "failed", 60)
    wait_for(lambda: all(o.get("wantedReplicas") == 2 for o in json.loads(w.get("/api/v1/objects?q=app-"))["objects"]), 60)
    return w


def top(w, *arguments, **options):
    return Screen([WEIR, "top", "--data-dir", w.data, *arguments], **options)


def named(screen):
    return re.findall(r"^[a-z]+/([a-z0-9-]+)", screen.text, re.M)


def test_what_needs_attention_comes_first(many):
    with top(many, columns=100, rows=24) as screen:
        screen.wait_for(f"{MANY + 2} objects, 1 to 21; by attention").wait_for(lambda s: len(named(s)) == 21)
        assert screen.lines[1].split() == ["NAME", "REPLICAS", "BOUNDS", "STATE", "REASON", "WHY"]
        assert named(screen)[0] == "broken"
        screen.press("down")  # what is chosen has no colours
        screen.wait_for(lambda s: "app-" in s.reversed_line())
        assert screen.colours_of("failed") == {"red"}
        screen.press("q")
        assert screen.ended() == 0
        assert screen.raw.rstrip().endswith((b"\x1b[?1l\x1b>", b"\x1b[?1049l", b"\x1b[?12l\x1b[?25h"))


def test_keys_move_the_choice(many):
    with top(many, columns=80, rows=13) as screen:
        screen.press("s")
        screen.wait_for("1 to 10; by name").wait_for(lambda s: "app-00" in s.reversed_line())
        screen.press("down", "down", "up")
        screen.wait_for(lambda s: "app-01" in s.reversed_line())
        screen.press("pgdn")
        screen.wait_for(lambda s: "app-11" in s.reversed_line() and len(named(s)) == 10)
        screen.press("end")
        screen.wait_for(lambda s: "shop/lone" in s.reversed_line()).wait_for("53 to 62")
        screen.press("down")
        screen.press("home")
        screen.wait_for(lambda s: "app-00" in s.reversed_line()).wait_for("1 to 10")


def test_filters(many):
    with top(many, columns=80, rows=24) as screen:
        screen.wait_for("62 objects")
        screen.press("/", "a", "p", "p", "-", "1")
        screen.wait_for("10 of them shown").wait_for("name has: app-1")
        screen.wait_for(lambda s: sorted(named(s)) == [f"app-{i}" for i in range(10, 20)])
        screen.press("backspace", "3", "enter")
        screen.wait_for("name has 'app-3'").wait_for("? help")
        screen.press("/", "x", "escape")
        screen.wait_for("10 of them shown").wait_for("name has 'app-3'")
        screen.press("/", *["backspace"] * 5, "enter", "n", *"shop", "enter")
        screen.wait_for("namespace shop").wait_for(lambda s: named(s) == ["lone"])
        screen.press("n", *["backspace"] * 4, "enter", "a")
        screen.wait_for("only what needs attention").wait_for(lambda s: named(s) == ["broken"])
        screen.press("/", *"nobody")
        screen.wait_for("no object is like that")


def test_filters_on_the_command_line(many):
    with top(many, "--filter", "app-0", "-n", "default", columns=80, rows=24) as screen:
        screen.wait_for("10 of them shown")
    with top(many, "--attention", columns=80, rows=24) as screen:
        screen.wait_for("1 of them shown")


def test_an_object_as_explain_shows_it(many):
    with top(many, columns=90, rows=30) as screen:
        screen.wait_for(lambda s: "broken" in s.reversed_line())
        screen.press("enter")
        screen.wait_for("default/broken at").wait_for("inputs")
        wait_for(lambda: "\nweir_streams 1\n" in many.get("/metrics"))
        page = subprocess.run([str(WEIR), "explain", "broken", "--data-dir", str(many.data)], capture_output=True, text=True, check=True).stdout
        state_of = re.compile(r"^default/broken at .*: failed\n  1: load failed \(\d+ in a row\): nothing is taken away\n  Deployment", re.M)
        assert state_of.search(page) and state_of.search(screen.text)
        screen.resize(90, 10)
        screen.wait_for(lambda s: "steps" not in s.text)
        screen.press("pgdn", "pgdn", "pgdn")
        screen.wait_for("decisions with a new outcome")
        screen.press("escape")
        screen.wait_for("62 objects")
        screen.press("?")
        screen.wait_for("another order")
        screen.press("q")
        screen.wait_for("62 objects")
        screen.press("q")
        assert screen.ended() == 0


def test_it_is_live(many, source):
    with top(many, "--filter", "app-07", columns=100, rows=10) as screen:
        screen.wait_for(lambda s: re.search(r"app-07 .* 1/2 ", s.text))
        source.value = 40
        screen.wait_for(lambda s: re.search(r"app-07 .* 1/4 ", s.text))


@pytest.mark.parametrize("columns, rows", [(40, 8), (20, 4), (200, 50), (10, 3), (5, 1)])
def test_sizes(many, columns, rows):
    with top(many, columns=80, rows=24) as screen:
        screen.wait_for("62 objects")
        screen.resize(columns, rows)
        if columns >= 40:
            screen.wait_for(lambda s: len(named(s)) == min(rows - 3, MANY + 2) and "failed" in s.text)
        screen.press("down", "pgdn", "end", "home")
        time.sleep(0.3)
        screen.resize(100, 24)
        screen.wait_for("62 objects, 1 to 21").press("q")
        assert screen.ended() == 0


@pytest.mark.parametrize("env", [{"TERM": "vt100"}, {"NO_COLOR": "1"}])
def test_without_colours(many, env):
    with top(many, columns=100, rows=20, **env) as screen:
        screen.wait_for("62 objects").wait_for("failed")
        assert screen.colours_of("failed") == {"default"}


def test_without_utf8(many):
    with top(many, columns=100, rows=40, LC_ALL="C") as screen:
        screen.wait_for(lambda s: "broken" in s.reversed_line())
        screen.press("enter")
        screen.wait_for("inputs")
        assert screen.raw.isascii()


@pytest.mark.parametrize("term, says", [("no-such-terminal", "'no-such-terminal' ($TERM) is not known"), (None, "'' ($TERM)"),
                                        ("dumb", "cannot move its cursor")])
def test_terminals_that_will_not_do(many, term, says):
    with top(many, columns=200, rows=10, TERM=term) as screen:
        assert screen.ended() == 1
        assert says in screen.text and "weir get" in screen.text


def test_no_terminal(many):
    got = subprocess.run([str(WEIR), "top", "--data-dir", str(many.data)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert got.returncode == 1 and "needs a terminal" in got.stderr and "weir get -w" in got.stderr and got.stdout == ""


def test_no_weir(tmp_path):
    with Screen([WEIR, "top", "--data-dir", tmp_path], columns=200, rows=10) as screen:
        assert screen.ended() == 1
        assert "no Weir is running" in screen.text


def test_weir_goes_and_comes_back(many):
    with top(many, columns=120, rows=10) as screen:
        screen.wait_for("62 objects")
        many.kill()
        screen.wait_for("not the newest: no Weir is running")
        assert named(screen)
        many.start()
        screen.wait_for(lambda s: "not the newest" not in s.text)
        screen.press("ctrl-c")
        assert screen.ended() == 0



class Counted(Source):
    """A list of ten thousand objects, of which it says no more than it is asked for."""

    TOTAL = 10000

    def answer(self, path):
        self.asked = getattr(self, "asked", [])
        query = dict(parse_qsl(urlsplit(path).query))
        self.asked.append(query)
        at, limit = int(query["offset"]), int(query["limit"])
        rows = [{"kind": "ScaledObject", "namespace": "shop", "name": f"app-{i:05}", "state": "active", "attention": 0, "reason": "steady",
                 "minReplicas": 0, "maxReplicas": 9, "readyReplicas": 3, "wantedReplicas": 3, "summary": "3: running now: 3"}
                for i in range(at, min(at + limit, self.TOTAL))]
        return json.dumps({"objects": rows, "total": self.TOTAL, "matched": self.TOTAL}).encode()


@pytest.fixture
def ten_thousand(tmp_path):
    """A data dir whose socket leads to a Counted."""
    source = Counted()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "weir.sock"))
    listener.listen(20)

    def pass_on(one, other):
        while data := one.recv(65536):
            other.sendall(data)
        other.close()

    def serve():
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", source.server.server_port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    source.data = tmp_path
    yield source
    source.close()


def test_only_what_is_shown_is_asked_for(ten_thousand):
    with top(ten_thousand, columns=80, rows=23) as screen:
        screen.wait_for("10000 objects, 1 to 20")
        screen.press("end")
        screen.wait_for("9981 to 10000").wait_for("app-09999")
        screen.press("home")
        screen.wait_for("1 to 20").wait_for("app-00000")
        before = len(ten_thousand.asked)
        screen.press(*["down"] * 39)  # two screens are there already
        screen.wait_for(lambda s: "app-00039" in s.reversed_line())
        assert len(ten_thousand.asked) - before <= 3  # but for what is asked every second
        screen.press(*["pgdn"] * 50)
        screen.wait_for("app-01039")
    assert max(int(query["limit"]) for query in ten_thousand.asked) == 60
