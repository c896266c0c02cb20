"""CloudEvents end to end: a real HTTP server takes them, is away, slow, ill or silent; and Weir goes on."""
import json
import threading
import time

import pytest

from conftest import free_port, manifest, wait_for
from support.receiver import Receiver

SOURCE = """apiVersion: eventing.keda.sh/v1alpha1
kind: {kind}
metadata: {{name: {name}}}
spec:
  clusterName: test
  destination: {{http: {{uri: "{uri}"}}}}
{more}
"""


def event_source(uri, name="sink", kind="CloudEventSource", more=""):
    return SOURCE.format(kind=kind, name=name, uri=uri, more=more)


def types(receiver, name="app"):
    return [request.headers["ce-type"].split(".", 1)[1] for request in list(receiver.taken) if request.headers["ce-subject"].endswith("/" + name)]


def metric(weir, line):
    for text in weir.get("/metrics").splitlines():
        if text.startswith(line + " "):
            return float(text.split()[-1])
    return None


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.close()


def test_the_life_of_an_object(weir, source, receiver):
    """Ready, paused, unpaused, failed, removed: each is told once, in binary mode, with KEDA's source and subject."""
    w = weir()
    w.write("a-sink.yaml", event_source(receiver.root + "/events"))
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"])
    request = receiver.taken[0]
    assert request.path == "/events"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["ce-specversion"] == "1.0"
    assert request.headers["ce-source"] == "/test/keda/keda"
    assert request.headers["ce-subject"] == "/test/default/scaledobject/app"
    assert request.headers["ce-time"].endswith("Z")
    assert json.loads(request.body) == {"reason": "ScaledObjectReady", "message": "ScaledObject is ready for scaling"}
    w.write("app.yaml", manifest(source.url, annotations=', autoscaling.keda.sh/paused: "true"'))
    wait_for(lambda: types(receiver)[1:] == ["scaledobject.paused.v1"])
    w.write("app.yaml", manifest(source.url))
    wait_for(lambda: types(receiver)[2:] == ["scaledobject.unpaused.v1"])
    w.write("app.yaml", manifest(source.url).replace("minReplicaCount: 0", "minReplicaCount: 9"))
    wait_for(lambda: types(receiver)[3:] == ["scaledobject.failed.v1"])
    (w.manifests / "app.yaml").unlink()
    wait_for(lambda: types(receiver)[4:] == ["scaledobject.removed.v1"])
    assert len({request.headers["ce-id"] for request in receiver.taken}) == len(receiver.taken)


def test_filters_and_scope(weir, source, receiver):
    """A source hears of its own namespace, one of the cluster of all; lists of types are kept to."""
    w = weir()
    only = "  eventSubscription: {includedEventTypes: [keda.scaledobject.removed.v1]}"
    but = "  eventSubscription: {excludedEventTypes: [keda.scaledobject.ready.v1]}"
    w.write("a-sinks.yaml", "---\n".join([
        event_source(receiver.root + "/own"), event_source(receiver.root + "/all", "all", "ClusterCloudEventSource"),
        event_source(receiver.root + "/only", "only", more=only), event_source(receiver.root + "/but", "but", more=but)]))
    other = manifest(source.url, name="other").replace("metadata: {name: other}", "metadata: {name: other, namespace: shop}").replace(
        "  name: other\n  annotations", "  name: other\n  namespace: shop\n  annotations")
    w.write("app.yaml", manifest(source.url))
    w.write("other.yaml", other)
    w.start()

    def got(path):
        return sorted((r.headers["ce-subject"].rsplit("/", 1)[1], r.headers["ce-type"].split(".")[2]) for r in list(receiver.taken) if r.path == path)
    wait_for(lambda: got("/all") == [("app", "ready"), ("other", "ready")])
    (w.manifests / "app.yaml").unlink()
    (w.manifests / "other.yaml").unlink()
    wait_for(lambda: len(got("/all")) == 4)
    wait_for(lambda: got("/own") == [("app", "ready"), ("app", "removed")])
    assert got("/only") == got("/but") == [("app", "removed")]


def test_a_receiver_that_comes_back_gets_everything(weir, source):
    """While nobody listens, events wait; nothing gives up, and the source says that it does not work."""
    port = free_port()
    w = weir()
    w.write("a-sink.yaml", event_source(f"http://127.0.0.1:{port}/"))
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.write("more.yaml", manifest(source.url, name="two"))
    wait_for(lambda: "events cannot be delivered" in w.log_text())
    wait_for(lambda: metric(w, 'keda_cloudeventsource_events_queued{namespace="default"}') == 2)
    wait_for(lambda: metric(w, 'keda_cloudeventsource_events_emitted_total{namespace="default",cloudeventsource="sink",eventsink="http",state="failed"}') >= 5,
             limit_s=60)
    assert metric(w, 'weir_cloudeventsource_active{namespace="default",cloudeventsource="sink"}') == 0
    receiver = Receiver(port)
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"], limit_s=90)
    wait_for(lambda: len(receiver.taken) == 2)
    wait_for(lambda: metric(w, 'weir_cloudeventsource_active{namespace="default",cloudeventsource="sink"}') == 1)
    assert "events are delivered again" in w.log_text()
    assert metric(w, 'keda_cloudeventsource_events_queued{namespace="default"}') == 0
    receiver.close()


@pytest.mark.parametrize("illness", ["slow", "500", "hangs", "redirects"])
def test_an_ill_receiver_delays_nobody(weir, source, receiver, illness):
    """Slow, failing, silent, or pointing elsewhere: decisions and other receivers do not wait; once it is well, it gets its events."""
    ill, well = threading.Event(), Receiver()
    elsewhere = Receiver()

    def answer(_):
        if ill.is_set():
            return 200
        if illness == "500":
            return 500
        if illness == "redirects":
            return 307, {"Location": elsewhere.root + "/"}, b""
        ill.wait(30 if illness == "hangs" else 2)
        return 200
    receiver.answer = answer
    source.value = 35
    w = weir()
    w.write("a-sinks.yaml", event_source(receiver.root) + "---\n" + event_source(well.root, "well"))
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: types(well) == ["scaledobject.ready.v1"])
    w.wait_ready(4)
    ill.set()
    wait_for(lambda: "scaledobject.ready.v1" in types(receiver), limit_s=60)
    assert not elsewhere.asked
    well.close()
    elsewhere.close()


def test_restart_and_edits(weir, source, receiver):
    """A Weir that starts says what it finds; a source that is edited sends to the new address; one that is removed sends nothing."""
    w = weir("--k8s-cluster-name", "blue")
    sink = event_source(receiver.root + "/one").replace("  clusterName: test\n", "")
    w.write("a-sink.yaml", sink)
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"])
    assert receiver.taken[0].headers["ce-source"] == "/blue/keda/keda"
    w.kill()
    w.start()
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"] * 2)
    w.write("a-sink.yaml", sink.replace("/one", "/two"))
    time.sleep(2.5)  # files are looked at once a second
    w.write("app.yaml", manifest(source.url, annotations=', autoscaling.keda.sh/paused: "true"'))
    wait_for(lambda: len(receiver.taken) == 3)
    assert receiver.taken[2].path == "/two"
    (w.manifests / "a-sink.yaml").rename(w.manifests / "b-sink.yaml")  # the same source: nothing is lost
    time.sleep(2.5)
    w.write("app.yaml", manifest(source.url))
    wait_for(lambda: len(receiver.taken) == 4)
    (w.manifests / "b-sink.yaml").unlink()
    time.sleep(2.5)
    (w.manifests / "app.yaml").unlink()
    time.sleep(3)
    assert len(receiver.taken) == 4


def test_a_wrong_source_says_so(weir, source):
    """A source without a receiver, or with a type of events that does not exist, harms nobody."""
    w = weir()
    w.write("a.yaml", event_source("http://127.0.0.1:9/", more="  eventSubscription: {includedEventTypes: [keda.scaledobject.redy.v1]}"))
    w.write("b.yaml", "apiVersion: eventing.keda.sh/v1alpha1\nkind: CloudEventSource\nmetadata: {name: grid}\nspec:\n"
                      "  destination: {azureEventGridTopic: {endpoint: \"https://t.example\"}}\n")
    w.write("app.yaml", manifest(source.url))
    source.value = 15
    w.start()
    wait_for(lambda: w.ready() == 2)
    wait_for(lambda: "azureEventGridTopic is not built in" in w.log_text())
    assert "there is no type of events keda.scaledobject.redy.v1" in w.log_text()
