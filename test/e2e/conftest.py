"""End to end: real binaries, real processes, real servers on loopback. Nothing here is timed; waits are generous and end early."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from support.source import Source  # noqa: E402
from support.waiting import free_port, wait_for  # noqa: E402,F401 (tests take them from here)
from support.weir import BUILD, ROOT, WEIR, Running  # noqa: E402,F401


class Weir(Running):
    """A weir run of one folder of manifests."""

    def __init__(self, folder, *options):
        self.manifests = Path(folder) / "manifests"
        self.manifests.mkdir(exist_ok=True)
        super().__init__(folder, self.manifests, *options)

    def write(self, name, text):
        path = self.manifests / name
        partial = self.folder / (name + ".new")
        partial.write_text(text)
        partial.rename(path)

    def ready(self, name="app"):
        return self.object(name).get("readyReplicas", -1)

    def wait_ready(self, count, name="app", limit_s=30):
        try:
            wait_for(lambda: self.ready(name) == count, limit_s)
        except AssertionError as err:
            raise AssertionError(f"{err}\n{json.dumps(self.object(name), indent=1)}\n{self.log_text()[-3000:]}") from None

    def pids(self, name="app"):
        """Main processes of the replicas, as the shims wrote them down."""
        found = {}
        for path in self.data.glob(f"local/default/*.{name}/*/process"):
            found[path.parent.name] = path.read_text().split()
        return found


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: example
        command: [sleep, "100000"]
---
"""


def scaled_object(url, name="app", annotations="", target="10", spec="", trigger=None):
    return f"""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {name}
  annotations: {{weir.dev/polling-interval: 200ms{annotations}}}
spec:
  scaleTargetRef: {{name: {name}}}
  minReplicaCount: 0
  maxReplicaCount: 5
  cooldownPeriod: 2
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {{scaleDown: {{stabilizationWindowSeconds: 1}}}}
{spec}
  triggers:
""" + (trigger or f"""  - type: metrics-api
    name: load
    metadata: {{url: "{url}", valueLocation: value, targetValue: "{target}"}}
""")


def manifest(url, replicas=1, **more):
    return DEPLOYMENT.format(name=more.get("name", "app"), replicas=replicas) + scaled_object(url, **more)


@pytest.fixture
def source():
    s = Source()
    yield s
    s.close()


@pytest.fixture
def weir(tmp_path):
    made = []

    def make(*options):
        made.append(Weir(tmp_path, *options))
        return made[-1]

    yield make
    for w in made:
        if w.process and w.process.poll() is not None:
            w.start()  # so that replicas left behind are adopted and stopped
        w.stop()


def built_in():
    """The types of triggers that this build has."""
    return subprocess.run([str(WEIR), "triggers", "--built-in"], capture_output=True, text=True, check=True).stdout.split()


def need_type(kind):
    """A trigger whose library this build has, or a skip."""
    if kind not in built_in():
        pytest.skip(f"{kind} is not built in")


def program(name):
    """A server's program, or a loud skip: tools/deps installs them all."""
    found = shutil.which(name) or shutil.which(name, path="/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin")
    if not found:
        pytest.skip(f"{name} is not installed (make deps installs it)")
    return found
