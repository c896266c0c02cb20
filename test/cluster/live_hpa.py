"""What test_live_hpa.py looks at: a HorizontalPodAutoscaler that Weir feeds in hpa mode, as the controller syncs it by default, and the same
policies over the same values in a simulation. It takes four minutes, and waits for all of them but a few seconds; so whoever waits
before it begins it (conftest.py, live_hpa)."""
import contextlib
import json
import subprocess
import threading
import time

from api import ApiError
from external import Registration
from namespace import Namespace, deployment
from plane import Plane
from support.source import Source
from support.waiting import wait_for
from support.weir import BUILD, Running

SYNC_S, POLL_S = 15, 5
# (from second, value): each stands until every policy has made of it what it makes, in whatever phase controller and polls are.
VALUES = [(0, 4), (10, 23), (55, 60), (105, 9), (200, 9)]


def scaled_object(name, url, **advanced):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": 20, "pollingInterval": POLL_S, "advanced": advanced,
        "triggers": [{"type": "metrics-api", "name": "load", "metadata": {"url": url, "valueLocation": "value", "targetValue": "5"}}]}}


def policies(url):
    down = {"scaleDown": {"stabilizationWindowSeconds": 30, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}
    slowly = {"scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]},
              "scaleDown": {"stabilizationWindowSeconds": 0}}
    return [scaled_object("plain", url),
            scaled_object("window", url, horizontalPodAutoscalerConfig={"behavior": down}),
            scaled_object("stepwise", url, horizontalPodAutoscalerConfig={"behavior": slowly}),
            scaled_object("formula", url, scalingModifiers={"formula": "load / 100", "target": "0.03"},
                          horizontalPodAutoscalerConfig={"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}})]


class Watch:
    """When each target was given which count, since the start."""

    def __init__(self, namespace, names):
        self.began, self.done = time.monotonic(), False
        self.namespace, self.moves = namespace, {name: [] for name in names}
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def look(self):
        now = time.monotonic() - self.began
        for found in self.namespace.list("deployments"):
            moves, count = self.moves[found["metadata"]["name"]], found["spec"].get("replicas")
            if not moves or moves[-1][1] != count:
                moves.append((now, count))

    def follow(self):
        while not self.done:
            with contextlib.suppress(OSError, ApiError):  # a busy machine: what is missed is seen by the next look
                self.look()
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


def play_live(live):
    """What the controller made of it: when each target was given which count."""
    source = Source()
    source.value = VALUES[0][1]
    names = [p["metadata"]["name"] for p in policies(source.url)]
    try:
        for policy in policies(source.url):
            live.create("deployments", deployment(policy["metadata"]["name"], 1))
            live.create("scaledobjects", policy)
        for name in names:
            wait_for(lambda name=name: (live.get("horizontalpodautoscalers", f"keda-hpa-{name}") or {}).get("status", {}).get("currentMetrics"),
                     60)
        time.sleep(SYNC_S)  # what the first value asks for stands before the clock starts
        watch = Watch(live, names)
        play(source, watch)
        watch.stop()
        return watch.moves
    finally:
        source.close()


def tell(folder):
    """On a control plane of its own: {policy: (moves of the controller, moves of the simulation)}, a move being (second, count)."""
    with Plane(folder / "plane", hpa_sync=f"{SYNC_S}s", metrics=False) as plane:
        registration = Registration(plane)
        (folder / "weir").mkdir()
        weir = Running(folder / "weir", "--kubeconfig", plane.kubeconfig("weir-a"), "--mode", "hpa", *registration.options).start()
        try:
            registration.register(weir)
            moves = play_live(Namespace(plane, "live"))
        except BaseException as err:
            raise AssertionError(f"{err}\n{weir.log_text()[-6000:]}") from err
        finally:
            registration.close()
            weir.stop()
    wanted = {p["metadata"]["name"]: p for p in policies("http://127.0.0.1:1")}
    return {name: (moves[name], simulated(folder, policy)) for name, policy in wanted.items()}
