"""From values to replicas: the rows of KEDA's own acceptance matrix (keda-operator/08 1) about fallback, scaling modifiers, cached metrics,
metric types, resource metrics and credentials, in direct mode and with the real HPA controller."""
import base64
import time

import pytest

from namespace import deployment
from rows import Rows, cron, metrics_api, scaled_object, workload

rows = Rows()
BOTH = ("direct", "hpa")
FAILING = 500


# ------------------------------------------------------------------ fallback

def fails(row, source, from_, to, seconds=4):
    """The source answers no more: the replicas change as told, and stay."""
    row.wait_replicas(from_)
    source.status = FAILING
    row.wait_condition("Fallback", "True", "FallbackExists")
    row.wait_replicas(to)
    row.hold(to, seconds)
    row.wait_condition("Ready", "True", "ScaledObjectReady")


def fallback(row, value, replicas, kind=None, most=10, behavior="static", at=0, target=1, **spec):
    source = row.source(value)
    row.start(metrics_api(source, target, kind=kind), replicas=at, maxReplicaCount=most,
              fallback={"failureThreshold": 1, "replicas": replicas, "behavior": behavior}, **spec)
    return source


def restored(row, source, to):
    source.status = 200
    row.wait_replicas(to)
    row.wait_condition("Fallback", "False", "NoFallbackFound")


@rows(*BOTH)
def fallback_average_value(row):
    source = fallback(row, 10, 3, "AverageValue")
    fails(row, source, 10, 3)
    health = row.status()["health"]
    assert [(h["status"], h["numberOfFailures"] > 1) for h in health.values()] == [("Failing", True)], health
    restored(row, source, 10)
    row.wait_event("ScaledObjectFallbackActivated", "ScaledObject fallback is active")
    row.wait_event("ScaledObjectFallbackDeactivated", "ScaledObject fallback is no longer active")


@rows(*BOTH)
def fallback_value(row):
    """Value counts per ready replica: at twice the target it doubles up to the most."""
    source = fallback(row, 20, 3, "Value", target=10, most=8)
    fails(row, source, 8, 3)
    restored(row, source, 8)


@rows(*BOTH)
def fallback_without_type(row):
    source = fallback(row, 10, 3)
    fails(row, source, 10, 3)
    restored(row, source, 10)


@rows(*BOTH)
def fallback_current_if_higher(row):
    fails(row, fallback(row, 4, 3, behavior="currentReplicasIfHigher"), 4, 4)


@rows(*BOTH)
def fallback_current_if_lower(row):
    fails(row, fallback(row, 4, 3, behavior="currentReplicasIfLower"), 4, 3)


@rows(*BOTH)
def fallback_current(row):
    fails(row, fallback(row, 4, 3, behavior="currentReplicas"), 4, 4)


@rows(*BOTH)
def fallback_from_zero(row):
    source = fallback(row, 0, 3)
    row.polled(source)
    fails(row, source, 0, 3)


@rows(*BOTH)
def fallback_by_formula(row):
    """behavior scalingModifiers: what fails is nil to the formula, which says what counts then."""
    primary, secondary = row.source(16), row.source(12)
    row.start(metrics_api(primary, name="primary"), metrics_api(secondary, name="secondary"), advanced={"scalingModifiers": {
        "formula": "primary ?? secondary ?? 8", "target": "2"}}, fallback={
            "failureThreshold": 1, "replicas": 1, "behavior": "scalingModifiers"})
    row.wait_replicas(8)
    primary.status = FAILING
    row.wait_replicas(6)
    row.hold(6, 3)
    secondary.status = FAILING
    row.wait_replicas(4)
    row.hold(4, 3)
    primary.status = 200
    row.wait_replicas(8)


# ------------------------------------------------------------------ formulas

@rows(*BOTH)
def scaling_modifiers(row):
    source = row.source(1)
    row.create("deployments", deployment("load", 0))
    # At the activation itself: not above it as in KEDA; in direct mode one that is written out is reached.
    activation, sleeps = ("2", 2) if row.mode == "hpa" else ("2", 1)
    row.start(metrics_api(source, 2, name="metrics_api"), workload("app=load", 1, name="kw_trig"), advanced={"scalingModifiers": {
        "formula": "metrics_api + kw_trig", "target": "2", "activationTarget": activation}},
        fallback={"failureThreshold": 1, "replicas": 5})
    source.value = sleeps
    row.polled(source)
    row.hold(0)
    row.scale("load", 3)
    source.value = 2
    row.wait_replicas(3)
    fails(row, source, 3, 5)
    source.value = 1
    restored(row, source, 2)
    row.patch("scaledobjects", "web", {"spec": {"advanced": {"scalingModifiers": {
        "formula": "count([kw_trig, metrics_api], {# > 1}) > 1 ? 5 : 0"}}}})
    row.wait_replicas(0)
    source.value = 2
    row.wait_replicas(3)
    if row.mode == "hpa":
        assert [m["external"]["metric"]["name"] for m in row.hpa()["spec"]["metrics"]] == ["composite-metric"]


# ------------------------------------------------------------------ cached metrics, types

@rows(*BOTH)
def cache_metrics(row):
    """Polled every 1000 s only, unless what is cached may not be used: then the HPA asks, and Weir itself as often as it would."""
    kept, asked = row.source(4), row.source(4)
    row.start({**metrics_api(kept), "useCachedMetrics": True}, name="kept", pollingInterval=1000)
    row.start(metrics_api(asked), name="asked", pollingInterval=1000)
    row.wait_replicas(4, "kept")
    row.wait_replicas(4, "asked")
    kept.value = asked.value = 2
    row.wait_replicas(2, "asked")
    row.hold(4, name="kept")


@rows(*BOTH)
def value_metric_type(row):
    average, value = row.source(4), row.source(4)
    row.start(metrics_api(average, kind="AverageValue"), name="average", maxReplicaCount=10)
    row.start(metrics_api(value, kind="Value"), name="value", maxReplicaCount=10)
    row.wait_replicas(10, "value")
    row.wait_replicas(4, "average")
    row.hold(4, 2, "average")


# ------------------------------------------------------------------ what pods use

REQUESTS = {"resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}}


def usage(type_, utilization, **metadata):
    return {"type": type_, "metricType": "Utilization", "metadata": {"value": str(utilization), **metadata}}


@rows(*BOTH)
def cpu(row):
    row.start(usage("cpu", 50, containerName="main"), replicas=1, container=REQUESTS, minReplicaCount=1, maxReplicaCount=2)
    row.use("web", cpu="100m")
    row.wait_replicas(2)
    row.use("web", cpu="1m")
    row.wait_replicas(1)


@rows(*BOTH)
def cpu_with_workload(row):
    """cpu alone never goes to zero; with another trigger that one says when."""
    row.create("deployments", deployment("load", 1))
    row.wait_ready(1, "load")
    row.start(usage("cpu", 50), workload("app=load"), replicas=1, container=REQUESTS, maxReplicaCount=2)
    row.use("web", cpu="1m")
    row.hold(1)
    row.scale("load", 0)
    row.wait_replicas(0)
    row.scale("load", 1)
    row.wait_replicas(1)
    row.use("web", cpu="100m")
    row.wait_replicas(2)
    assert row.status()["resourceMetricNames"] == ["cpu"]


@rows(*BOTH)
def memory(row):
    row.start(usage("memory", 50), replicas=1, container=REQUESTS, minReplicaCount=1, maxReplicaCount=2)
    row.use("web", memory="80Mi")
    row.wait_replicas(2)
    row.patch("scaledobjects", "web", {"spec": {"triggers": [usage("memory", 200)]}})
    row.wait_replicas(1)


# ------------------------------------------------------------------ sources inside the cluster, clocks

@rows(*BOTH)
def kubernetes_workload(row):
    row.create("deployments", deployment("load", 2))
    trigger = workload("app=load, app notin (other)")
    trigger["metadata"]["activationValue"] = "2"
    row.start(trigger, maxReplicaCount=10)
    row.wait_condition("Active", "False", "ScalerNotActive")
    row.hold(0)
    for pods, replicas in (5, 5), (12, 10), (5, 5), (1, 0):
        row.scale("load", pods)
        row.wait_replicas(replicas)


@rows(*BOTH)
def kubernetes_resource(row):
    """A number in a ConfigMap, then one in a Secret; neither is 0 while it is not there."""
    def numbered(kind, location):
        return {"type": "kubernetes-resource", "metadata": {"resourceKind": kind, "resourceName": "plan", "key": "plan.json", "format": "json",
                                                            "valueLocation": location, "targetValue": "1"}}

    row.start(numbered("ConfigMap", "workers.0.n"), replicas=2, maxReplicaCount=10)
    row.wait_event("KEDAScalerFailed", "no ConfigMap plan with a key plan.json", kind="Warning")
    row.hold(2)
    row.create("configmaps", {"metadata": {"name": "plan"}, "data": {"plan.json": '{"workers":[{"n":5}]}'}})
    row.wait_replicas(5)
    row.patch("configmaps", "plan", {"data": {"plan.json": '{"workers":[{"n":0}]}'}})
    row.wait_replicas(0)
    row.create("secrets", {"metadata": {"name": "plan"}, "data": {"plan.json": base64.b64encode(b'{"n":"4"}').decode()}})
    row.patch("scaledobjects", "web", {"spec": {"triggers": [numbered("Secret", "n")]}})
    row.wait_replicas(4)


@rows(*BOTH)
def cron_window(row):
    """Four in the window, back to the least after its end."""
    now = time.gmtime(time.time() + 80)  # cron knows minutes: it begins in 20 s at least
    end = time.gmtime(time.time() + 200)
    row.start(cron(4, start=f"{now.tm_min} {now.tm_hour} * * *", end=f"{end.tm_min} {end.tm_hour} * * *"), replicas=1,
              minReplicaCount=1, maxReplicaCount=10)
    row.wait_condition("Ready", "True", "ScaledObjectReady")
    row.hold(1, 1)
    row.wait_replicas(4, limit_s=110)
    over = {"start": "0 0 1 1 *", "end": "1 0 1 1 *"}
    row.patch("scaledobjects", "web", {"spec": {"triggers": [cron(4, **over)]}})
    row.wait_replicas(1)


# ------------------------------------------------------------------ credentials

@rows(*BOTH)
def trigger_auth_secret(row):
    """A token from a Secret by TriggerAuthentication; a new one is used within a poll or so, without a failure first."""
    def data(token):
        return {"token": base64.b64encode(token.encode()).decode()}

    source = row.source(1)
    row.create("secrets", {"metadata": {"name": "key"}, "data": data("one")})
    row.create("triggerauthentications", {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "auth"},
                                          "spec": {"secretTargetRef": [{"parameter": "token", "name": "key", "key": "token"}]}})
    row.create("deployments", deployment("web", 0))
    trigger = {**metrics_api(source, authMode="bearer"), "authenticationRef": {"name": "auth"}}
    row.create("scaledobjects", scaled_object(trigger))
    row.wait_replicas(1)
    assert source.headers[-1]["Authorization"] == "Bearer one"
    row.patch("secrets", "key", {"data": data("two")})
    row.wait(lambda: source.headers[-1]["Authorization"] == "Bearer two", 10)


@pytest.mark.parametrize("name", rows.names())
def test_row(played, name):
    played(name)
