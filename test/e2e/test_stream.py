"""Live views: the list by pages, the overview, and changes as they happen."""
import json
import socket
import time
import urllib.parse

import pytest
from conftest import manifest, wait_for
from support.weir import UnixConnection

CRON = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}, namespace: {ns}, annotations: {{weir.dev/mode: observe}}}}
spec:
  scaleTargetRef: {{name: nothing}}
  pollingInterval: 3600
  triggers:
  - type: cron
    metadata: {{timezone: UTC, start: 0 0 * * *, end: 59 23 * * *, desiredReplicas: "2"}}
---
"""


class Events:
    """A stream that is open: events as (name, data)."""

    def __init__(self, weir, query=""):
        self.connection = UnixConnection(weir.data / "weir.sock")
        self.connection.request("GET", "/api/v1/stream" + query)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.type = self.answer.getheader("Content-Type")

    def next(self, limit_s=10):
        """The next event; comments are passed over."""
        self.socket.settimeout(limit_s)
        lines = []
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            if line != "\n":
                lines.append(line.rstrip("\n"))
            elif lines and not lines[0].startswith(":"):
                break
            else:
                lines = []
        assert lines[0].startswith("event: ") and lines[1].startswith("data: ") and len(lines) == 2
        return lines[0][7:], json.loads(lines[1][6:])

    def until(self, wanted, limit_s=20):
        """The data of the first event of this name that fits."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            name, data = self.next(end - time.monotonic())
            if wanted(name, data):
                return data
        raise AssertionError("it did not come")

    def close(self):
        self.answer.close()
        self.connection.close()


def ask(weir, path, **query):
    connection = UnixConnection(weir.data / "weir.sock")
    connection.request("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def listed(weir, **query):
    status, body = ask(weir, "/api/v1/objects", **query)
    assert status == 200, body
    return body


def names(body):
    return [row["name"] for row in body["objects"]]


@pytest.fixture
def crowd(weir):
    """1,100 objects in two namespaces, one with a bad manifest."""
    w = weir()
    w.write("crowd.yaml", "".join(CRON.format(name=f"object-{i:04d}", ns="ab"[i % 2]) for i in range(1100)))
    w.write("bad.yaml", CRON.format(name="broken", ns="b").replace("pollingInterval: 3600", "pollingInterval: soon"))
    w.start()
    wait_for(lambda: listed(w, state="active")["matched"] + listed(w, state="failed")["matched"] == 1100, 60)
    return w


def test_pages_filters_and_orders(crowd):
    first = listed(crowd, sort="name", limit=1000)
    rest = listed(crowd, sort="name", limit=1000, offset=1000)
    assert first["total"] == first["matched"] == rest["total"] == 1101
    assert len(first["objects"]) == 1000 and len(rest["objects"]) == 101
    both = [(row["namespace"], row["name"]) for row in first["objects"] + rest["objects"]]
    assert both == sorted(both) and len(set(both)) == 1101
    assert names(listed(crowd, limit=1)) == ["broken"]  # it needs attention most
    assert listed(crowd, limit=1)["objects"][0]["state"] == "bad"
    assert listed(crowd, namespace="a")["matched"] == 550
    assert names(listed(crowd, q="A/OBJECT-0010")) == ["object-0010"]
    assert listed(crowd, type="cron", namespace="b", kind="ScaledObject")["matched"] == 550 + (
        "cron" in listed(crowd, state="bad")["objects"][0]["triggerTypes"])
    assert listed(crowd, kind="ScaledJob") == {"objects": [], "total": 1101, "matched": 0}
    assert listed(crowd, offset=5000)["objects"] == []


@pytest.mark.parametrize("query, word", [
    ({"state": "odd"}, "state is attention, bad"), ({"kind": "Deployment"}, "kind is ScaledObject or ScaledJob"),
    ({"sort": "size"}, "sort is attention, name"), ({"limit": "0"}, "limit is a number from 1 to 1000"),
    ({"limit": "1001"}, "limit"), ({"limit": "ten"}, "limit"), ({"offset": "-1"}, "offset is a number from 0"),
    ({"q": "x" * 254}, "q has at most 253 characters"), ({"type": "x" * 64}, "type has at most 63"),
])
def test_bad_parameters_are_refused_by_name(weir, query, word):
    w = weir().start()
    status, body = ask(w, "/api/v1/objects", **query)
    assert status == 400 and word in body["error"], body


def test_get_takes_all_pages(crowd):
    table = crowd.cli("get")
    assert table.returncode == 0 and len(table.stdout.splitlines()) == 1102, table.stderr
    assert len(json.loads(crowd.cli("get", "--output", "json").stdout)["objects"]) == 1101
    one = crowd.cli("get", "a/object-0010")
    assert len(one.stdout.splitlines()) == 2 and "a/object-0010" in one.stdout
    assert crowd.cli("get", "a/nobody").returncode != 0


def test_overview_counts_and_ranks(crowd, source):
    crowd.write("app.yaml", manifest(source.url))
    crowd.write("far.yaml", manifest("http://127.0.0.1:1/none", name="far"))
    overview = wait_for(lambda: next((o for o in [ask(crowd, "/api/v1/overview")[1]] if o["failingSources"]), None), 20)
    assert overview["objects"] == 1103 and overview["states"]["bad"] == 1
    assert {"name": "a", "objects": 550} in overview["namespaces"] and overview["namespaceCount"] == 3
    assert overview["triggerTypes"][0]["name"] == "cron"
    failing = overview["failingSources"][0]
    assert failing["type"] == "metrics-api" and failing["failing"] == failing["objects"] == 1 and failing["why"]
    assert "127.0.0.1:1" in failing["source"]


def test_rows_come_and_go(weir, source):
    w = weir().start()
    events = Events(w)
    assert events.status == 200 and events.type.startswith("text/event-stream")
    name, hello = events.next()
    assert name == "hello" and hello["platform"] == "local" and {"version", "user", "canAct", "startedAt"} <= set(hello)
    source.value = 10
    w.write("app.yaml", manifest(source.url))
    assert events.until(lambda name, row: name == "row" and row.get("wantedReplicas") == 1)["name"] == "app"
    source.value = 40
    row = events.until(lambda name, row: name == "row" and row.get("wantedReplicas") == 4)
    assert row["state"] == "active" and row["triggerTypes"] == ["metrics-api"]
    (w.manifests / "app.yaml").unlink()
    assert events.until(lambda name, _: name == "gone") == {"kind": "ScaledObject", "namespace": "default", "name": "app"}
    events.close()


def test_a_thousand_changes_at_once_all_arrive(crowd):
    events = Events(crowd)
    assert events.next()[0] == "hello"
    text = (crowd.manifests / "crowd.yaml").read_text()
    crowd.write("crowd.yaml", text.replace("pollingInterval: 3600", "pollingInterval: 1800"))
    waited = {f"object-{i:04d}" for i in range(1100)}
    while waited:
        name, data = events.next(30)
        if name == "row":
            waited.discard(data["name"])
    events.close()


def test_values_alone_are_no_news(weir, source):
    """A list is told what a person would call a change; an object's own page everything, but not more often than twice a second."""
    source.value = 10
    w = weir()
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(1)
    time.sleep(1)
    rows, page = Events(w), Events(w, "?object=ScaledObject/default/app")
    assert page.next()[0] == "hello" and page.next()[0] == "object"
    seen, begin = 0, time.monotonic()
    while time.monotonic() < begin + 4:
        source.value = 9 + (seen % 3) / 10
        name, data = page.next()
        assert name == "object" and data["name"] == "app"
        seen += 1
    assert 4 <= seen <= 9
    assert rows.next()[0] == "hello"
    told = []
    with pytest.raises((TimeoutError, socket.timeout)):
        while True:
            told.append(rows.next(0.3)[0])
    assert "row" not in told, told
    rows.close()
    page.close()


def test_the_overview_is_streamed_when_it_changed(weir, source):
    w = weir().start()
    events = Events(w)
    assert events.until(lambda name, _: name == "overview")["objects"] == 0
    w.write("app.yaml", manifest(source.url))
    assert events.until(lambda name, data: name == "overview" and data["objects"] == 1)["namespaces"] == [
        {"name": "default", "objects": 1}]
    events.close()


def test_what_cannot_be_streamed(weir):
    w = weir().start()
    assert ask(w, "/api/v1/stream", object="ScaledObject/default/nobody")[0] == 404
    for bad in ("nobody", "Deployment/default/app", "ScaledObject/app"):
        assert ask(w, "/api/v1/stream", object=bad)[0] == 400


def test_clients_that_go_are_forgotten(weir, source):
    w = weir()
    w.write("app.yaml", manifest(source.url))
    w.start()
    for _ in range(3):
        streams = [Events(w) for _ in range(100)]
        assert all(stream.status == 200 for stream in streams)
        for stream in streams:
            stream.close()
    events = Events(w)
    assert events.next()[0] == "hello"
    wait_for(lambda: "\nweir_streams 1\n" in w.get("/metrics"))
    events.close()
    wait_for(lambda: "\nweir_streams 0\n" in w.get("/metrics"))


def test_the_overview_knows_objectives_and_costs(weir, source):
    source.value = 10
    w = weir()
    w.write("app.yaml", manifest(source.url, annotations=', weir.dev/slo: "load < 100", weir.dev/cost-per-replica-hour: "0.5"'))
    w.start()
    w.wait_ready(1)
    ask(w, "/api/v1/overview")
    overview = wait_for(lambda: next((o for o in [ask(w, "/api/v1/overview")[1]] if "slo" in o and o["cost"]["cost"] > 0), None), 90)
    assert overview["slo"] == {"objects": 1, "held": 1}
    assert overview["cost"]["objects"] == 1
    assert abs(overview["cost"]["cost"] - overview["cost"]["replicaHours"] / 2) < 1e-9
