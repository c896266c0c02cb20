"""CloudEventSources in a cluster: what they are sent, what their status says, who hears what; and the events of their own that only a cluster
has (authentications, roll-outs of jobs)."""
import json

import pytest

from namespace import deployment
from rows import metrics_api
from support.receiver import Receiver
from support.waiting import free_port, wait_for


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def event_source(uri, name="ops", kind="CloudEventSource", **spec):
    return {"apiVersion": "eventing.keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"clusterName": "test", "destination": {"http": {"uri": uri}}, **spec}}


def scaled_object(source, name="web", **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"name": name}, "pollingInterval": 1, "minReplicaCount": 1, "triggers": [metrics_api(source)], **spec}}


def types(receiver, path="/"):
    return [taken.headers["ce-type"].split(".", 1)[1] for taken in list(receiver.taken) if taken.path == path]


def active(namespace, name="ops"):
    return namespace.condition("cloudeventsources", name, "Active")


def test_the_life_of_an_object(namespace, weir, source, receiver):
    """Ready, failed, removed: as KEDA sends them, and the source's condition Active says that they get there."""
    namespace.create("cloudeventsources", event_source(receiver.root + "/"))
    namespace.create("deployments", deployment("web", 1))
    weir("--watch-namespace", namespace.name)
    wait_for(lambda: active(namespace) and active(namespace)[:2] == ("True", "CloudEventSourceActive"))
    namespace.create("scaledobjects", scaled_object(source))
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"])
    taken = receiver.taken[0]
    assert taken.headers["ce-subject"] == f"/test/{namespace.name}/scaledobject/web"
    assert taken.headers["ce-source"].startswith("/test/") and taken.headers["ce-source"].endswith("/keda")
    assert json.loads(taken.body) == {"reason": "ScaledObjectReady", "message": "ScaledObject is ready for scaling"}
    namespace.create("scaledobjects", scaled_object(source, "missing"))
    wait_for(lambda: "scaledobject.failed.v1" in types(receiver))
    assert any("missing" in json.loads(t.body)["message"] or "exist" in json.loads(t.body)["message"] for t in receiver.taken[1:])
    namespace.annotate("scaledobjects", "web", **{"autoscaling.keda.sh/paused": "true"})
    wait_for(lambda: "scaledobject.paused.v1" in types(receiver))
    namespace.annotate("scaledobjects", "web", **{"autoscaling.keda.sh/paused": None})
    wait_for(lambda: "scaledobject.unpaused.v1" in types(receiver))
    namespace.delete("scaledobjects", "web")
    wait_for(lambda: "scaledobject.removed.v1" in types(receiver))


def test_authentications_are_told(namespace, weir, source, receiver):
    """They come, change and go; KEDA's webhook refuses filters on these types, its CRD does not."""
    namespace.create("cloudeventsources", event_source(receiver.root + "/"))
    weir("--watch-namespace", namespace.name)
    wait_for(lambda: active(namespace))
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "key"}, "spec": {"podIdentity": {"provider": "none"}}}
    namespace.create("triggerauthentications", body)
    wait_for(lambda: types(receiver) == ["authentication.triggerauthentication.created.v1"])
    namespace.patch("triggerauthentications", "key", {"spec": {"env": [{"parameter": "a", "name": "A"}]}})
    wait_for(lambda: types(receiver)[1:] == ["authentication.triggerauthentication.updated.v1"])
    namespace.delete("triggerauthentications", "key")
    wait_for(lambda: types(receiver)[2:] == ["authentication.triggerauthentication.removed.v1"])
    assert {t.headers["ce-subject"] for t in receiver.taken} == {f"/test/{namespace.name}/triggerauthentication/key"}


def test_the_status_follows_the_receiver(namespace, weir, source):
    """False with a reason while nobody listens, True again afterwards; and what happened meanwhile arrives."""
    port = free_port()
    namespace.create("cloudeventsources", event_source(f"http://127.0.0.1:{port}/"))
    namespace.create("deployments", deployment("web", 1))
    weir("--watch-namespace", namespace.name)
    wait_for(lambda: active(namespace))
    namespace.create("scaledobjects", scaled_object(source))
    wait_for(lambda: active(namespace)[:2] == ("False", "CloudEventSourceFailed"))
    assert "tried again" in active(namespace)[2] and str(port) in active(namespace)[2]
    version = namespace.get("cloudeventsources", "ops")["metadata"]["resourceVersion"]
    receiver = Receiver(port, answer=lambda _: 503 if len(receiver.asked) < 3 else 200)
    wait_for(lambda: len(receiver.asked) >= 2, limit_s=60)
    assert namespace.get("cloudeventsources", "ops")["metadata"]["resourceVersion"] == version  # not written at each attempt
    wait_for(lambda: types(receiver) == ["scaledobject.ready.v1"], limit_s=60)
    wait_for(lambda: active(namespace)[:2] == ("True", "CloudEventSourceActive"))
    receiver.close()


def test_sources_that_cannot_be_sent_to(namespace, weir):
    """Event Grid is not built in, and no destination at all is none: the condition says so. The API refuses types that do not exist."""
    grid = event_source("", "grid")
    grid["spec"]["destination"] = {"azureEventGridTopic": {"endpoint": "https://t.example"}}
    nowhere = event_source("", "nowhere")
    nowhere["spec"]["destination"] = {}
    namespace.create("cloudeventsources", grid)
    namespace.create("cloudeventsources", nowhere)
    weir("--watch-namespace", namespace.name)
    wait_for(lambda: (active(namespace, "grid") or [""])[0] == "False")
    assert "azureEventGridTopic is not built in" in active(namespace, "grid")[2]
    wait_for(lambda: (active(namespace, "nowhere") or [""])[0] == "False")
    refused = namespace.kubectl("apply", "-f", "-", stdin=json.dumps(
        event_source("http://x/", "bad", eventSubscription={"includedEventTypes": ["keda.scaledobject.redy.v1"]})), check=False)
    assert refused.returncode != 0 and "invalid" in refused.stderr.lower()


def test_who_hears_what(plane, namespace, weir, source, receiver):
    """A source hears of its own namespace; one of the cluster of all; filters are kept to."""
    from namespace import Namespace
    other = Namespace(plane, namespace.name + "-other")
    every = event_source(receiver.root + "/all", namespace.name, "ClusterCloudEventSource")
    plane.api.post("/apis/eventing.keda.sh/v1alpha1/clustercloudeventsources", every)
    namespace.create("cloudeventsources", event_source(receiver.root + "/own"))
    namespace.create("cloudeventsources", event_source(receiver.root + "/only", "only",
                                                       eventSubscription={"includedEventTypes": ["keda.scaledobject.removed.v1"]}))
    for each in namespace, other:
        each.create("deployments", deployment("web", 1))
        each.create("scaledobjects", scaled_object(source))
    weir("--watch-namespace", f"{namespace.name},{other.name}")
    wait_for(lambda: types(receiver, "/all") == ["scaledobject.ready.v1"] * 2)
    for each in namespace, other:
        each.delete("scaledobjects", "web")
    wait_for(lambda: len(types(receiver, "/all")) == 4)
    wait_for(lambda: types(receiver, "/own") == ["scaledobject.ready.v1", "scaledobject.removed.v1"])
    assert types(receiver, "/only") == ["scaledobject.removed.v1"]
    plane.api.delete(f"/apis/eventing.keda.sh/v1alpha1/clustercloudeventsources/{namespace.name}")
