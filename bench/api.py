"""The figures of the API and of live views (bench/README.md): a real weir with ten thousand objects that need no source and a hundred
whose outcome changes every five seconds, on one processor; its clients (bench/api-client.c) on another."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

COUNT, LIVELY, NAMESPACES = 10000, 100, 20
RATE, LIST_S, CONNECTIONS, STREAM_S, READERS, DEAF = 1000, 20, 32, 60, 200, 10
TICKS = os.sysconf("SC_CLK_TCK")

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: target, namespace: team-{n}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: target}}}}
  template:
    metadata: {{labels: {{app: target}}}}
    spec:
      containers:
      - {{name: main, image: none, command: [sleep, "100000"]}}
---
"""
CALM = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: calm-{i:05d}, namespace: team-{n}, annotations: {{weir.dev/mode: observe}}}}
spec:
  scaleTargetRef: {{name: target}}
  minReplicaCount: 1
  triggers:
  - type: cron
    metadata: {{timezone: UTC, start: 0 0 * * *, end: 59 23 * * *, desiredReplicas: "2"}}
---
"""
LIVE = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: lively-{i:03d}, namespace: team-{n}, annotations: {{weir.dev/mode: observe}}}}
spec:
  scaleTargetRef: {{name: target}}
  pollingInterval: 5
  minReplicaCount: 1
  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}}}}}
  triggers:
  - type: prometheus
    metadata: {{serverAddress: "http://127.0.0.1:{port}", query: "sum(wave{{n={i},seconds=5}})", threshold: "5"}}
---
"""
# As somebody looks through a dashboard: the first page, pages behind it, filters, searches, other orders.
PATHS = ["?limit=100", "?limit=100&offset=300", "?limit=50&state=attention", "?namespace=team-3", "?q=calm-077", "?sort=changed",
         "?sort=name&offset=5000", "?sort=replicas", "?type=prometheus&limit=50", "?kind=ScaledObject&state=active&namespace=team-7"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def on_processor(which):
    usable = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {usable[which]})


class Stage:
    """The metric server, weir and its manifests in a folder."""

    def __init__(self, build, folder):
        self.build = build
        self.source = subprocess.Popen([str(build / "bench/bench-metric-server")], stdout=subprocess.PIPE, text=True)
        source_port = int(self.source.stdout.readline())
        manifests = Path(folder) / "manifests"
        manifests.mkdir()
        (manifests / "targets.yaml").write_text("".join(DEPLOYMENT.format(n=n) for n in range(NAMESPACES)))
        for begin in range(0, COUNT, 1000):
            (manifests / f"calm-{begin}.yaml").write_text(
                "".join(CALM.format(i=i, n=i % NAMESPACES) for i in range(begin, begin + 1000)))
        (manifests / "lively.yaml").write_text(
            "".join(LIVE.format(i=i, n=i % NAMESPACES, port=source_port) for i in range(LIVELY)))
        self.port = free_port()
        with open(Path(folder) / "log", "w") as log:
            self.weir = subprocess.Popen([str(build / "weir"), "run", str(manifests), "--data-dir", str(Path(folder) / "data"),
                                          "--listen", f"127.0.0.1:{self.port}", "--log-level", "error"], stderr=log,
                                         preexec_fn=on_processor(0))

    def metric(self, name):
        page = subprocess.run(["curl", "-s", f"http://127.0.0.1:{self.port}/metrics"], capture_output=True, text=True, check=False)
        found = re.search(rf"^{name} (\S+)$", page.stdout, re.M)
        return float(found.group(1)) if found else 0.0

    def client(self, *arguments):
        run = subprocess.run([str(self.build / "bench/bench-api-client"), *map(str, arguments)], capture_output=True, text=True,
                             check=True, preexec_fn=on_processor(-1))
        return json.loads(run.stdout)

    def measured(self, *arguments):
        """What the client says, and what it cost: seconds of CPU of weir meanwhile, growth of its memory in bytes."""
        cpu, memory, begin = cpu_s(self.weir.pid), self.metric("weir_heap_bytes"), time.monotonic()
        answer = self.client(*arguments)
        answer["cpu_share"] = (cpu_s(self.weir.pid) - cpu) / (time.monotonic() - begin)
        answer["cpu_s"] = cpu_s(self.weir.pid) - cpu
        answer["growth"] = self.metric("weir_heap_bytes") - memory
        return answer

    def idle_share(self, seconds):
        cpu = cpu_s(self.weir.pid)
        time.sleep(seconds)
        return (cpu_s(self.weir.pid) - cpu) / seconds

    def settle(self):
        end = time.monotonic() + 180
        while self.metric("weir_first_decisions_done_seconds") <= 0:
            if time.monotonic() > end or self.weir.poll() is not None:
                raise RuntimeError("not all objects decided")
            time.sleep(0.5)
        time.sleep(5)

    def stop(self):
        self.weir.send_signal(signal.SIGTERM)
        self.weir.wait(60)
        self.source.terminate()
        self.source.wait()


def measure_lists(record, stage):
    paths = [f"/api/v1/objects{path}" for path in PATHS]
    memory = stage.metric("weir_heap_bytes")
    stage.client("list", stage.port, 200, 1, 4, paths[0])
    entries = stage.metric("weir_heap_bytes")
    stage.client("list", stage.port, 100, 1, 4, *[f"/api/v1/objects?sort=name&limit=1000&offset={n}" for n in range(0, COUNT + LIVELY, 1000)])
    record("catalogue_entry_bytes", (entries - memory) / (COUNT + LIVELY), "B")
    record("catalogue_row_bytes", (stage.metric("weir_heap_bytes") - entries) / (COUNT + LIVELY), "B")
    idle = stage.idle_share(10)
    lists = stage.measured("list", stage.port, RATE, LIST_S, CONNECTIONS, *paths)
    if lists["failed"]:
        raise RuntimeError(f"{lists['failed']} of {lists['requests']} failed")
    record("api_list_p50_ms", lists["p50_ms"], "ms")
    record("api_list_p99_ms", lists["p99_ms"], "ms")
    record("api_list_cpu_us", (lists["cpu_share"] - idle) * LIST_S / lists["requests"] * 1e6, "us")


def measure_streams(record, stage):
    idle = stage.idle_share(20)
    one = stage.measured("stream", stage.port, 1, 0, STREAM_S)
    record("dashboard_stream_kb_per_min", one["bytes"] / 1024 * 60 / STREAM_S, "KiB")
    record("dashboard_stream_cpu_percent", (one["cpu_share"] - idle) * 100, "%")
    late, polls = stage.metric("weir_polls_late_total"), stage.metric("weir_object_polls_total")
    many = stage.measured("stream", stage.port, READERS, DEAF, STREAM_S)
    polls = stage.metric("weir_object_polls_total") - polls
    record("sse_200_clients_events_per_s", many["events"] / STREAM_S, "1/s")
    record("sse_200_clients_least_share", many["least"] * READERS / many["events"], "1")
    record("sse_200_clients_cpu_percent", (many["cpu_share"] - idle) * 100, "%")
    record("sse_200_clients_growth_kib", many["growth"] / 1024, "KiB")
    record("sse_200_clients_deaf_closed", many["deaf_closed"] / DEAF, "1")
    record("sse_200_clients_late_share", (stage.metric("weir_polls_late_total") - late) / polls, "1")


def api(record, build):
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(build, folder)
        try:
            stage.settle()
            measure_lists(record, stage)
            measure_streams(record, stage)
        finally:
            stage.stop()
