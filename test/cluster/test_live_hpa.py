"""The engine keda-hpa of `weir simulate` against the real thing: a HorizontalPodAutoscaler that Weir feeds in hpa mode, as the controller
syncs it by default, and the same policies over the same values in a simulation. The controller's phase is its own, so moments may lie a
sync, a poll and a start apart; which counts follow each other may not differ."""
import json
import subprocess
import threading
import time

import pytest

from external import Registration
from namespace import Namespace, deployment
from support.source import Source
from support.waiting import wait_for
from support.weir import BUILD

SYNC_S, POLL_S = 15, 5
APART_S = SYNC_S + POLL_S + 5
VALUES = [(0, 4), (40, 23), (130, 60), (220, 9), (300, 9)]  # (from second, value)


def scaled_object(name, source, trigger=None, **advanced):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": 20, "pollingInterval": POLL_S, "advanced": advanced,
        "triggers": [{"type": "metrics-api", "name": "load", "metadata": {"url": source.url, "valueLocation": "value", "targetValue": "5"},
                      **(trigger or {})}]}}


def policies(source):
    down = {"scaleDown": {"stabilizationWindowSeconds": 30, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}
    slowly = {"scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]},
              "scaleDown": {"stabilizationWindowSeconds": 0}}
    return [scaled_object("plain", source),
            scaled_object("window", source, horizontalPodAutoscalerConfig={"behavior": down}),
            scaled_object("stepwise", source, horizontalPodAutoscalerConfig={"behavior": slowly}),
            scaled_object("formula", source, scalingModifiers={"formula": "load / 100", "target": "0.03"},
                          horizontalPodAutoscalerConfig={"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}})]


class Watch:
    """When each target was given which count, since the start."""

    def __init__(self, namespace, names):
        self.began, self.done = time.monotonic(), False
        self.namespace, self.moves = namespace, {name: [] for name in names}
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.done:
            now = time.monotonic() - self.began
            for found in self.namespace.list("deployments"):
                moves, count = self.moves[found["metadata"]["name"]], found["spec"].get("replicas")
                if not moves or moves[-1][1] != count:
                    moves.append((now, count))
            time.sleep(0.5)

    def stop(self):
        self.done = True
        self.thread.join()


def play(source, watch):
    for at, value in VALUES:
        time.sleep(max(0.0, watch.began + at - time.monotonic()))
        source.value = value


def simulated(folder, policy):
    manifest, trace = folder / f"{policy['metadata']['name']}.yaml", folder / "values.csv"
    manifest.write_text(json.dumps(policy))
    trace.write_text("t_s,load\n" + "".join(f"{at},{value}\n" for at, value in VALUES))
    out = subprocess.run([BUILD / "weir", "simulate", manifest, "--engine", "keda-hpa", "--trace", trace, "--initial", "1", "--startup", "2s",
                          "--duration", f"{VALUES[-1][0]}s", "--output", "json"], capture_output=True, text=True, check=True).stdout
    moves = [(0, 1)] + [(m["at_s"], m["after"]) for m in json.loads(out)["moments"] if m["after"] != m["before"]]
    return moves[max(i for i, (at, _) in enumerate(moves) if at == 0):]


@pytest.fixture
def live(own_plane, weir):
    plane = own_plane(hpa_sync=f"{SYNC_S}s", metrics=False)
    registration, namespace = Registration(plane), Namespace(plane, "live")
    running = weir("--mode", "hpa", *registration.options, on=plane)
    registration.register(running)
    yield namespace
    registration.close()


def test_engine_is_as_the_controller(live, tmp_path):
    source = Source()
    source.value = VALUES[0][1]
    wanted = policies(source)
    names = [p["metadata"]["name"] for p in wanted]
    for policy in wanted:
        live.create("deployments", deployment(policy["metadata"]["name"], 1))
        live.create("scaledobjects", policy)
    for name in names:
        wait_for(lambda name=name: (live.get("horizontalpodautoscalers", f"keda-hpa-{name}") or {}).get("status", {}).get("currentMetrics"), 60)
    time.sleep(SYNC_S)  # what the first value asks for stands before the clock starts
    watch = Watch(live, names)
    play(source, watch)
    watch.stop()
    source.close()
    for policy in wanted:
        name = policy["metadata"]["name"]
        real, said = watch.moves[name], simulated(tmp_path, policy)
        assert [count for _, count in real] == [count for _, count in said], (name, real, said)
        assert all(abs(a - b) <= APART_S for (a, _), (b, _) in zip(real, said)), (name, real, said)
