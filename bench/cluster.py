"""The figures of Weir on a real control plane (test/cluster/), beside those of KEDA and the HPA controller for the same work: one Deployment
an object, a prometheus trigger on loopback with a query of its own, polled every 30 s. CPU is in seconds a minute, above the idle
cluster: Weir, the controller manager, the API server and etcd together. The peer's figures were measured on a machine of the same kind
(KEDA of August 2026)."""
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "test"), str(ROOT / "test" / "cluster")]
import pki  # noqa: E402
from api import Api, path_of  # noqa: E402
from namespace import deployment  # noqa: E402
from plane import Plane  # noqa: E402
from support.source import Source  # noqa: E402
from support.waiting import wait_for  # noqa: E402
from support.weir import Running  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PEER = "KEDA + HPA, August 2026"
MINUTE_S = 60
IDLE_S = 150


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def scaled_object(name, port, value, minimum=0, **annotations):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name, "annotations": annotations},
            "spec": {"scaleTargetRef": {"name": name}, "pollingInterval": 30, "cooldownPeriod": 1, "minReplicaCount": minimum,
                     "triggers": [{"type": "prometheus", "metadata": {
                         "serverAddress": f"http://127.0.0.1:{port}", "query": f'sum(load{{n={value},object="{name}"}})',
                         "threshold": "5"}}]}}


PER_NAMESPACE = 1000


def space(name):
    """The namespace of w01234: so many in each, for the Deployment controller looks at all ReplicaSets of a namespace for each of them,
    and ten thousand in one would keep it busy for minutes."""
    return f"load-{int(name[1:]) // PER_NAMESPACE}"


class Load:
    """Many objects on one plane, the server they ask, and the Weir that scales them. All sign in by the token of a service account, as what runs
    in a cluster does: the API server verifies the signature of a client's certificate anew with each request."""

    def __init__(self, plane, folder, build):
        self.plane, self.folder = plane, Path(folder)
        self.api = Api(plane.server, plane.pki / "ca.crt", token=plane.account("load"))
        self.kubeconfig = pki.write_kubeconfig(plane.pki, "weir", plane.server, token=plane.account("weir"))
        self.server = subprocess.Popen([str(build / "bench/bench-metric-server")], stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())
        self.pool = ThreadPoolExecutor(16)
        self.names = []
        self.weir = None

    def close(self):
        if self.weir:
            self.weir.stop()
        self.server.terminate()
        self.server.wait()
        self.pool.shutdown()

    def each(self, work, things):
        return list(self.pool.map(work, things))

    def deployments(self, count, replicas):
        self.names = [f"w{i:05d}" for i in range(count)]
        for namespace in sorted(set(map(space, self.names))):
            self.api.post(path_of("namespaces"), {"metadata": {"name": namespace}})
        self.each(lambda name: self.api.post(path_of("deployments", space(name)), deployment(name, replicas)), self.names)
        wait_for(lambda: len(self.all("replicasets")) == count, 900, 1)
        if replicas:
            wait_for(lambda: all(d.get("status", {}).get("readyReplicas") == replicas for d in self.all("deployments")), 900, 1)
        wait_for(self.settled, 900, 0.1)

    def settled(self, seconds=10, share=0.15):
        """The controllers have done what all that is new gave them to do."""
        before, _ = self.cpu()
        time.sleep(seconds)
        return self.cpu()[0] - before < share * seconds

    def all(self, resource):
        return self.api.get(path_of(resource), resourceVersion="0")["items"]

    def objects(self, value, **options):
        """Creates them all; the time from the first creation until all are Ready, and until the last was created. The end is seen in Weir's
        count of statuses written, and proven by one list: a watch of all would cost the API server a good part of what is measured. The page
        with that count has lines of each object, 23 MB with 10,000: it is asked for when half of what is left may be done, a second apart at
        least with 10,000."""
        requests = self.creations([scaled_object(name, self.port, value, **options) for name in self.names])
        began = time.monotonic()
        self.post_all(requests)
        created = time.monotonic() - began
        seen, when = 0, began
        while True:
            left = len(self.names) - metric(self.weir.get("/metrics"), "weir_kubernetes_status_writes_total")
            ended = time.monotonic()
            if left <= 0 and all(map(is_ready, self.all("scaledobjects"))):
                return ended - began, created
            if ended - began > 900:
                raise TimeoutError(f"{left:.0f} of {len(self.names)} objects are not Ready after 15 min")
            done = len(self.names) - left
            pace = (ended - when) / max(1, done - seen)
            seen, when = done, ended
            time.sleep(max(0.1, len(self.names) / 10000, min(left * pace / 2, len(self.names) / 1000)))

    def creations(self, objects):
        """A file for curl, which takes a tenth of the time that Python would from the machine that is measured."""
        path = self.folder / "creations.curl"
        with path.open("w") as file:
            for i, scaled in enumerate(objects):
                name = scaled["metadata"]["name"]
                body = json.dumps(scaled).replace("\\", "\\\\").replace('"', '\\"')
                file.write(("next\n" if i else "") +
                           f'url = "{self.plane.server}{path_of("scaledobjects", space(name))}"\ndata = "{body}"\noutput = "/dev/null"\n'
                           f'header = "Content-Type: application/json"\nheader = "Authorization: {self.api.headers["Authorization"]}"\n'
                           f'cacert = "{self.plane.pki}/ca.crt"\nwrite-out = "%{{http_code}}\\n"\nhttp1.1\n')
        return path

    def post_all(self, requests):
        run = subprocess.run(["curl", "--silent", "--parallel", "--parallel-max", "16", "--config", requests], capture_output=True, text=True,
                             check=True)
        codes = run.stdout.split()
        if codes != ["201"] * len(self.names):
            raise RuntimeError(f"of {len(self.names)} creations {codes.count('201')} were taken: {sorted(set(codes))}")

    def start(self, *options):
        folder = self.folder / f"weir-{time.monotonic_ns()}"
        folder.mkdir()
        self.weir = Running(folder, "--kubeconfig", self.kubeconfig, "--log-level", "warning", *options).start()

    def restart(self):
        """Killed; how long the next one takes, by its own clock, until every object was asked for and has decided."""
        self.weir.kill()
        self.start()
        wait_for(lambda: metric(self.weir.get("/metrics"), "weir_first_decisions_done_seconds") > 0 and
                 metric(self.weir.get("/metrics"), "keda_resource_registered_total") == len(self.names), 900, 0.5)
        return metric(self.weir.get("/metrics"), "weir_first_decisions_done_seconds")

    def cpu(self):
        pids = [self.plane.programs[name].pid for name in ("etcd", "kube-apiserver", "kube-controller-manager")]
        return sum(map(cpu_s, pids)), cpu_s(self.weir.process.pid) if self.weir else 0.0

    def cpu_per_minute(self, seconds=MINUTE_S):
        (cluster, weir), requests = self.cpu(), self.requests()
        time.sleep(seconds)
        (cluster_after, weir_after), requests_after = self.cpu(), self.requests()
        scale = 60 / seconds
        return (cluster_after - cluster) * scale, (weir_after - weir) * scale, (requests_after - requests) * scale

    def requests(self):
        return self.plane.requests().get("weir", 0)


def metric(text, name):
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M)
    return float(found.group(1)) if found else 0.0


def is_ready(scaled):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in scaled.get("status", {}).get("conditions", []))


def measured(record, build, work, **plane_options):
    with tempfile.TemporaryDirectory() as folder, Plane(Path(folder) / "plane", hpa_sync="15s", audit=False, metrics=False,
                                                        **plane_options) as plane:
        load = Load(plane, folder, build)
        try:
            work(record, load)
        finally:
            load.close()


def thousand(record, load):
    load.deployments(1000, 1)
    idle_cluster, _, _ = load.cpu_per_minute()
    load.start()
    before = load.requests()
    ready, created = load.objects(5)
    print(f"1,000 objects were created within {created:.1f} s", flush=True)
    record("cluster_ready_1k_s", ready, "s", PEER, 500)
    time.sleep(45)
    record("cluster_requests_new", (load.requests() - before) / 1000, "1", PEER, 19)
    cluster, weir, requests = load.cpu_per_minute()
    record("cluster_cpu_active_1k", max(0.0, cluster - idle_cluster) + weir, "s/min", PEER, 57)
    record("cluster_cpu_active_1k_weir", weir, "s/min", PEER, 16)
    record("cluster_requests_min", requests / 1000, "1/min", PEER, 13)
    record("cluster_rss_1k", rss_mib(load.weir.process.pid), "MiB", PEER, 380)
    record("cluster_restart_1k_s", statistics.median([load.restart() for _ in range(3)]), "s", PEER, 203)


def thousand_idle(record, load):
    """A plane of its own: what a thousand Pods leave behind is more than what is measured here. The cluster alone differs by tenths of a
    second from one minute to the next, so it takes some."""
    load.deployments(1000, 0)
    idle_cluster, _, _ = load.cpu_per_minute(IDLE_S)
    load.start()
    load.objects(0)
    time.sleep(60)
    cluster, weir, _ = load.cpu_per_minute(IDLE_S)
    record("cluster_cpu_idle_1k_weir", weir, "s/min")
    record("cluster_cpu_idle_1k", max(0.0, cluster - idle_cluster) + weir, "s/min", PEER, 10)


def five_thousand(record, load):
    load.deployments(5000, 0)
    load.start()
    load.objects(0)
    time.sleep(60)
    record("cluster_rss_5k", rss_mib(load.weir.process.pid), "MiB", PEER, 791)


def ten_thousand(record, load):
    load.deployments(10000, 0)
    idle_cluster, _, _ = load.cpu_per_minute(IDLE_S)
    load.start()
    ready, created = load.objects(0)
    print(f"10,000 objects were created within {created:.1f} s", flush=True)
    record("cluster_ready_10k_s", ready, "s", PEER, 833)
    record("cluster_ready_10k_after_created_s", ready - created, "s")
    time.sleep(60)
    wait_for(load.settled, 300, 0.1)
    record("cluster_rss_10k", rss_mib(load.weir.process.pid), "MiB", PEER, 1298)  # of idle objects: writing 10,000 statuses is over
    cluster, weir, _ = load.cpu_per_minute(IDLE_S)
    record("cluster_cpu_idle_10k_weir", weir, "s/min")
    record("cluster_cpu_idle_10k", max(0.0, cluster - idle_cluster) + weir, "s/min", PEER, 71)


def react(record, load):
    """50 objects polled every 5 s: from the instant at which the value rises to the scale write, as the targets' watch tells it."""
    source = Source()
    source.value = 1
    load.deployments(50, 1)
    load.start()
    for name in load.names:
        scaled = scaled_object(name, 0, 0, 1)
        scaled["spec"].update(pollingInterval=5, maxReplicaCount=3, triggers=[{"type": "metrics-api", "metadata": {
            "url": f"{source.root}/{name}", "valueLocation": "value", "targetValue": "1"}}])
        load.api.post(path_of("scaledobjects", space(name)), scaled)
    wait_for(lambda: sum(map(is_ready, load.all("scaledobjects"))) == 50, 120, 0.2)
    time.sleep(12)
    seen = {}
    begun = time.monotonic()
    source.value = 3
    while len(seen) < 50 and time.monotonic() - begun < 60:
        for d in load.all("deployments"):
            if d["spec"].get("replicas") == 3:
                seen.setdefault(d["metadata"]["name"], time.monotonic() - begun)
        time.sleep(0.01)
    source.close()
    record("cluster_react_up_s", max(seen.values()), "s", PEER, 14.2)


def watch_replicas(api, seen, wanted, stop):
    """When the watch of the Deployments tells of as many replicas, by the name of each."""
    connection = http.client.HTTPSConnection(api.address.hostname, api.address.port, context=api.context)
    connection.request("GET", path_of("deployments") + "?watch=1", headers=api.headers)
    for line in connection.getresponse():
        told = json.loads(line)["object"]
        if told["spec"].get("replicas") == wanted:
            seen.setdefault(told["metadata"]["name"], time.monotonic())
        if stop.is_set():
            break
    connection.close()


def servers_module(name):
    """Of test/servers, where "cluster" is the folder beside it and not this file."""
    mine, path = sys.modules.pop("cluster", None), sys.path[:]
    sys.path[:] = [str(ROOT / "test" / "servers"), str(ROOT / "test"), *(p for p in path if Path(p or ".").resolve() != ROOT / "bench")]
    try:
        return __import__(name)
    finally:
        sys.path[:] = path
        if mine:
            sys.modules["cluster"] = mine


def push(record, load):
    """external-push: from telling the server that there is work for one of 200 sleeping objects until the watch of the Deployments tells that
    its scale was written. Polls cannot be the reason: there is one in ten minutes. The server is Python's grpcio."""
    peers = servers_module("grpc_server")
    message, streams = peers.message, peers.EXTERNAL + "StreamIsActive"
    load.deployments(200, 0)
    load.start()
    seen, stop, took = {}, threading.Event(), []
    with peers.GrpcPeer(load.folder / "grpc") as peer:
        peer.scaler(0, target=1, active=False)
        for name in load.names:
            scaled = scaled_object(name, 0, 0)
            scaled["spec"].update(pollingInterval=600, cooldownPeriod=600, triggers=[{"type": "external-push", "metadata": {
                "scalerAddress": peer.address, "object": name}}])
            load.api.post(path_of("scaledobjects", space(name)), scaled)
        wait_for(lambda: peer.seen()["open"].get(streams) == len(load.names), 120, 0.2)
        wait_for(load.settled, 300, 0.1)
        threading.Thread(target=watch_replicas, args=(load.api, seen, 1, stop), daemon=True).start()
        time.sleep(2)
        for name in load.names:
            began = time.monotonic()
            peer.push(streams, message((1, True)), to=name)
            wait_for(lambda: name in seen, 30, 0.0005)
            took.append((seen[name] - began) * 1000)
            time.sleep(0.1)
        stop.set()
        record("cluster_react_push_ms", statistics.quantiles(took, n=100)[98], "ms")
        print(f"median {statistics.median(took):.1f} ms, of {len(took)}", flush=True)


def external_metric(record, load):
    """Through the API server's aggregation, as the HPA controller asks: 1,000 objects in hpa mode."""
    load.deployments(1000, 1)
    load.start("--mode", "hpa", "--external-metrics", "127.0.0.1:0", "--log-level", "info")
    port = int(wait_for(lambda: re.search(r"listening over TLS.*? address=\S*:(\d+)", load.weir.log_text()), 30).group(1))
    api = load.api
    api.post(path_of("services", "kube-system"), {"metadata": {"name": "weir-metrics"}, "spec": {
        "type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]}})
    api.post(path_of("apiservices"), {"metadata": {"name": "v1beta1.external.metrics.k8s.io"}, "spec": {
        "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True, "service": {"name": "weir-metrics", "namespace": "kube-system", "port": port}}})
    load.objects(5)
    path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/load-0/s0-prometheus"
    wait_for(lambda: api.ask("GET", f"{path}?labelSelector=scaledobject.keda.sh%2Fname%3D{load.names[0]}")[0] == 200, 120, 1)
    time.sleep(40)
    took = []
    for i in range(2000):
        began = time.monotonic()
        status, text = api.ask("GET", f"{path}?labelSelector=scaledobject.keda.sh%2Fname%3D{load.names[i % 1000]}")
        took.append((time.monotonic() - began) * 1000)
        if status != 200:
            raise RuntimeError(f"{status} {text}")
    record("cluster_external_metric_ms", statistics.quantiles(took, n=100)[98], "ms", PEER, 47)
    print(f"median {statistics.median(took):.1f} ms, of {len(took)}", flush=True)


def webhook(record, build):
    run = subprocess.run([str(build / "bench/bench-admission")], capture_output=True, text=True, check=True)
    row = json.loads(run.stdout)
    record("webhook_per_s", row["webhook_per_s"], "1/s")
    record("webhook_growth_bytes", row["growth_bytes"], "B")


PARTS = {"react": react, "push": push, "1k": thousand, "idle": thousand_idle, "metric": external_metric, "5k": five_thousand, "10k": ten_thousand}


def cluster(record, build, parts):
    for name in parts or ["webhook", *PARTS]:
        if name == "webhook":
            webhook(record, build)
        else:
            measured(record, build, PARTS[name])
