"""What has gone wrong in production elsewhere, provoked on a real control plane (failure-modes K3, K11, K13, J4, T3, T4, O1, O2, O3; K1, K2:
test_api_trouble; K4: test_kill; K5: test_several; K7, K8: test_churn; K10, J1, J2: test_matrix_*; K9 and T1 need no cluster)."""
import json
import random
import threading
import time

import pytest

from namespace import deployment
from proxy import Fault
from support.waiting import wait_for
from witness import Ledger, descriptors, follower, memory_kib, replica_set, scale_writes, trigger

PAUSED = "autoscaling.keda.sh/paused"


@pytest.fixture
def ledger():
    made = Ledger()
    yield made
    made.close()


def target(name):
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name}


def followed(namespace, ledger, name="app", value=3, **more):
    ledger.values[name] = value
    namespace.create("replicasets", replica_set(name, 1))
    namespace.create("scaledobjects", follower(name, ledger, target=target(name), **more))


def stands(namespace, count, name="app", limit_s=15):
    wait_for(lambda: namespace.replicas(name, "replicasets") == count, limit_s, 0.05)


def requests_of(plane, mark):
    """What Weir asked, but for watches that end and go on."""
    return [(e["verb"], e["requestURI"].split("?")[0]) for e in plane.audit(mark, user="weir-a") if e["verb"] != "watch"]


def test_status_makes_no_work(plane, namespace, weir, ledger):
    """K3. Whoever writes the status of an object or of its HPA makes Weir neither poll nor ask nor write."""
    followed(namespace, ledger, annotations={"weir.dev/mode": "hpa"}, pollingInterval=60)
    weir()
    wait_for(lambda: namespace.get("horizontalpodautoscalers", "keda-hpa-app"))
    wait_for(lambda: (namespace.condition("scaledobjects", "app", "Ready") or [""])[0] == "True")
    time.sleep(2)
    mark, polls = plane.audit_mark(), ledger.requests
    for i in range(30):
        namespace.patch("scaledobjects", "app", {"status": {"lastActiveTime": f"2026-01-01T00:00:{i:02}Z"}}, "status")
        namespace.patch("horizontalpodautoscalers", "keda-hpa-app", {"status": {"desiredReplicas": i, "currentReplicas": i}}, "status")
    time.sleep(2)
    assert ledger.requests == polls
    # What stood in the status that Weir writes may be put right, once.
    assert len([r for r in requests_of(plane, mark) if "/events" not in r[1]]) <= 2


def test_long_names(namespace, weir, ledger):
    """K11. The 63 letters of a label are what a name may have, an autoscaler's too; one more is said, and harms no other. The target's
    name may have 253."""
    fits, longer = "n" * (63 - len("keda-hpa-")), "n" * 64
    for name, goes_to in ((fits, "t" * 200), (longer, "other")):
        body = replica_set(goes_to)
        body["spec"]["selector"]["matchLabels"] = body["spec"]["template"]["metadata"]["labels"] = {"app": "long"}
        namespace.create("replicasets", {**body, "spec": {**body["spec"], "replicas": 1}})
        ledger.values[name] = 4
        namespace.create("scaledobjects", follower(name, ledger, target=target(goes_to)))
    weir()
    stands(namespace, 4, "t" * 200)
    said = wait_for(lambda: namespace.condition("scaledobjects", longer, "Ready"))
    assert said[0] == "False" and "64" in said[2] and "63" in said[2]
    assert namespace.replicas("other", "replicasets") == 1
    namespace.annotate("scaledobjects", fits, **{"weir.dev/mode": "hpa"})
    made = wait_for(lambda: namespace.get("horizontalpodautoscalers", f"keda-hpa-{fits}"))
    assert made["metadata"]["labels"]["scaledobject.keda.sh/name"] == fits


def test_edited_in_the_middle(plane, namespace, weir, ledger):
    """K13. While its source keeps it waiting the object is edited, again and again: no answer of the old one counts, and none of it
    looks like inactivity."""
    followed(namespace, ledger, value=6, minReplicaCount=0, cooldownPeriod=0)
    weir()
    stands(namespace, 6)
    mark = plane.audit_mark()
    slow, answer = threading.Event(), ledger.answer

    def slowly(path):
        slow.wait(0.4)
        return answer(path)

    ledger.answer = slowly
    for i in range(20):
        namespace.patch("scaledobjects", "app", {"spec": {"maxReplicaCount": 50 + i, "pollingInterval": 1 + i % 2}})
        time.sleep(random.uniform(0.05, 0.5))
    slow.set()
    time.sleep(2)
    assert scale_writes(plane, mark, namespace=namespace.name) == [] and namespace.replicas("app", "replicasets") == 6


def finished_job(namespace, number):
    body = {"metadata": {"name": f"done-{number}", "labels": {"scaledjob.keda.sh/name": "work"}},
            "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}}}
    namespace.create("jobs", body)


def test_many_jobs_in_the_namespace(namespace, weir, ledger):
    """J4. Hundreds of Jobs with the label, of no generation that Weir knows: they go, and so does what they took."""
    w = weir()
    ledger.values["work"] = 0
    template = deployment("work")["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    namespace.create("scaledjobs", {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "work"}, "spec": {
        "jobTargetRef": {"template": template}, "pollingInterval": 1, "triggers": [trigger(ledger.at("work"))]}})
    wait_for(lambda: ledger.answers["work"])
    used = []
    for _ in range(2):
        for number in range(400):
            finished_job(namespace, number)
        time.sleep(1)
        namespace.api("DELETE", namespace.path("jobs"), {"propagationPolicy": "Background"})
        wait_for(lambda: not namespace.list("jobs"))
        time.sleep(1)
        used.append((memory_kib(w.process.pid), descriptors(w.process.pid)))
    assert used[1][0] < used[0][0] + 1024 and used[1][1] <= used[0][1] + 2, used


def test_paused_again_and_again(namespace, weir, ledger):
    """T3. Two hundred times from outside, and taken away while Weir is down: what counts is what stands there, never stuck."""
    followed(namespace, ledger, value=3)
    w = weir()
    stands(namespace, 3)
    for i in range(200):
        namespace.annotate("scaledobjects", "app", **{PAUSED: "true" if i % 2 else None})
    ledger.values["app"] = 8
    time.sleep(3)
    assert namespace.replicas("app", "replicasets") == 3
    wait_for(lambda: namespace.condition("scaledobjects", "app", "Paused")[0] == "True")
    w.kill()
    namespace.annotate("scaledobjects", "app", **{PAUSED: None})
    w.start()
    stands(namespace, 8)
    wait_for(lambda: namespace.condition("scaledobjects", "app", "Paused")[0] == "False")
    w.kill()
    namespace.annotate("scaledobjects", "app", **{PAUSED: "true"})
    ledger.values["app"] = 2
    w.start()
    time.sleep(3)
    assert namespace.replicas("app", "replicasets") == 8
    namespace.annotate("scaledobjects", "app", **{PAUSED: "false"})
    stands(namespace, 2)


def test_two_want_the_same_target(namespace, weir, ledger):
    """T4. Admitted while there was no webhook: the older one scales, the other says whose the target is; when the older one goes, it
    takes over."""
    followed(namespace, ledger, value=3)
    ledger.values["second"] = 9
    time.sleep(1.1)  # the age of objects is told in seconds
    namespace.create("scaledobjects", follower("second", ledger, target=target("app")))
    weir()
    stands(namespace, 3)
    said = wait_for(lambda: (c := namespace.condition("scaledobjects", "second", "Ready")) and c[0] == "False" and c)
    assert "app" in said[2]
    time.sleep(2)
    assert namespace.replicas("app", "replicasets") == 3
    namespace.delete("scaledobjects", "app")
    stands(namespace, 9)


def test_an_autoscaler_by_hand_is_named(namespace, weir, ledger):
    """T4. An HPA that somebody made on the same target: an event and the condition say at once which it is, until it is gone."""
    ledger.values["app"] = 3
    namespace.create("deployments", deployment("app", 1))
    namespace.create("scaledobjects", follower("app", ledger, target={"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}))
    weir()
    wait_for(lambda: namespace.replicas("app") == 3, 15)
    namespace.create("horizontalpodautoscalers", {"metadata": {"name": "by-hand"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}, "minReplicas": 8, "maxReplicas": 9,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})
    wait_for(lambda: any(reason == "KEDAScaleTargetContested" and "HorizontalPodAutoscaler by-hand" in text
                         for _, reason, text in namespace.events("app")), 60)
    message = lambda: namespace.condition("scaledobjects", "app", "Ready")[2]  # noqa: E731
    wait_for(lambda: "HorizontalPodAutoscaler by-hand" in message(), 10)
    namespace.delete("horizontalpodautoscalers", "by-hand")
    wait_for(lambda: "by-hand" not in message() and namespace.replicas("app") == 3, 60)


def test_series_go_with_their_object(namespace, weir, ledger):
    """O1. Errors are counted from zero on; nothing is left of an object, or of a trigger, that is gone."""
    followed(namespace, ledger, value=3)
    w = weir()
    stands(namespace, 3)

    def series():
        return [line for line in w.get("/metrics").splitlines() if f'namespace="{namespace.name}"' in line]

    assert any(line.startswith("keda_scaler_detail_errors_total") and line.endswith(" 0") for line in series())
    namespace.patch("scaledobjects", "app", {"spec": {"triggers": [{**trigger(ledger.at("app")), "name": "renamed"},
                                                                   {**trigger(ledger.at("app")), "name": "other"}]}})
    wait_for(lambda: any('triggerIndex="1"' in line for line in series()))
    namespace.patch("scaledobjects", "app", {"spec": {"triggers": [trigger(ledger.at("app"))]}})
    wait_for(lambda: not any('triggerIndex="1"' in line for line in series()))
    namespace.delete("scaledobjects", "app")
    wait_for(lambda: series() == [])


def test_not_ready_while_nothing_is_known(namespace, weir, ledger, bad_way):
    """O2. /readyz says why, as long as the objects of the cluster could not be read."""
    followed(namespace, ledger, value=3)
    way = bad_way()
    way.fault = lambda _, path: Fault(status=503) if "/scaledobjects" in path else None
    w = weir(kubeconfig=way.kubeconfig)
    wait_for(lambda: "ScaledObjects of the cluster are not known" in w.get("/readyz"))
    assert w.get("/healthz") == "ok\n"
    way.fault = None
    wait_for(lambda: w.get("/readyz") == "ok\n")
    stands(namespace, 3)


def test_each_change_has_its_decision(plane, namespace, weir, ledger):
    """O3. As many records that write as scales in the audit log, with the same numbers in the same order."""
    followed(namespace, ledger, value=3)
    mark = plane.audit_mark()
    w = weir()
    for value in (3, 9, 4, 12, 2):
        ledger.values["app"] = value
        stands(namespace, value)
    time.sleep(1)
    shown = json.loads(w.get(f"/api/v1/objects/{namespace.name}/app/decisions?limit=100"))["decisions"]
    recorded = [(d["decision"]["before"], d["decision"]["after"]) for d in reversed(shown) if d["decision"]["write"]]
    written = [(x.before, x.replicas) for x in scale_writes(plane, mark, namespace=namespace.name)]
    assert recorded == written and [after for _, after in written] == [3, 9, 4, 12, 2]
