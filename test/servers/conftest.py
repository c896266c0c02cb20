"""Triggers on real servers: each is asked by `weir probe` for what a real client has put into a real server.

    from conftest import ask, probe, scaled_object, secret, trigger        # from server: free_port, wait_for, Server, java
    from redis_server import redis  # noqa: F401                           # the fixture of a server

    def test_length(redis):
        redis.cli("RPUSH", "jobs", "a", "b", "c")
        seen = ask("redis", {"address": redis.address, "listName": "jobs", "listLength": 2}, {"password": redis.password})
        assert (seen["state"], seen["value"], seen["active"]) == ("ok", 3, True)

    def test_wrong_password(redis):
        assert "NOAUTH" in failed("redis", {"address": redis.address, "listName": "jobs"}, {"password": "other"})

`ask` makes a Deployment, a ScaledObject with this one trigger, a Secret and a TriggerAuthentication of the third argument, and gives
what probe said about the trigger: {"name", "type", "state": "ok" | "missing" | "failed", "value", "active", "target", "error", "note", ...}.
`failed` asks, demands that it failed, and gives the error. Several triggers, modifiers, environments: scaled_object() and probe().

Fixtures: place(name) a new folder; servers.once(Class, ...) a server of the whole session; pki (pki.py); nginx (nginx_server.py).
Mark with @pytest.mark.heavy what downloads more than 30 MB or starts a JVM; `tools/test-servers -m "not heavy"` leaves that out.
"""
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from nginx_server import nginx  # noqa: E402,F401 (a fixture)
from pki import Pki  # noqa: E402
from server import Server, wait_for  # noqa: E402,F401
from support.weir import BUILD, ROOT, WEIR, Running  # noqa: E402,F401

PROBE_LIMIT_S = 60  # a probe ends by the time-outs of its triggers; this is for one that hangs


# ---- manifests

def words(values):
    """Parameters as manifests have them: all strings, but for bytes of a Secret."""
    return {name: value if isinstance(value, bytes) else str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()}


def secret(name, data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {
        key: base64.b64encode(value if isinstance(value, bytes) else str(value).encode()).decode() for key, value in data.items()}}


def authentication(name, data, **spec):
    """A TriggerAuthentication and its Secret: each parameter under its own name. spec: more of the spec."""
    return [secret(name, data), {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": name}, "spec": {
        "secretTargetRef": [{"parameter": key, "name": name, "key": key} for key in data], **spec}}]


def trigger(type_, metadata, auth=None, **fields):
    """One of scaled_object's; auth: parameters that come from a TriggerAuthentication. fields: name, metricType and so on."""
    return {"type": type_, "metadata": words(metadata), "auth": words(auth or {}), **fields}


def scaled_object(*triggers, name="app", env=None, kind="ScaledObject", **spec):
    """All that one object needs, as the text of a file; env: of its container; spec: more of its spec."""
    documents, listed = [], []
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
        {"name": "main", "image": "example", "command": ["sleep", "1000"],
         "env": [{"name": key, "value": str(value)} for key, value in (env or {}).items()]}]}}
    for number, one in enumerate(triggers):
        entry = {key: value for key, value in one.items() if key != "auth"}
        if one.get("auth"):
            entry["authenticationRef"] = {"name": f"{name}-auth-{number}"}
            documents += authentication(f"{name}-auth-{number}", one["auth"])
        listed.append(entry)
    if kind == "ScaledJob":
        template["spec"]["restartPolicy"] = "Never"
        target = {"jobTargetRef": {"template": template}}
    else:
        target = {"scaleTargetRef": {"name": name}}
        documents.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}})
    documents.append({"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name},
                      "spec": {**target, "triggers": listed, **spec}})
    return "".join("---\n" + json.dumps(document, indent=1) + "\n" for document in documents)


# ---- asking

def probe(manifest, *options, limit_s=PROBE_LIMIT_S):
    """What `weir probe` says about the text of a manifest, read."""
    with tempfile.TemporaryDirectory(prefix="weir-probe-") as folder:
        path = Path(folder) / "app.yaml"
        path.write_text(manifest)
        said = subprocess.run([str(WEIR), "probe", str(path), "-o", "json", *map(str, options)], capture_output=True, text=True,
                              check=False, timeout=limit_s)
    try:
        return json.loads(said.stdout)
    except ValueError:
        raise AssertionError(f"weir probe, status {said.returncode}: {said.stdout}{said.stderr}") from None


def ask(type_, metadata, auth=None, options=(), **fields):
    """What it says about this trigger."""
    answer = probe(scaled_object(trigger(type_, metadata, auth, **fields)), *options)
    return answer["objects"][0]["triggers"][0]


def value(type_, metadata, auth=None, **more):
    """The value, where the trigger has one; else the test fails with all that was said."""
    seen = ask(type_, metadata, auth, **more)
    if seen["state"] != "ok":
        raise AssertionError(f"no value: {json.dumps(seen)}")
    return seen["value"]


def failed(type_, metadata, auth=None, **more):
    """The error; the test fails where there is none: no trouble may look like a value."""
    seen = ask(type_, metadata, auth, **more)
    if seen["state"] != "failed" or not seen.get("error"):
        raise AssertionError(f"not a failure: {json.dumps(seen)}")
    return seen["error"]


# ---- what every test may take

class Servers:
    """Those of a session: each class and its arguments is one server, started when first wanted."""

    def __init__(self, place):
        self.place, self.made = place, {}

    def once(self, kind, *arguments):
        key = (kind.__name__, *map(repr, arguments))  # a file may be imported twice
        if key not in self.made:
            self.made[key] = kind(self.place(kind.__name__.lower()), *arguments)
        server = self.made[key]
        return server if server.pid else server.start()

    def stop(self):
        for server in self.made.values():
            server.stop()


@pytest.fixture(scope="session")
def place():
    """Not pytest's own folders: servers that run as another user must get in."""
    folder = Path(tempfile.mkdtemp(prefix="weir-servers-"))
    folder.chmod(0o755)
    made = []

    def new(name):
        made.append(folder / f"{name}-{len(made)}")
        made[-1].mkdir()
        return made[-1]

    yield new
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(place):
    all_of_them = Servers(place)
    yield all_of_them
    all_of_them.stop()


@pytest.fixture(scope="session")
def pki(place):
    return Pki(place("pki"))


@pytest.fixture
def weir(tmp_path):
    """weir(manifest, *options): a running Weir with the text of a manifest; it is asked by .object() and .get()."""
    made = []

    def make(manifest, *options):
        folder = tmp_path / f"weir-{len(made)}"
        (folder / "manifests").mkdir(parents=True)
        (folder / "manifests" / "app.yaml").write_text(manifest)
        made.append(Running(folder, folder / "manifests", *options))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


def pytest_addoption(parser):
    parser.addoption("--minutes", type=float, help="tests that have not begun by then are skipped")


def pytest_configure(config):
    config.addinivalue_line("markers", "heavy: downloads more than 30 MB, or starts a JVM")
    config.began = time.monotonic()


def pytest_collection_modifyitems(items):
    """The quick ones first; files stay together, because servers end with them."""
    heavy = {item.path for item in items if item.get_closest_marker("heavy")}
    items.sort(key=lambda item: item.path in heavy)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    minutes = item.config.getoption("--minutes")
    if minutes and time.monotonic() - item.config.began > minutes * 60:
        pytest.skip(f"not begun after {minutes:g} minutes")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in Server.running:
            report.sections.append((f"{server.name}, last lines of {server.log}", server.last_words()))
