"""How an object went, and its manifest as it was loaded: over HTTP, over restarts, without what may be secret."""
import datetime
import json

import pytest

from conftest import manifest, wait_for
from support.weir import UnixConnection


def ask(w, path):
    """Status and answer."""
    connection = UnixConnection(w.data / "weir.sock")
    try:
        connection.request("GET", f"/api/v1/objects/default/app/{path}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def start(weir, source, **more):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url, **more))
    w.start()
    w.wait_ready(2)
    wait_for(lambda: history(w)["triggers"])
    return w


def history(w, query=""):
    status, chart = ask(w, f"history{query}")
    assert status == 200, chart
    return chart


def versions(w):
    return ask(w, "manifests")[1]["manifests"]


def seconds(chart):
    """For how long something is known, as far as spans can tell."""
    return len(chart["times"]) * chart["spanSeconds"]


def test_values_replicas_and_events(weir, source):
    w = start(weir, source, annotations=', weir.dev/slo: "load < 35"')
    source.value = 40
    w.wait_ready(4)
    wait_for(lambda: history(w, "?since=1h")["triggers"][0]["values"][-1][2] == 40)
    chart = history(w, "?since=1h")
    assert chart["spanSeconds"] == 300
    assert all(t % 300 == 0 for t in chart["times"])
    (load,) = chart["triggers"]
    assert load["name"] == "load" and load["target"] == 10
    assert load["values"][-1][2] == 40
    for column in (chart["wanted"], chart["ready"], chart["slo"], load["values"], load["missing"], load["failed"]):
        assert len(column) == len(chart["times"])
    assert min(chart["slo"]) < 1 and max(chart["slo"]) > 0
    events = [(e["from"], e["to"]) for e in chart["events"]]
    assert events == [(1, 2), (2, 4)]
    assert chart["events"][0]["reason"] == "above-target" and "load at 20" in chart["events"][0]["summary"]
    assert chart["events"] == sorted(chart["events"], key=lambda e: e["at"])


def test_a_source_that_is_away_is_shaded(weir, source):
    w = start(weir, source)
    source.status = 500
    wait_for(lambda: max(history(w)["triggers"][0]["failed"]) > 0)
    assert history(w)["triggers"][0]["missing"][-1] == 0
    assert history(w)["wanted"][-1][1] == 2, "and nothing was taken away"


def test_kill_9_and_restart(weir, source):
    w = start(weir, source)
    w.stop()
    w.start()
    w.wait_ready(2)
    before = history(w)
    assert len(before["events"]) >= 1, "an orderly stop loses nothing"
    w.kill()
    w.start()
    w.wait_ready(2)
    after = history(w)
    assert after["events"][: len(before["events"])] == before["events"]
    assert after["times"][0] == before["times"][0]


@pytest.mark.parametrize("query, status", [
    ("?since=6h", 200),
    ("?since=2160h&points=1", 200),
    ("?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z", 200),
    ("?since=1h&until=2h", 200),
    ("?since=yesterday", 400),
    ("?until=-5m", 400),
    ("?points=0", 400),
    ("?points=1001", 400),
    ("?kind=Deployment", 400),
])
def test_what_may_be_asked(weir, source, query, status):
    w = start(weir, source)
    answered, body = ask(w, f"history{query}")
    assert answered == status, body
    if status == 200:
        assert seconds(body) >= 0
    else:
        assert body["error"]


def test_manifests_and_what_changed(weir, source):
    w = start(weir, source)
    (only,) = versions(w)
    assert only["changes"] == []
    assert "maxReplicaCount: 5\n" in only["yaml"]
    assert datetime.datetime.fromisoformat(only["at"].replace("Z", "+00:00"))
    w.write("app.yaml", manifest(source.url, target="2"))
    wait_for(lambda: len(versions(w)) == 2)
    newest, before = versions(w)
    assert before == only
    assert any("every 2" in change and "was one replica for every 10" in change for change in newest["changes"])
    w.wait_ready(5)
    w.kill()
    w.start()
    w.wait_ready(5)
    assert versions(w) == [newest, before]


def test_no_secret_is_written_down(weir, source):
    canary = "c4n4ry"
    url = source.url.replace("http://", f"http://me:{canary}@") + f"?token={canary}"
    w = weir()
    source.value = 20
    w.write("app.yaml", f"# {canary}\n" + manifest(url, annotations=f", api-token: {canary}"))
    w.start()
    wait_for(lambda: w.object().get("decisions", 0) > 0)
    (only,) = versions(w)
    assert canary not in only["yaml"] and "http://me:***@" in only["yaml"]
    w.write("app.yaml", manifest(url.replace(f"token={canary}", f"token={canary}2"), annotations=f", api-token: {canary}"))
    wait_for(lambda: len(versions(w)) == 2)
    assert versions(w)[0]["changes"] == ["what differs is not shown here, for it may be secret"]
    w.stop()
    for file in w.data.glob("journal.db*"):
        assert canary.encode() not in file.read_bytes()


def test_the_bound_of_the_journal_is_checked(weir):
    w = weir()
    assert "at least 16Mi" in w.cli("run", "--journal-max-bytes", "1Mi", str(w.manifests)).stderr
    assert "not 'much'" in w.cli("run", "--journal-max-bytes", "much", str(w.manifests)).stderr
