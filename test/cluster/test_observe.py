"""Beside KEDA: its CRDs and its objects, in observe mode, which writes nothing at all; then object by object from KEDA to Weir and back,
without a change of replicas. What was written, and in which order, is read from the API server's audit log."""
import time

import pytest

import keda
from namespace import Namespace, deployment
from plane import Plane
from rows import MODE, metrics_api, scaled_job
from support.source import Source
from support.waiting import wait_for
from support.weir import Running

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
WEIR = "weir-a"
RUNNING = 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One with KEDA's own CRDs."""
    with Plane(tmp_path_factory.mktemp("keda"), crds=False) as plane:
        keda.install_crds(plane)
        yield plane


def scaled_object(name, source, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"name": name}, "pollingInterval": 1, "cooldownPeriod": 1, "maxReplicaCount": 20,
        "triggers": [metrics_api(source)], **spec}}


class Shop:
    """A namespace that KEDA looks after: web and api with four replicas each, and jobs."""

    def __init__(self, plane, name, folder):
        self.namespace, self.plane, self.folder = Namespace(plane, name), plane, folder
        self.source, self.weir = Source(), None
        self.source.value = RUNNING
        for name in "web", "api":
            self.namespace.create("deployments", deployment(name, RUNNING))
            self.namespace.create("scaledobjects", scaled_object(name, self.source))
            keda.adopt(self.namespace, name, RUNNING)
        self.namespace.create("triggerauthentications", {
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": "key", "finalizers": [keda.FINALIZER]}, "spec": {"podIdentity": {"provider": "none"}}})
        jobs = scaled_job(metrics_api(self.source))
        jobs["metadata"]["finalizers"] = [keda.FINALIZER]
        self.namespace.create("scaledjobs", jobs)
        for name in "web", "api":
            self.namespace.wait_ready(RUNNING, name)

    def start(self, mode):
        if self.weir:
            self.weir.stop()
        self.weir = Running(self.folder, "--kubeconfig", self.plane.kubeconfig(WEIR), "--mode", mode,
                            "--watch-namespace", self.namespace.name).start()

    def decided(self, name="web", times=3):
        """Weir has decided so often from now on."""
        before = self.weir.object(name, self.namespace.name).get("decisions", 0)
        wait_for(lambda: self.weir.object(name, self.namespace.name).get("decisions", 0) >= before + times)

    def written(self, since, **wanted):
        """(verb, resource/subresource, name) of what Weir wrote, refused or not."""
        events = self.plane.audit(since, user=WEIR, verb=WRITES, **wanted)
        return [(e["verb"], "/".join(filter(None, (e["objectRef"]["resource"], e["objectRef"].get("subresource")))),
                 e["objectRef"].get("name")) for e in events]

    def versions(self):
        return {(resource, o["metadata"]["name"]): o["metadata"]["resourceVersion"]
                for resource in ("scaledobjects", "scaledjobs", "triggerauthentications") for o in self.namespace.list(resource)}

    def end(self):
        if self.weir:
            self.weir.stop()
        self.source.close()


@pytest.fixture
def shop(cluster, tmp_path, request):
    made = Shop(cluster, request.node.name.removeprefix("test_").replace("_", "-"), tmp_path)
    yield made
    made.end()
    if getattr(request.node, "failed", False):
        print(made.namespace.dump(), made.weir.log_text()[-5000:] if made.weir else "")


def test_observe_writes_nothing(shop):
    """Decisions, API and metrics, whatever happens to the objects; not one write, not even a Lease, an event or a review."""
    since, versions = shop.plane.audit_mark(), shop.versions()
    shop.source.value = 9
    shop.start("observe")
    shop.decided()
    seen = shop.weir.object("web", shop.namespace.name)
    assert seen["mode"] == "observe" and seen["specReplicas"] == RUNNING, seen
    assert "9" in shop.weir.cli("explain", "web", "--namespace", shop.namespace.name).stdout
    assert f'namespace="{shop.namespace.name}"' in shop.weir.get("/metrics")
    assert shop.versions() == versions
    shop.source.value = 0
    shop.decided()
    shop.source.status = 500
    shop.decided()
    shop.namespace.annotate("scaledobjects", "web", **{"autoscaling.keda.sh/paused-replicas": "1"})
    shop.namespace.patch("scaledobjects", "api", {"spec": {"minReplicaCount": 7}})
    shop.decided("api")
    shop.namespace.delete("scaledobjects", "web")  # KEDA's finalizer is KEDA's to take off
    shop.namespace.delete("scaledjobs", "work")
    shop.decided("api")
    assert shop.namespace.get("scaledobjects", "web")["metadata"]["finalizers"] == [keda.FINALIZER]
    shop.weir.stop()
    assert shop.written(since) == []
    assert [shop.namespace.replicas(name) for name in ("web", "api")] == [RUNNING, RUNNING]
    assert not shop.namespace.list("jobs")


def test_from_keda_and_back(shop):
    """observe -> direct -> observe by annotation: the HPA goes before the first scale, no count changes at either hand-over."""
    shop.source.value = 2  # less than runs: what would be stabilized by the HPA is not cut by the hand-over
    shop.start("observe")
    shop.decided()
    since = shop.plane.audit_mark()
    shop.namespace.annotate("scaledobjects", "web", **{MODE: "direct"})
    wait_for(lambda: not shop.namespace.get("horizontalpodautoscalers", "keda-hpa-web"))
    shop.decided()
    assert shop.namespace.replicas("web") == RUNNING
    assert not shop.written(since, resource="deployments")
    shop.source.value = 6
    shop.namespace.wait_ready(6, "web")
    wait_for(lambda: shop.written(since, resource="deployments", name="web"))  # the log comes a little late
    written = shop.written(since)
    scales = [n for n, (_, resource, _) in enumerate(written) if resource.startswith("deployments")]
    assert written.index(("delete", "horizontalpodautoscalers", "keda-hpa-web")) < scales[0], written
    assert {name for _, resource, name in written if resource != "events"} <= {"web", "keda-hpa-web"}  # api is still KEDA's
    assert shop.namespace.condition("scaledobjects", "web", "Ready")[0] == "True"
    assert shop.namespace.get("scaledobjects", "web")["metadata"]["finalizers"] == [keda.FINALIZER]

    shop.namespace.annotate("scaledobjects", "web", **{MODE: "observe"})
    wait_for(lambda: shop.weir.object("web", shop.namespace.name).get("mode") == "observe")
    shop.namespace.create("horizontalpodautoscalers", keda.hpa_of(shop.namespace.get("scaledobjects", "web")))  # KEDA is back
    time.sleep(1)  # what was under way
    since = shop.plane.audit_mark()
    shop.source.value = 12
    shop.decided()
    assert shop.namespace.replicas("web") == 6 and shop.written(since) == []
    assert shop.namespace.get("horizontalpodautoscalers", "keda-hpa-web")


def test_from_keda_by_flag(shop):
    """All at once, by a restart in the other mode: the jobs' object too."""
    shop.source.value = RUNNING
    shop.start("observe")
    shop.decided()
    since = shop.plane.audit_mark()
    shop.start("direct")
    wait_for(lambda: not shop.namespace.list("horizontalpodautoscalers"))
    shop.decided()
    assert [shop.namespace.replicas(name) for name in ("web", "api")] == [RUNNING, RUNNING]
    assert not shop.written(since, resource="deployments")
    wait_for(lambda: len(shop.namespace.list("jobs")) >= RUNNING)
    shop.start("observe")
    since = shop.plane.audit_mark()
    shop.source.value = 15
    shop.decided()
    assert shop.written(since) == []


def test_a_foreign_hpa_stays(shop):
    """An HPA of the name that the object does not own is not Weir's to delete."""
    shop.namespace.delete("horizontalpodautoscalers", "keda-hpa-web")
    made = keda.hpa_of(shop.namespace.get("scaledobjects", "web"))
    del made["metadata"]["ownerReferences"]
    shop.namespace.create("horizontalpodautoscalers", made)
    shop.start("direct")
    wait_for(lambda: not shop.namespace.get("horizontalpodautoscalers", "keda-hpa-api"))
    shop.decided()
    assert shop.namespace.get("horizontalpodautoscalers", "keda-hpa-web")


def test_deleted_when_keda_is_gone(shop):
    """Weir takes KEDA's finalizer off what it looks after, so that nothing stays when KEDA is gone."""
    shop.start("direct")
    shop.decided()
    for resource, name in ("scaledobjects", "web"), ("scaledobjects", "api"), ("scaledjobs", "work"), ("triggerauthentications", "key"):
        shop.namespace.delete(resource, name)
    for resource in "scaledobjects", "scaledjobs", "triggerauthentications":
        wait_for(lambda resource=resource: not shop.namespace.list(resource))
    assert shop.namespace.replicas("web") == RUNNING
