"""When and how far an object scales: the rows of KEDA's own acceptance matrix (keda-operator/08 1) about pauses, idling, waiting, bounds,
targets and triggers that change, in direct mode and with the real HPA controller. Rows about values are in test_matrix_values.py, about
what an object says of itself in test_matrix_objects.py, about jobs in test_matrix_jobs.py."""
import time

import pytest

from api import ApiError, path_of
from namespace import deployment
from rows import PAUSED, PAUSED_IN, PAUSED_OUT, PAUSED_REPLICAS, Rows, metrics_api, scaled_object, workload

rows = Rows()
BOTH = ("direct", "hpa")



# ------------------------------------------------------------------ pauses

def annotate(row, **annotations):
    """annotate(row, paused="true", paused_scale_in=None)"""
    row.annotate("scaledobjects", "web", **{f"autoscaling.keda.sh/{key.replace('_', '-')}": value for key, value in annotations.items()})


def wait_paused(row, in_full=True):
    assert row.wait_condition("Paused", "True", "ScaledObjectPaused") == "ScaledObject is paused"
    row.wait_condition("Ready", "True", "ScaledObjectReady", message="ScaledObject is paused" if in_full else "ScaledObject is defined")


def wait_unpaused(row):
    assert row.wait_condition("Paused", "False", "ScaledObjectUnpaused") == "pause annotation removed for ScaledObject"


def wait_hpa(row, there):
    """In hpa mode it is there, or not; in direct mode it never is."""
    row.wait(lambda: bool(row.hpa()) == (there and row.mode == "hpa"))


@rows(*BOTH)
def pause_scale_in(row):
    source = row.source(4)
    row.start(metrics_api(source, 2), annotations={PAUSED_IN: "true"})
    row.wait_replicas(2)
    wait_paused(row, in_full=False)
    source.value = 0
    row.polled(source)
    row.hold(2)
    wait_hpa(row, True)
    annotate(row, paused_scale_in=None)  # pause_scale_in_restore
    wait_unpaused(row)
    row.wait_replicas(0)


@rows(*BOTH)
def pause_scale_out(row):
    source = row.source(0)
    row.start(metrics_api(source), annotations={PAUSED_OUT: "true"})
    wait_paused(row, in_full=False)
    source.value = 4
    row.polled(source)
    row.hold(0)
    wait_hpa(row, True)
    annotate(row, paused_scale_out=None)
    row.wait_replicas(4)
    annotate(row, paused_scale_out="true")
    wait_paused(row, in_full=False)
    source.value = 8
    row.polled(source)
    row.hold(4)
    source.value = 0  # down is not paused
    row.wait_replicas(0)


@rows(*BOTH)
def pause_at_a_count(row):
    source = row.source(5)
    row.start(metrics_api(source), annotations={PAUSED_REPLICAS: "0"})
    wait_paused(row)
    row.hold(0)
    wait_hpa(row, False)
    annotate(row, paused_replicas=None)
    row.wait_replicas(5)
    wait_unpaused(row)
    wait_hpa(row, True)
    annotate(row, paused_replicas="3")
    row.wait_replicas(3)
    row.wait(lambda: row.status().get("pausedReplicaCount") == 3)
    wait_hpa(row, False)
    source.value = 0
    row.hold(3)
    annotate(row, paused_replicas="7")
    row.wait_replicas(7)
    annotate(row, paused_replicas=None, paused="true")
    row.wait(lambda: "pausedReplicaCount" not in row.status())
    row.hold(7)
    annotate(row, paused=None)
    row.wait_replicas(0)
    assert "pausedReplicaCount" not in row.status()


@rows(*BOTH)
def pause_explicitly(row):
    """Two rounds: ended by taking the annotation away, and by "false"."""
    source = row.source(0)
    row.start(metrics_api(source), annotations={PAUSED: "true"})
    for end in None, "false":
        wait_paused(row)
        wait_hpa(row, False)
        source.value = 5
        row.hold(0, 3)
        annotate(row, paused=end)
        row.wait_replicas(5)
        wait_unpaused(row)
        wait_hpa(row, True)
        annotate(row, paused="true")
        wait_paused(row)
        wait_hpa(row, False)
        source.value = 0
        row.hold(5, 3)
        annotate(row, paused=end)
        row.wait_replicas(0)
        annotate(row, paused="true")
    row.wait_event("ScaledObjectPaused", "ScaledObject is paused")
    row.wait_event("ScaledObjectUnpaused", "pause annotation removed for ScaledObject")


@rows(*BOTH)
def pause_both_annotations(row):
    """The number of paused-replicas is meant, whichever came first."""
    source = row.source(10)
    row.start(metrics_api(source))
    row.wait_replicas(10)
    for first, second in ({"paused": "true"}, {"paused_replicas": "5"}), ({"paused_replicas": "5"}, {"paused": "true"}):
        annotate(row, **first)
        wait_paused(row)
        annotate(row, **second)
        row.wait_replicas(5)
        row.hold(5, 2)
        wait_hpa(row, False)
        annotate(row, paused=None, paused_replicas=None)
        row.wait_replicas(10)


@rows(*BOTH)
def pause_beats_one_direction(row):
    source = row.source(4)
    row.start(metrics_api(source), annotations={PAUSED_IN: "true"})
    row.wait_replicas(4)
    for before, after in ({"paused_scale_in": "true"}, {"paused": "true"}), ({"paused": "true"}, {"paused_scale_out": "true"}):
        source.value = 4
        annotate(row, paused=None, paused_scale_in=None, paused_scale_out=None)
        wait_hpa(row, True)
        annotate(row, **before)
        annotate(row, **after)
        wait_paused(row)
        wait_hpa(row, False)
        source.value = 9 if "paused_scale_in" in before else 0
        row.hold(4, 3)
        annotate(row, paused=None)  # what is left pauses one direction, and the HPA is there
        wait_hpa(row, True)
        row.wait_replicas(9 if "paused_scale_in" in before else 0)
        source.value = 4
        annotate(row, paused_scale_in=None, paused_scale_out=None)
        row.wait_replicas(4)


# ------------------------------------------------------------------ idling and waiting

@rows(*BOTH)
def idle_replicas(row):
    source = row.source(0)
    row.start(metrics_api(source), idleReplicaCount=0, minReplicaCount=2, maxReplicaCount=4)
    row.polled(source)
    row.hold(0, 2)
    source.value = 1
    row.wait_replicas(2)
    row.hold(2, 2)
    source.value = 40
    row.wait_replicas(4)
    source.value = 0
    row.wait_replicas(0)


@rows(*BOTH)
def force_activation(row):
    source = row.source(0)
    row.start(metrics_api(source), idleReplicaCount=0, minReplicaCount=2, maxReplicaCount=4)
    row.polled(source)
    row.hold(0, 2)
    annotate(row, force_activation="true")
    row.wait_replicas(2)
    assert "forced" in row.wait_condition("Active", "True", "ScalerActive")
    annotate(row, force_activation=None)
    row.wait_replicas(0)


@rows(*BOTH)
def initial_cooldown(row):
    source = row.source(0)
    row.start(metrics_api(source), replicas=1, initialCooldownPeriod=10)
    began = time.monotonic()
    row.polled(source)
    row.wait_condition("Active", "False", "ScalerCooldown")
    row.hold(1, 8 - (time.monotonic() - began))
    row.wait_replicas(0)
    assert time.monotonic() - began > 8.9  # creationTimestamp is in whole seconds


@rows(*BOTH)
def polling_interval(row):
    source = row.source(0)
    row.start(metrics_api(source), pollingInterval=9, cooldownPeriod=0)
    row.wait(lambda: source.requests >= 2)  # the first is made at once, the others are spread
    source.value = 1
    row.hold(0, 5)
    row.wait_replicas(1)
    source.value = 0
    row.hold(1, 5)
    row.wait_replicas(0)


@rows(*BOTH)
def cooldown(row):
    source = row.source(1)
    row.start(metrics_api(source), cooldownPeriod=9)
    row.wait_replicas(1)
    source.value = 0
    row.hold(1, 6)
    row.wait_condition("Active", "False", "ScalerCooldown")
    row.wait_replicas(0)
    row.wait_condition("Active", "False", "ScalerNotActive")


# ------------------------------------------------------------------ what changes while it runs

@rows(*BOTH)
def replica_update(row):
    source = row.source(100)
    row.start(metrics_api(source), maxReplicaCount=5)
    for most in 5, 15, 5:
        row.patch("scaledobjects", "web", {"spec": {"maxReplicaCount": most}})
        row.wait_replicas(most)
    source.value = 0
    row.wait_replicas(0)
    for least in 5, 0:
        row.patch("scaledobjects", "web", {"spec": {"minReplicaCount": least}})
        row.wait_replicas(least)


def set_triggers(row, *triggers):
    row.patch("scaledobjects", "web", {"spec": {"triggers": list(triggers)}})


@rows(*BOTH)
def trigger_update(row):
    """Of several triggers the one that wants most counts; a cpu trigger among them too."""
    source, other = row.source(10), row.source(8)
    row.create("deployments", deployment("load", 12))
    row.start(metrics_api(source, 5), container={"resources": {"requests": {"cpu": "100m"}}})
    row.wait_replicas(2)
    for target, wanted in (2, 5), (10, 1):
        set_triggers(row, metrics_api(source, target))
        row.wait_replicas(wanted)
    set_triggers(row, metrics_api(source, 10), metrics_api(other))
    row.wait_replicas(8)
    set_triggers(row, metrics_api(source, 10))
    row.wait_replicas(1)
    set_triggers(row, metrics_api(source, 10), workload("app=load", 4))
    row.wait_replicas(3)
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}}
    row.use("web", cpu="100m")  # each uses all it asked for: to the most
    set_triggers(row, metrics_api(source, 10), workload("app=load", 4), cpu)
    row.patch("scaledobjects", "web", {"spec": {"maxReplicaCount": 7}})
    row.wait_replicas(7)
    row.use("web", cpu="1m")
    row.wait_replicas(3)


@rows("hpa")
def custom_hpa_name(row):
    row.start(metrics_api(row.source(3)), minReplicaCount=1)
    row.wait_replicas(3)
    for new, old in ("by-name", "keda-hpa-web"), (None, "by-name"):
        row.wait(lambda old=old: row.hpa(old))
        row.patch("scaledobjects", "web", {"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": new}}}})
        row.wait(lambda new=new, old=old: row.hpa(new or "keda-hpa-web") and not row.hpa(old))
        assert row.status()["hpaName"] == (new or "keda-hpa-web")
    row.hold(3, 2)


@rows("hpa")
def transfer_of_ownership(row):
    """An HPA that somebody made by hand becomes the object's; it is not made anew, and no count changes."""
    row.create("deployments", deployment("web", 3))
    uid = row.create("horizontalpodautoscalers", {"metadata": {"name": "by-hand"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 3, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
    }})["metadata"]["uid"]
    row.create("scaledobjects", scaled_object(metrics_api(row.source(3)), minReplicaCount=1, advanced={
        "horizontalPodAutoscalerConfig": {"name": "by-hand"}}, annotations={"scaledobject.keda.sh/transfer-hpa-ownership": "true"}))
    row.wait(lambda: row.owned("horizontalpodautoscalers", "web") == ["by-hand"])
    hpa = row.hpa("by-hand")
    assert hpa["metadata"]["uid"] == uid and hpa["spec"]["metrics"][0]["type"] == "External" and not row.hpa()
    row.wait(lambda: row.hpa("by-hand")["status"].get("currentMetrics"))
    row.hold(3, 2)


@rows(*BOTH)
def restore_original(row):
    source = row.source(4)
    row.start(metrics_api(source), replicas=2, advanced={"restoreToOriginalReplicaCount": True})
    row.wait_replicas(4)
    row.wait(lambda: row.status().get("originalReplicaCount") == 2)
    row.delete("scaledobjects", "web")
    row.wait_replicas(2)
    row.hold(2, 2)
    row.wait(lambda: not row.hpa() and not row.get("scaledobjects", "web"))


# ------------------------------------------------------------------ other targets

def up_and_down(row, source, read):
    for value in 5, 10, 5, 0:
        source.value = value
        row.wait(lambda value=value: read() == value)


@rows(*BOTH)
def other_kinds(row):
    """ReplicaSets and StatefulSets."""
    source = row.source(0)
    for kind, resource in ("ReplicaSet", "replicasets"), ("StatefulSet", "statefulsets"):
        body = deployment(kind.lower(), 0)
        if kind == "StatefulSet":
            body["spec"]["serviceName"] = "none"
        row.create(resource, body)
        row.create("scaledobjects", scaled_object(metrics_api(source), name=kind.lower(), target={
            "apiVersion": "apps/v1", "kind": kind, "name": kind.lower()}))
    up_and_down(row, source, lambda: row.replicas("replicaset", "replicasets"))
    row.wait_replicas(0, "statefulset", "statefulsets")
    up_and_down(row, source, lambda: row.replicas("statefulset", "statefulsets"))
    assert row.status("replicaset")["scaleTargetKind"] == "apps/v1.ReplicaSet"


FLEET = {"metadata": {"name": "fleets.test.weir.dev"}, "spec": {
    "group": "test.weir.dev", "scope": "Namespaced", "names": {"plural": "fleets", "singular": "fleet", "kind": "Fleet"},
    "versions": [{
        "name": "v1", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"ships": {"type": "integer"}}},
            "status": {"type": "object", "properties": {"ships": {"type": "integer"}, "selector": {"type": "string"}}}}}},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.ships", "statusReplicasPath": ".status.ships",
                                                 "labelSelectorPath": ".status.selector"}}}]}}


@rows(*BOTH)
def subresource_scale(row):
    """A kind of somebody's own, which Weir first hears of while it runs; whoever looks after it is played here."""
    try:
        row.api.post(path_of("customresourcedefinitions"), FLEET)
    except ApiError as err:
        assert err.status == 409  # the other mode's row
    path = f"/apis/test.weir.dev/v1/namespaces/{row.name}/fleets"
    row.wait(lambda: row.plane.served(path))
    row.api.post(path, {"apiVersion": "test.weir.dev/v1", "kind": "Fleet", "metadata": {"name": "web"}, "spec": {"ships": 0}})

    def ships():
        asked = row.api.get(path + "/web")["spec"].get("ships", 0)
        row.api.patch(path + "/web/status", {"status": {"ships": asked, "selector": "app=web"}})
        return asked

    ships()
    source = row.source(0)
    row.create("scaledobjects", scaled_object(metrics_api(source), target={
        "apiVersion": "test.weir.dev/v1", "kind": "Fleet", "name": "web"}))
    up_and_down(row, source, ships)
    assert row.status()["scaleTargetKind"] == "test.weir.dev/v1.Fleet"
    assert row.status()["scaleTargetGVKR"] == {"group": "test.weir.dev", "version": "v1", "kind": "Fleet", "resource": "fleets"}


# ------------------------------------------------------------------ a neighbour in trouble

@rows(*BOTH)
def broken_neighbour(row):
    """broken_scaledobject_tolerancy: sources that take the connection and say nothing delay nobody else."""
    silent, source = row.source(0), row.source(0)
    silent.hang = True
    row.create("deployments", deployment("broken", 1))
    redis = {"type": "redis", "metadata": {"address": silent.root.removeprefix("http://"), "listName": "l", "listLength": "1"}}
    prometheus = {"type": "prometheus", "metadata": {"serverAddress": silent.root, "query": "up", "threshold": "1"}}
    row.create("scaledobjects", scaled_object(redis, prometheus, metrics_api(silent), name="broken", minReplicaCount=1))
    row.start(metrics_api(source))
    row.wait(lambda: silent.requests)
    for value in 3, 0, 5, 0:
        source.value = value
        row.wait_replicas(value, limit_s=20)
    row.hold(1, 1, "broken")


@pytest.mark.parametrize("name", rows.names())
def test_row(played, name):
    played(name)
