"""KEDA as it leaves a cluster, without KEDA: its own CRDs, taken from its Go module, and objects as its operator has written them."""
import json
import os
import subprocess

from support.waiting import wait_for

MODULE, SUM = "github.com/kedacore/keda/v2@v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="
FINALIZER = "finalizer.keda.sh"
METRIC = "s0-metric-api-value"


def crds():
    """The folder to apply with kubectl -k: 3 MB from the Go module proxy, once."""
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/local/go/bin", GOFLAGS="-mod=mod", GONOSUMDB=MODULE.split("@")[0])
    got = subprocess.run(["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, env=env, cwd="/", check=False)
    said = json.loads(got.stdout or "{}")
    if said.get("Sum") != SUM:
        raise RuntimeError(f"{MODULE} could not be fetched: {got.stderr or said}")
    return said["Dir"] + "/config/crd"


def install_crds(plane):
    plane.kubectl("apply", "--server-side", "-k", crds())
    wait_for(lambda: all(plane.served(f"/apis/keda.sh/v1alpha1/{name}") for name in (
        "scaledobjects", "scaledjobs", "triggerauthentications", "clustertriggerauthentications")))


def hpa_of(scaled_object, target=1):
    """The HPA that its operator makes of a ScaledObject with one metrics-api trigger."""
    name, spec = scaled_object["metadata"]["name"], scaled_object["spec"]
    return {"metadata": {"name": f"keda-hpa-{name}", "labels": {
        "app.kubernetes.io/managed-by": "keda-operator", "app.kubernetes.io/name": f"keda-hpa-{name}", "app.kubernetes.io/part-of": name,
        "app.kubernetes.io/version": "2.21.0", "scaledobject.keda.sh/name": name}, "ownerReferences": [
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": name, "uid": scaled_object["metadata"]["uid"],
             "controller": True, "blockOwnerDeletion": True}]},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec["scaleTargetRef"]["name"]},
                     "minReplicas": spec.get("minReplicaCount") or 1, "maxReplicas": spec.get("maxReplicaCount", 100), "metrics": [
                         {"type": "External", "external": {"metric": {"name": METRIC, "selector": {
                             "matchLabels": {"scaledobject.keda.sh/name": name}}},
                             "target": {"type": "AverageValue", "averageValue": str(target)}}}]}}


def condition(type_, status, reason, message):
    return {"type": type_, "status": status, "reason": reason, "message": message}


def adopt(namespace, name, replicas):
    """What KEDA's operator has done to a ScaledObject that it looks after: finalizer, label, status, HPA."""
    made = namespace.patch("scaledobjects", name, {"metadata": {"finalizers": [FINALIZER],
                                                                "labels": {"scaledobject.keda.sh/name": name}}})
    namespace.create("horizontalpodautoscalers", hpa_of(made))
    namespace.patch("scaledobjects", name, {"status": {
        "hpaName": f"keda-hpa-{name}", "scaleTargetKind": "apps/v1.Deployment", "originalReplicaCount": replicas,
        "scaleTargetGVKR": {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"},
        "externalMetricNames": [METRIC], "triggersTypes": "metrics-api", "lastActiveTime": "2026-01-01T00:00:00Z",
        "triggersActivity": {METRIC: {"isActive": True}}, "health": {}, "conditions": [
            condition("Ready", "True", "ScaledObjectReady", "ScaledObject is defined correctly and is ready for scaling"),
            condition("Active", "True", "ScalerActive", "Scaling is performed because triggers are active"),
            condition("Fallback", "False", "NoFallbackFound", "No fallbacks are active on this scaled object"),
            condition("Paused", "Unknown", "", "")]}}, "status")
