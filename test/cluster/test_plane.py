"""The control plane itself: what the tests of Weir take for granted."""
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api import Api, ApiError, path_of
from namespace import deployment
from proxy import Fault
from support.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*/*.yaml") if not path.name.endswith(".test.yaml"))


def hpa(name, most, metrics):
    return {"metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "minReplicas": 1, "maxReplicas": most,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}, "metrics": metrics}}


def resource_metric(name, utilization):
    return [{"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": utilization}}}]


def scaled_object(name, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"name": name},
        "triggers": [{"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *",
                                                   "desiredReplicas": "2"}}], **spec}}


def test_pods_become_ready_and_go(namespace):
    namespace.create("deployments", deployment("web", 5))
    namespace.wait_ready(5, "web")
    pods = namespace.list("pods", labelSelector="app=web")
    assert {p["status"]["phase"] for p in pods} == {"Running"} and {p["status"]["podIP"] for p in pods} == {"127.0.0.1"}
    namespace.scale("web", 2)
    wait_for(lambda: len(namespace.list("pods")) == 2)


def test_a_pod_may_take_its_time(namespace):
    namespace.create("deployments", deployment("slow", 1, {"test.weir.dev/start-after": "2s", "test.weir.dev/ready-after": "3s"}))
    pod = wait_for(lambda: namespace.list("pods"))[0]
    assert pod["status"]["phase"] == "Pending"
    wait_for(lambda: namespace.list("pods")[0]["status"]["phase"] == "Running")
    assert namespace.ready("slow") == 0
    namespace.wait_ready(1, "slow")


def test_jobs_end_as_they_are_told(namespace):
    for name, code in (("good", "0"), ("bad", "3")):
        template = deployment(name, annotations={"test.weir.dev/run-for": "1s", "test.weir.dev/exit-code": code})["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        namespace.create("jobs", {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}})
    wait_for(lambda: namespace.get("jobs", "good")["status"].get("succeeded") == 1)
    wait_for(lambda: namespace.get("jobs", "bad")["status"].get("failed") == 1)
    template["metadata"]["annotations"] = {}
    namespace.create("jobs", {"metadata": {"name": "endless"}, "spec": {"template": template}})
    wait_for(lambda: namespace.get("jobs", "endless")["status"].get("ready") == 1)
    namespace.api("DELETE", namespace.path("jobs", "endless"), {"propagationPolicy": "Foreground"})
    wait_for(lambda: not namespace.owned("pods", "endless") and not namespace.get("jobs", "endless"))


def test_the_hpa_scales_by_the_cpu_that_is_told(namespace):
    namespace.create("deployments", deployment("web", 1, resources={"requests": {"cpu": "100m"}}))
    namespace.use("web", cpu="100m")
    namespace.create("horizontalpodautoscalers", hpa("web", 4, resource_metric("cpu", 50)))
    namespace.wait_ready(4, "web")  # 100 % of what it asked for, each: to the most
    namespace.use("web", cpu="10m")
    namespace.wait_ready(1, "web")
    shown = namespace.api.get(f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace.name}/pods", labelSelector="app=web")["items"]
    assert [m["containers"] for m in shown] == [[{"name": "main", "usage": {"cpu": "10m"}}]]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_examples_are_accepted(namespace, path):
    namespace.apply(path)
    for line in namespace.kubectl("get", "scaledobjects", "-o", "name").split():
        assert namespace.get("scaledobjects", line.split("/")[1])["spec"]["triggers"]


@pytest.mark.parametrize("spec,words", [
    ({"minReplicaCount": 5, "maxReplicaCount": 2}, "minReplicaCount must be less than or equal to maxReplicaCount"),
    ({"minReplicaCount": 101}, "minReplicaCount must be less than or equal to maxReplicaCount"),
    ({"triggers": []}, "spec.triggers"),
    ({"scaleTargetRef": {}}, "spec.scaleTargetRef.name: Required value"),
    ({"pollingInterval": 0}, "spec.pollingInterval"),
    ({"fallback": {"replicas": 1}}, "spec.fallback.failureThreshold: Required value"),
    ({"fallback": {"replicas": 1, "failureThreshold": 1, "behavior": "guess"}}, 'Unsupported value: "guess"'),
    ({"advanced": {"scalingModifiers": {"metricType": "Utilization"}}}, 'Unsupported value: "Utilization"'),
    ({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}}}}, "3600"),
    ({"triggers": [{"type": "cron", "metadata": {"desiredReplicas": 2}}]}, "must be of type string"),
    ({"triggers": [{"type": "cron", "metadata": {}, "authenticationRef": {"name": "a", "kind": "Secret"}}]}, "Unsupported value"),
])
def test_the_schema_refuses(namespace, spec, words):
    with pytest.raises(ApiError) as refused:
        namespace.create("scaledobjects", scaled_object("app", **spec))
    assert refused.value.status == 422 and words in refused.value.message


def test_what_the_schema_keeps_and_drops(namespace):
    kept = namespace.create("scaledobjects", {**scaled_object("app", fallback={"replicas": 1, "failureThreshold": 2}), "unknown": 1})
    assert kept["spec"]["fallback"]["behavior"] == "static" and "unknown" not in kept and "pollingInterval" not in kept["spec"]
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}}
    job = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "app"}, "spec": {
        "jobTargetRef": {"backoffLimit": 2, "template": pod},
        "triggers": [{"type": "cron", "metadata": {}, "metricType": "Value"}]}}
    kept = namespace.create("scaledjobs", job)
    assert kept["spec"]["jobTargetRef"] == {"backoffLimit": 2, "template": pod}
    assert kept["spec"]["triggers"] == [{"type": "cron", "metadata": {}}]
    auth = {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "app"},
            "spec": {"oauth2": {"clientId": "me", "tokenUrl": "https://token"}}}
    assert namespace.create("triggerauthentications", auth)["spec"]["oauth2"]["type"] == "clientCredentials"


def test_status_is_written_apart_and_shown_in_columns(namespace):
    namespace.create("scaledobjects", scaled_object("app", minReplicaCount=1, maxReplicaCount=7))
    namespace.patch("scaledobjects", "app", {"status": {"triggersTypes": "cron", "scaleTargetKind": "apps/v1.Deployment", "conditions": [
        {"type": "Ready", "status": "True", "reason": "r"}, {"type": "Paused", "status": "False"}]}}, "status")
    head, row = namespace.kubectl("get", "so", "app").splitlines()
    assert head.split() == ["NAME", "SCALETARGETKIND", "SCALETARGETNAME", "MIN", "MAX", "READY", "ACTIVE", "FALLBACK", "PAUSED",
                            "TRIGGERS", "AUTHENTICATIONS", "AGE"]
    assert row.split()[:6] == ["app", "apps/v1.Deployment", "app", "1", "7", "True"]
    assert namespace.condition("scaledobjects", "app", "Ready") == ("True", "r", "")
    assert namespace.get("scaledobjects", "app")["metadata"]["generation"] == 1


def test_who_wrote_what_is_on_record(plane, namespace):
    namespace.create("deployments", deployment("web", 0))
    since, before = plane.audit_mark(), plane.requests().get("weir-b", 0)
    plane.as_user("weir-b").patch(namespace.path("deployments", "web", "scale"), {"spec": {"replicas": 1}})
    written = plane.audit(since, subresource="scale", namespace=namespace.name, verb={"patch", "update"})
    assert [(e["user"]["username"], e["requestObject"]["spec"]["replicas"]) for e in written] == [("weir-b", 1)]
    assert plane.requests()["weir-b"] == before + 1


def test_a_user_may_only_what_was_bound(plane, namespace):
    stranger = plane.user("stranger", "team:a")
    refused = namespace.kubectl("get", "pods", "--kubeconfig", stranger, check=False)
    assert refused.returncode != 0 and 'User "stranger" cannot list resource "pods"' in refused.stderr


def test_tools_of_the_same_release(plane):
    assert "Server Version: v1.36.3" in plane.kubectl("version")
    assert plane.helm("version", "--short").startswith("v3.")


def watch_lines(api, path):
    """The lines of a watch, as they come; ends when the connection does."""
    connection = http.client.HTTPSConnection(api.address.hostname, api.address.port, context=api.context, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        yield from answer
    except http.client.HTTPException:
        pass


def test_a_bad_way_to_the_api_server(plane, namespace, bad_way):
    way = bad_way()
    api = Api(way.url, *plane.identity("weir-a"))
    path = namespace.path("configmaps", "one")
    api.post(namespace.path("configmaps"), {"metadata": {"name": "one"}})
    way.fault = lambda method, _: Fault(status=429, headers={"Retry-After": "1"}) if method == "GET" else None
    with pytest.raises(ApiError, match="429"):
        api.get(path)
    way.fault = lambda *_: Fault(cut_after=20)
    with pytest.raises(OSError):
        api.get(path)
    way.fault = lambda *_: Fault(delay_s=0.3)
    began = time.monotonic()
    assert api.get(path)["metadata"]["name"] == "one" and time.monotonic() - began > 0.3
    way.fault = None
    way.open.clear()
    with pytest.raises(TimeoutError):
        api.ask("GET", path, timeout_s=0.5)
    way.open.set()
    assert way.seen[0] == ("POST", namespace.path("configmaps"))


def test_a_watch_by_the_bad_way(plane, namespace, bad_way):
    way = bad_way()
    lines = watch_lines(Api(way.url, *plane.identity("weir-a")), namespace.path("configmaps") + "?watch=true")
    namespace.create("configmaps", {"metadata": {"name": "one"}})
    assert json.loads(next(lines))["object"]["metadata"]["name"] == "one"
    way.cut()
    assert list(lines) == []


def test_an_api_server_that_dies_comes_back(own_plane):
    plane = own_plane(metrics=False, crds=False)
    plane.api.post(path_of("configmaps", "default"), {"metadata": {"name": "kept"}})
    plane.programs["kube-apiserver"].kill()
    with pytest.raises(OSError):
        plane.api.get(path_of("configmaps", "default", "kept"))
    plane.programs["kube-apiserver"].start()
    wait_for(plane.ready)
    assert plane.api.get(path_of("configmaps", "default", "kept"))


def test_nothing_is_left_when_the_one_who_started_it_is_killed(tmp_path):
    code = f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); from plane import Plane; " \
           f"Plane({str(tmp_path)!r}).start(); print('up', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "up\n"
        pids = [int(path.read_text().split()[0]) for path in tmp_path.glob("*.pid")]
        assert len(pids) == 4 and all(alive(pid) for pid in pids)
        os.kill(owner.pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in pids), 10)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_stays_when_started_from_a_shell(tmp_path):
    here = Path(__file__).parent
    said = subprocess.run([here / "up", tmp_path / "plane", "--no-audit"], capture_output=True, text=True, check=True).stdout
    kubeconfig = said.removeprefix("export KUBECONFIG=").strip()
    try:
        assert "kubelet" in Path(kubeconfig).parent.joinpath("kubelet.kubeconfig").read_text()
        pids = [int(path.read_text().split()[0]) for path in (tmp_path / "plane").glob("*.pid")]
        time.sleep(0.2)
        assert all(map(alive, pids))
    finally:
        subprocess.run([here / "down", tmp_path / "plane"], check=True)
    assert not any(map(alive, pids))
