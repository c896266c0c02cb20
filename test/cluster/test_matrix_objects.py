"""What an object says of itself: the rows of KEDA's own acceptance matrix (keda-operator/08 1) about events, conditions, status and the
labels of what is made from it. What the webhook refuses (scaled_object_validation, scaled_job_validation,
trigger_authentication_validation) is in test_admission.py: KEDA's own cases through the real API server."""
import pytest

from api import path_of
from namespace import deployment
from rows import Rows, cron, metrics_api, scaled_job, scaled_object, workload

rows = Rows()
BOTH = ("direct", "hpa")
CHECK_FAILED = "ScaledObject doesn't have correct scaleTargetRef specification"


# ------------------------------------------------------------------ events

@rows(*BOTH)
def events(row):
    row.start(workload("app=nothing"))
    for reason, text in (("KEDAScalersStarted", "Scaler kubernetes-workload is built"), ("KEDAScalersStarted", "Started scalers watch"),
                         ("ScaledObjectReady", "ScaledObject is ready for scaling")):
        row.wait_event(reason, text)
    row.delete("scaledobjects", "web")
    row.wait_event("ScaledObjectDeleted", "ScaledObject was deleted", kind="Warning")


@rows(*BOTH)
def events_of_scaling(row):
    source = row.source(2)
    row.start(metrics_api(source))
    row.wait_event("KEDAScaleTargetActivated", f"Scaled apps/v1.Deployment {row.name}/web from 0 to "
                   f"{1 if row.mode == 'hpa' else 2}, triggered by s0-metric-api-value")
    row.wait_replicas(2)
    source.status = 500
    row.wait_event("KEDAScalerFailed", "500", kind="Warning")
    source.status, source.value = 200, 0
    row.wait_replicas(0)
    row.wait_event("KEDAScaleTargetDeactivated", f"Deactivated apps/v1.Deployment {row.name}/web from ")


@rows(*BOTH)
def events_of_a_missing_target(row):
    """Said twice, as KEDA does: what is missing, and what that makes of the object. It is scaled when the target comes."""
    row.create("scaledobjects", scaled_object(metrics_api(row.source(2))))
    row.wait_event("ScaledObjectCheckFailed", "Target resource doesn't exist", kind="Warning")
    row.wait_event("ScaledObjectCheckFailed", CHECK_FAILED, kind="Warning")
    assert row.wait_condition("Ready", "False", "ScaledObjectCheckFailed").startswith(CHECK_FAILED)
    row.wait_condition("Active", "Unknown", "UnknownState")
    row.create("deployments", deployment("web", 0))
    row.wait_replicas(2)
    row.wait_condition("Ready", "True", "ScaledObjectReady")


@rows(*BOTH)
def events_of_a_target_without_scale(row):
    body = deployment("web")
    del body["spec"]["replicas"]
    row.api.post(f"/apis/apps/v1/namespaces/{row.name}/daemonsets", body)
    row.create("scaledobjects", scaled_object(metrics_api(row.source(2)), target={
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"}))
    row.wait_event("ScaledObjectCheckFailed", "Target resource doesn't expose /scale subresource", kind="Warning")
    row.wait_event("ScaledObjectCheckFailed", CHECK_FAILED, kind="Warning")


@rows("direct")
def events_of_jobs(row):
    row.create("scaledjobs", scaled_job(workload("app=nothing")))
    for reason, text in (("KEDAScalersStarted", "Scaler kubernetes-workload is built"), ("KEDAScalersStarted", "Started scalers watch"),
                         ("ScaledJobReady", "ScaledJob is ready for scaling")):
        row.wait_event(reason, text, "work")
    broken = {"type": "metrics-api", "metadata": {"valueLocation": "value"}}
    row.create("scaledjobs", scaled_job(broken, name="bad"))
    row.wait_event("ScaledJobCheckFailed", "Failed to ensure ScaledJob is correctly created", "bad", kind="Warning")
    row.wait_condition("Ready", "False", "ScaledJobCheckFailed", "bad", "scaledjobs")
    row.delete("scaledjobs", "work")
    row.wait_event("ScaledJobDeleted", "ScaledJob was deleted", "work", kind="Warning")


# ------------------------------------------------------------------ conditions

@rows(*BOTH)
def conditions(row):
    """All triggers fail; one of two; none."""
    one, other = row.source(3), row.source(3)
    one.status = other.status = 500
    row.start(metrics_api(one), metrics_api(other))
    message = row.wait_condition("Ready", "False", "TriggerError")
    assert message.startswith("Triggers defined in ScaledObject are not working correctly")
    row.wait_condition("Active", "False", "ScalerNotActive")
    row.hold(0, 2)
    one.status = 200
    row.wait_replicas(3)
    message = row.wait_condition("Ready", "Unknown", "PartialTriggerError")
    assert message.startswith("Some triggers defined in ScaledObject are not working correctly")
    row.wait_condition("Active", "True", "ScalerActive")
    other.status = 200
    row.wait_condition("Ready", "True", "ScaledObjectReady")
    row.wait_condition("Fallback", "False", "NoFallbackFound")
    if row.mode == "hpa":
        row.wait_condition("HPAActive", "True", "HPAActive")


@rows("direct")
def scaled_job_conditions(row):
    def job(name, *triggers):
        row.create("scaledjobs", scaled_job(*triggers, name=name, maxReplicaCount=3))

    one, other = row.source(3), row.source(3)
    other.status = 500
    job("fine", metrics_api(one))
    job("broken", metrics_api(other))
    job("half", metrics_api(one), metrics_api(other))
    row.wait_condition("Ready", "True", "ScaledJobReady", "fine", "scaledjobs")
    row.wait_condition("Active", "True", "ScalerActive", "fine", "scaledjobs")
    row.wait(lambda: len(row.jobs("fine")) == 3)
    message = row.wait_condition("Ready", "False", "TriggerError", "broken", "scaledjobs")
    assert message.startswith("Triggers defined in ScaledJob are not working correctly")
    row.wait_condition("Active", "False", "ScalerNotActive", "broken", "scaledjobs")
    message = row.wait_condition("Ready", "Unknown", "PartialTriggerError", "half", "scaledjobs")
    assert message.startswith("Some triggers defined in ScaledJob are not working correctly")
    row.wait_condition("Active", "True", "ScalerActive", "half", "scaledjobs")
    row.wait(lambda: row.jobs("half"))
    assert not row.jobs("broken")


# ------------------------------------------------------------------ status

def auth(row, name, kind="TriggerAuthentication"):
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": {"podIdentity": {"provider": "none"}}}
    path = path_of(kind.lower() + "s", None if kind.startswith("Cluster") else row.name)
    row.api.post(path, body)
    return path + "/" + name


def with_auth(trigger, name, kind="TriggerAuthentication"):
    return {**trigger, "authenticationRef": {"name": name, "kind": kind}}


@rows(*BOTH)
def status_update(row):
    """Types of triggers and names of authentications, in columns too; where it scales, by which names."""
    auth(row, "key")
    source = row.source(0)
    triggers = with_auth(metrics_api(source), "key"), cron(1, start="0 0 1 1 *", end="1 0 1 1 *")
    row.start(*triggers, minReplicaCount=1)
    row.create("scaledjobs", scaled_job(*triggers))
    for name, resource in ("web", "scaledobjects"), ("work", "scaledjobs"):
        row.wait(lambda n=name, r=resource: row.status(n, r).get("triggersTypes") == "metrics-api,cron")
        assert row.status(name, resource)["authenticationsTypes"] == "key"
        assert row.kubectl("get", resource, name).splitlines()[0].split()[-3:] == ["TRIGGERS", "AUTHENTICATIONS", "AGE"] \
            or resource == "scaledjobs"
    row.wait(lambda: row.status().get("scaleTargetKind") == "apps/v1.Deployment")
    status = row.status()
    assert status["scaleTargetGVKR"] == {"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}
    assert status["externalMetricNames"] == ["s0-metric-api-value", "s1-cron-UTC-0xxx1-1xxx1"] or \
        status["externalMetricNames"][1].startswith("s1-cron-UTC-")
    assert status.get("hpaName") == ("keda-hpa-web" if row.mode == "hpa" else None)
    row.wait(lambda: row.status().get("triggersActivity", {}).get("s0-metric-api-value") == {"isActive": False})


@rows("direct")
def update_ta(row):
    """Who uses an authentication stands in its status, and is gone with it."""
    cluster = f"{row.name}-key"
    paths = [auth(row, "key"), auth(row, cluster, "ClusterTriggerAuthentication")]
    source = row.source(0)

    def wait_lists(field, wanted):
        row.wait(lambda: [row.api.get(path).get("status", {}).get(field, "") for path in paths] == [wanted, wanted])

    try:
        for resource, field, make in (("scaledobjects", "scaledobjects", scaled_object), ("scaledjobs", "scaledjobs", scaled_job)):
            for name, wanted in ("a", "a"), ("b", "a,b"):
                row.create(resource, make(with_auth(metrics_api(source), "key"),
                                          with_auth(metrics_api(source, 2), cluster, "ClusterTriggerAuthentication"), name=name))
                wait_lists(field, wanted)
            for name, wanted in ("a", "b"), ("b", ""):
                row.delete(resource, name)
                wait_lists(field, wanted)
    finally:
        row.api.delete(paths[1])


@rows("direct")
def events_of_authentications(row):
    """Added and updated, for both kinds in KEDA's words; those of the cluster-wide one are in namespace default."""
    cluster = f"{row.name}-key"
    paths = [auth(row, "key"), auth(row, cluster, "ClusterTriggerAuthentication")]
    try:
        def wait(namespace, name, reason, text):
            row.wait(lambda: any(e["involvedObject"]["name"] == name and e["reason"] == reason and text in e["message"]
                                 for e in row.api.get(path_of("events", namespace))["items"]))

        wait(row.name, "key", "TriggerAuthenticationAdded", "New TriggerAuthentication configured")
        wait("default", cluster, "ClusterTriggerAuthenticationAdded", "New ClusterTriggerAuthentication configured")
        for path in paths:
            row.api.patch(path, {"spec": {"env": [{"parameter": "token", "name": "TOKEN"}]}})
        wait(row.name, "key", "ClusterTriggerAuthenticationUpdated", "ClusterTriggerAuthentication key is updated")
        wait("default", cluster, "ClusterTriggerAuthenticationUpdated", f"ClusterTriggerAuthentication {cluster} is updated")
    finally:
        row.api.delete(paths[1])


# ------------------------------------------------------------------ what is made from it

@rows("hpa")
def hpa_labels(row):
    """The object's labels and annotations are the HPA's too, but for those that are excluded."""
    row.create("deployments", deployment("web", 1))
    body = scaled_object(metrics_api(row.source(1)), minReplicaCount=1, annotations={
        "scaledobject.keda.sh/hpa-excluded-labels": "secret,argocd.argoproj.io/instance", "note": "kept"})
    body["metadata"]["labels"] = {"team": "a", "secret": "b", "argocd.argoproj.io/instance": "c"}
    row.create("scaledobjects", body)
    made = row.wait(row.hpa)["metadata"]
    assert made["labels"] == {"app.kubernetes.io/name": "keda-hpa-web", "app.kubernetes.io/part-of": "web", "team": "a",
                              "app.kubernetes.io/managed-by": "keda-operator", "scaledobject.keda.sh/name": "web",
                              "app.kubernetes.io/version": made["labels"]["app.kubernetes.io/version"]}
    assert made["annotations"]["note"] == "kept"


@rows("direct")
def job_labels(row):
    body = scaled_job(metrics_api(row.source(1)), maxReplicaCount=1, annotations={"scaledjob.keda.sh/job-excluded-labels": "secret"})
    body["metadata"]["labels"] = {"team": "a", "secret": "b"}
    row.create("scaledjobs", body)
    made = row.wait(row.jobs)[0]
    assert made["metadata"]["labels"] | {"app.kubernetes.io/version": ""} == {
        "app.kubernetes.io/name": "work", "app.kubernetes.io/part-of": "work", "app.kubernetes.io/managed-by": "keda-operator",
        "scaledjob.keda.sh/name": "work", "team": "a", "app.kubernetes.io/version": ""}
    assert made["metadata"]["annotations"]["scaledjob.keda.sh/generation"] == "1"
    assert made["metadata"]["ownerReferences"][0]["controller"] and made["metadata"]["name"].startswith("work-")
    assert made["spec"]["template"]["metadata"]["labels"]["scaledjob.keda.sh/name"] == "work"


@pytest.mark.parametrize("name", rows.names())
def test_row(played, name):
    played(name)
