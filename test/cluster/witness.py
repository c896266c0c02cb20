"""Witnesses of bad times: a source that remembers what it answered, and the audit log of what was written because of it.

    ledger = Ledger()                                    # answers /NAME with ledger.values[NAME]
    namespace.create("scaledobjects", follower("web", ledger, poll_s=1))
    ...
    assert unexplained(scale_writes(plane, mark, namespace=namespace.name), ledger) == []

An object made by follower() is scaled to the very value that was answered, at once in both directions. So a write of a count that
was not among the latest answers before it is one that nobody can explain.
"""
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import time

from support.source import Source

GRACE_S = 3  # answers so old may still be on their way into a write: what waits for a busy API server


class Ledger(Source):
    """A value for each object, by the name in the path; every answer is kept with its time."""

    def __init__(self, **values):
        self.values, self.answers, self.failing = values, defaultdict(list), set()
        super().__init__()
        self.server.handle_error = lambda *_: None  # who asked was killed

    def at(self, name):
        return f"{self.root}/{name}"

    def answer(self, path):
        name = path.strip("/")
        if self.body is not None:
            return self.body
        if name in self.failing or name not in self.values:
            return b"no value here"
        value = self.values[name]
        self.answers[name].append((time.time(), value))
        return b'{"value": %d}' % value

    def latest(self, name, at):
        """What was answered shortly before that moment: the last two, and all within the grace."""
        before = [(t, value) for t, value in self.answers[name] if t <= at]
        return {value for t, value in before if t >= at - GRACE_S} | {value for _, value in before[-2:]}


def trigger(url, target=1):
    return {"type": "metrics-api", "metadata": {"url": url, "valueLocation": "value", "targetValue": str(target)}}


def at_once():
    """Both directions, any distance: what the value asks for is what is written."""
    return {"horizontalPodAutoscalerConfig": {"behavior": {
        "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1000, "periodSeconds": 1}]}}}}


def follower(name, ledger, poll_s=1, target=None, annotations=None, **spec):
    """A ScaledObject for the Deployment of its name (target: another scaleTargetRef)."""
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"scaleTargetRef": target or {"name": name}, "pollingInterval": poll_s, "minReplicaCount": 1,
                     "maxReplicaCount": 1000, "advanced": at_once(), "triggers": [trigger(ledger.at(name))], **spec}}


def replica_set(name, replicas=0):
    """The cheapest target: nothing else is made for it. Its Pods are never started where replicas stays 0."""
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "example"}]}}}}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclass
class Write:
    """One that the API server has taken: asked at, answered done_at."""
    at: float
    done_at: float
    user: str
    namespace: str
    name: str
    replicas: int
    before: int  # what it was decided from; 0 is left out of a Scale

    def __str__(self):
        return f"{self.at:.3f}-{self.done_at:.3f} {self.user}: {self.name} {self.before} -> {self.replicas}"


def refused(event):
    return 400 <= event.get("responseStatus", {}).get("code", 0) < 500


def scale_writes(plane, since=0, **wanted):
    """All by Weirs that had an effect, or may have (who is killed while it is asked leaves an error), as they were asked."""
    writes = []
    for event in plane.audit(since, subresource="scale", verb="patch", **wanted):
        if not event["user"]["username"].startswith("weir-") or refused(event):
            continue
        steps = {step["op"]: step["value"] for step in event["requestObject"]}
        ref = event["objectRef"]
        writes.append(Write(moment(event["requestReceivedTimestamp"]), moment(event["stageTimestamp"]), event["user"]["username"],
                            ref["namespace"], ref["name"], steps.get("replace", steps.get("add")), steps.get("test") or 0))
    return sorted(writes, key=lambda w: w.at)


def unexplained(writes, ledger):
    """Writes of a count that was not answered shortly before, as text with what was."""
    return [f"{w}; answered: {sorted(ledger.latest(w.name, w.at))}" for w in writes if w.replicas not in ledger.latest(w.name, w.at)]


def lists_of(plane, since, user="weir-a"):
    """How often each collection was listed: {"deployments": 2}."""
    counts = defaultdict(int)
    for event in plane.audit(since, user=user, verb="list"):
        counts[event["objectRef"]["resource"]] += 1
    return dict(counts)


def memory_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
