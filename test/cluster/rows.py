"""Stories that mostly wait, played at the same time with one Weir: a file's rows take as long together as the longest of them.

    rows = Rows()

    @rows("direct", "hpa")                       # once in each mode, in a namespace of its own
    def idle_replicas(row):
        source = row.source(0)
        row.create("deployments", deployment("web", 0))
        row.create("scaledobjects", scaled_object(metrics_api(source), idleReplicaCount=0, minReplicaCount=2))
        source.value = 5
        row.wait_replicas(2)

    @pytest.mark.parametrize("name", rows.names())
    def test_row(played, name):                  # fixture played of conftest.py: all of this file's that were asked for
        played(name)

A row is plain code from top to bottom. What fails is told by the test of that row, with what stood there at that moment.
"""
import json
import time
from concurrent.futures import ThreadPoolExecutor

from api import ApiError
from namespace import Namespace, deployment
from support.source import Source
from support.waiting import wait_for

AT_ONCE = 40       # rows under way: each asks the API server a few times a second
LOOK_EVERY_S = 0.3
LIMIT_S = 60
MODE = "weir.dev/mode"
PAUSED, PAUSED_REPLICAS = "autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"
PAUSED_IN, PAUSED_OUT = "autoscaling.keda.sh/paused-scale-in", "autoscaling.keda.sh/paused-scale-out"
# Without these the HPA waits: 15 s between steps up, five minutes before one down.
AT_ONCE_BEHAVIOR = {"scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
                    "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]}}


# ------------------------------------------------------------------ manifests

def metrics_api(source, target=1, name=None, kind=None, **metadata):
    trigger = {"type": "metrics-api", "metadata": {"url": source.url, "valueLocation": "value", "targetValue": str(target), **metadata}}
    return {**trigger, **({"name": name} if name else {}), **({"metricType": kind} if kind else {})}


def workload(selector, value=1, name=None):
    trigger = {"type": "kubernetes-workload", "metadata": {"podSelector": selector, "value": str(value)}}
    return {**trigger, **({"name": name} if name else {})}


def cron(replicas, **metadata):
    """On, but for a minute at the end of the year."""
    return {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 0 1 1 *", "end": "59 23 31 12 *", "desiredReplicas": str(replicas),
                                         **metadata}}


def scaled_object(*triggers, name="web", annotations=None, target=None, advanced=None, **spec):
    """Polls each second, cools down for one, and its HPA does not wait."""
    config = {"behavior": AT_ONCE_BEHAVIOR, **(advanced or {}).get("horizontalPodAutoscalerConfig", {})}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {"scaleTargetRef": target or {"name": name}, "pollingInterval": 1, "cooldownPeriod": 1, "maxReplicaCount": 20,
                     "triggers": list(triggers), "advanced": {**(advanced or {}), "horizontalPodAutoscalerConfig": config}, **spec}}


def scaled_job(*triggers, name="work", run_for="600s", annotations=None, **spec):
    template = {"metadata": {"annotations": {"test.weir.dev/run-for": run_for}},
                "spec": {"containers": [{"name": "main", "image": "example"}], "restartPolicy": "Never"}}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {"jobTargetRef": {"template": template}, "pollingInterval": 1, "triggers": list(triggers), **spec}}


# ------------------------------------------------------------------ one row

class Row(Namespace):
    """A namespace in which one row plays; objects get the row's mode."""

    def __init__(self, plane, name, mode, weir):
        super().__init__(plane, name)
        self.mode, self.weir, self.sources = mode, weir, []

    def source(self, value=0):
        made = Source()
        made.value = value
        self.sources.append(made)
        return made

    def create(self, resource, body):
        if resource == "scaledobjects":
            body["metadata"]["annotations"].setdefault(MODE, self.mode)
        return super().create(resource, body)

    def start(self, *triggers, replicas=0, name="web", container=None, **options):
        """A Deployment and its ScaledObject."""
        self.create("deployments", deployment(name, replicas, **(container or {})))
        self.create("scaledobjects", scaled_object(*triggers, name=name, **options))

    def wait(self, what, limit_s=LIMIT_S):
        return wait_for(what, limit_s, LOOK_EVERY_S)

    def wait_replicas(self, count, name="web", resource="deployments", limit_s=LIMIT_S):
        try:
            self.wait(lambda: self.replicas(name, resource) == count, limit_s)
        except AssertionError:
            raise AssertionError(f"{resource} {name}: not {count} but {self.replicas(name, resource)} after {limit_s} s") from None

    def hold(self, count, seconds=4, name="web", resource="deployments"):
        """It is so many, and stays."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.replicas(name, resource) == count, f"{resource} {name} did not stay at {count}"
            time.sleep(LOOK_EVERY_S)

    def wait_condition(self, kind, status, reason, name="web", resource="scaledobjects", message="", limit_s=LIMIT_S):
        """Waits for status, reason and what the message begins with; gives the message."""
        seen = None

        def is_so():
            nonlocal seen
            seen = self.condition(resource, name, kind) or ("", "", "")
            return seen[:2] == (status, reason) and seen[2].startswith(message)

        try:
            self.wait(is_so, limit_s)
        except AssertionError:
            raise AssertionError(f"{kind}: not {status} {reason} {message} but {seen}") from None
        return seen[2]

    def wait_event(self, reason, text, name="web", kind="Normal"):
        self.wait(lambda: any(e[0] == kind and e[1] == reason and text in e[2] for e in self.events(name)))

    def status(self, name="web", resource="scaledobjects"):
        return (self.get(resource, name) or {}).get("status", {})

    def hpa(self, name="keda-hpa-web"):
        return self.get("horizontalpodautoscalers", name)

    def jobs(self, name="work"):
        return self.list("jobs", labelSelector=f"scaledjob.keda.sh/name={name}")

    def polled(self, source, times=3):
        """Weir has asked so often from now on."""
        before = source.requests
        self.wait(lambda: source.requests >= before + times)

    def story(self, log):
        """For a failure."""
        explained = "".join(self.weir.cli("explain", so["metadata"]["name"], "--namespace", self.name).stdout
                            for so in self.list("scaledobjects"))
        status = json.dumps([so.get("status") for so in self.list("scaledobjects") + self.list("scaledjobs")], indent=1)
        lines = [line for line in log().splitlines() if self.name in line]
        return "\n".join([self.dump(), status, explained, *lines[-40:]])

    def end(self):
        try:
            self.gone()
        except ApiError as err:
            assert err.status in (404, 409), err
        for source in self.sources:
            source.close()


class Failure(Exception):
    """What a row failed with, and what stood there."""


class Rows:
    """The rows of one file: functions, by name and mode."""

    def __init__(self):
        self.plays = {}

    def __call__(self, *modes):
        def keep(function):
            for mode in modes:
                self.plays[f"{function.__name__}-{mode}"] = (function, mode)
            return function

        return keep

    def names(self):
        return list(self.plays)

    def play(self, plane, weir, name):
        function, mode = self.plays[name]
        row = Row(plane, name.replace("_", "-").replace(".", "-")[:63], mode, weir)
        began = time.monotonic()
        try:
            function(row)
            return time.monotonic() - began
        except Exception as err:  # any: it is told in the row's test
            raise Failure(f"after {time.monotonic() - began:.0f} s: {err}\n{row.story(weir.log_text)}") from err
        finally:
            row.end()

    def start(self, plane, weir, wanted):
        """Futures by name."""
        pool = ThreadPoolExecutor(AT_ONCE)
        under_way = {name: pool.submit(self.play, plane, weir, name) for name in wanted}
        return pool, under_way
