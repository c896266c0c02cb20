"""Recordings: a run that is killed in the middle decides the same when simulated; the past of a manifest's queries is asked of Prometheus."""
import gzip
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import DEPLOYMENT, WEIR, free_port, program, scaled_object, wait_for


def weir_cli(*arguments):
    return subprocess.run([str(WEIR), *map(str, arguments)], capture_output=True, text=True, check=False)


# -------------------------------------------------------------------------------------------------------- a run, and again

FORMULA = """
    scalingModifiers:
      target: "10"
      formula: "max(ema(load, \\"2s\\"), 0.7 * avg_over(load, \\"1m\\")) + 5 * (missing(load) ? 1 : 0)"
"""


def entries(folder):
    for path in sorted(folder.glob("weir-*.jsonl.gz")):
        lines = []
        try:
            with gzip.open(path, "rt") as text:
                for line in text:
                    lines.append(line)
        except EOFError:  # its writer was killed
            pass
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def test_a_recorded_run_decides_the_same_again(weir, source, tmp_path):
    folder = tmp_path / "recording"
    w = weir("--record", folder)
    w.write("app.yaml", DEPLOYMENT.format(name="app", replicas=1) + scaled_object(source.url, spec=FORMULA))
    w.start()
    for second in range(20):
        source.value = [5, 35, 12, 48, 0, 0, 22][second % 7]
        source.status = 500 if second % 9 == 4 else 200
        source.body = b'{"other": 1}' if second % 9 == 6 else None
        if second == 10:
            time.sleep(2)  # what is older is with the system
            w.kill()
            w.start()
        time.sleep(1)
    w.stop()
    lines = list(entries(folder))
    ticks = [line for line in lines if "at" in line and "key" not in line and "applied" not in line]
    assert len(ticks) > 60, len(ticks)
    assert sum("recording" in line for line in lines) == 2, "one file for each start"
    assert sum("applied" in line for line in lines) >= 5
    assert len({line["decision"][1] for line in ticks if "decision" in line}) >= 4, "it went up and down"
    again = weir_cli("simulate", w.manifests / "app.yaml", "--trace", folder, "--output", "json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["parted_s"] is None, found["parted_s"]
    assert found["ticks"] == len(ticks)
    words = weir_cli("simulate", w.manifests / "app.yaml", "--trace", folder)
    assert "every decision is the recorded one" in words.stdout
    other = tmp_path / "other.yaml"
    other.write_text((w.manifests / "app.yaml").read_text().replace('target: "10"', 'target: "20"'))
    parted = json.loads(weir_cli("simulate", other, "--trace", folder, "--output", "json").stdout)
    assert parted["parted_s"] is not None


def test_a_folder_that_cannot_be_recorded_into_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    refused = weir_cli("run", "--record", tmp_path / "file" / "folder", "--data-dir", tmp_path / "data", "--listen", "none", tmp_path)
    assert refused.returncode == 1
    assert "--record" in refused.stderr and "cannot be made" in refused.stderr


# ------------------------------------------------------------------------------------------------------- asked of Prometheus

def prometheus_object(*triggers, more=""):
    return scaled_object("", name="app", trigger="".join(triggers)) + more


def trigger(url, query, name="load", more=""):
    return f"""  - type: prometheus
    name: {name}
    metadata: {{serverAddress: "{url}", query: '{query}', threshold: "1"{more}}}
"""


def read_columns(path):
    with gzip.open(path, "rt") as text:
        return [line.rstrip("\n").split(",") for line in text]


@pytest.fixture
def prometheus(tmp_path):
    port = free_port()
    (tmp_path / "prom.yml").write_text("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: self\n  static_configs:\n"
                                       f"  - targets: ['127.0.0.1:{port}']\n")
    url = f"http://127.0.0.1:{port}"

    def scraped():
        try:
            with urllib.request.urlopen(f"{url}/api/v1/query?query=count_over_time(up[1m])", timeout=1) as answer:
                result = json.load(answer)["data"]["result"]
                return result and float(result[0]["value"][1]) >= 5
        except OSError:
            return False

    server = subprocess.Popen([program("prometheus"), f"--config.file={tmp_path}/prom.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(scraped, 40)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_the_past_is_asked_of_prometheus(prometheus, tmp_path):
    manifest, out = tmp_path / "app.yaml", tmp_path / "out"
    manifest.write_text(prometheus_object(trigger(prometheus, "sum(up) * 30", "load"), trigger(prometheus, "vector(0)/0", "ratio"),
                                          trigger(prometheus, "absent_metric", "none")))
    made = weir_cli("record", "--manifest", manifest, "--from", "3s", "--step", "1s", "--out", out)
    assert made.returncode == 0, made.stderr
    assert "none (never a value)" in made.stdout
    rows = read_columns(out / "default-app.csv.gz")
    assert rows[0] == ["time", "load", "ratio", "none"]
    assert len(rows) in (4, 5)
    assert rows[-1][1:] == ["30", "NaN", "_"]
    assert int(rows[2][0]) - int(rows[1][0]) == 1
    again = weir_cli("record", "--manifest", manifest, "--from", "3s", "--out", out)
    assert again.returncode == 1 and "File exists" in again.stderr
    # and a policy is tried on it
    manifest.write_text(prometheus_object(trigger("http://elsewhere", "up", "load"), trigger("http://elsewhere", "a/b", "ratio"),
                                          trigger("http://elsewhere", "c", "none")))
    tried = weir_cli("simulate", manifest, "--trace", out / "default-app.csv.gz", "--output", "json")
    assert tried.returncode == 0, tried.stderr


@pytest.mark.parametrize("query, says", [("sum(", "parse error"), ("prometheus_http_requests_total or vector(1)", "sum(...)")])
def test_a_query_that_cannot_be_recorded_is_named(prometheus, tmp_path, query, says):
    manifest = tmp_path / "app.yaml"
    manifest.write_text(prometheus_object(trigger(prometheus, query)))
    made = weir_cli("record", "--manifest", manifest, "--from", "10s", "--step", "1s", "--out", tmp_path / "out")
    assert made.returncode == 1
    assert says in made.stderr and "trigger load" in made.stderr and str(manifest) in made.stderr
    assert not list((tmp_path / "out").iterdir())


class Ranges:
    """A Prometheus that says 1 at every step, for whom it knows, after having been busy once."""

    def __init__(self, authorization=None):
        self.asked, outer = [], self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers)))
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                if authorization and self.headers.get("Authorization") != authorization:
                    return self.say(401, {"status": "error", "error": "who are you"})
                if len(outer.asked) == 1:
                    return self.say(503, {})
                start, end, step = (float(query[name][0]) for name in ("start", "end", "step"))
                points = [[start + i * step, "1"] for i in range(round((end - start) / step) + 1)]
                return self.say(200, {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": points}]}})

            def say(self, status, body):
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/prefix"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


AUTH = """---
apiVersion: v1
kind: Secret
metadata: {name: prom}
stringData: {token: t0ken}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: prom}
spec:
  secretTargetRef: [{parameter: bearerToken, name: prom, key: token}]
"""
SIGNED = ', authModes: bearer, namespace: tenant, customHeaders: "X-Scope-OrgID=shop"'
REFERENCE = "    authenticationRef: {name: prom}\n"


def record(manifest, out, *more):
    return weir_cli("record", "--manifest", manifest, "--from", "2026-01-01T00:00:00Z", "--to", "1767228600", "--step", "100ms", "--out", out,
                    *more)


def test_long_spans_are_split_and_the_manifest_signs_in(tmp_path):
    server = Ranges("Bearer t0ken")
    manifest = tmp_path / "app.yaml"
    manifest.write_text(prometheus_object(trigger(server.url, "a + b", more=SIGNED) + REFERENCE, more=AUTH))
    made = record(manifest, tmp_path / "out")
    server.close()
    assert made.returncode == 0, made.stderr
    rows = read_columns(tmp_path / "out" / "default-app.csv.gz")
    assert len(rows) == 30002 and rows[1] == ["1767225600.000", "1"] and rows[-1] == ["1767228600.000", "1"]
    assert len(server.asked) == 5, "busy once, then four parts of at most 10,000 steps"
    for path, headers in server.asked:
        query = urllib.parse.parse_qs(urllib.parse.urlparse(path).query)
        assert path.startswith("/prefix/api/v1/query_range?") and query["query"] == ["a + b"] and query["namespace"] == ["tenant"]
        assert headers["X-Scope-OrgID"] == "shop" and "time" not in query


def test_credentials_of_the_manifest_stay_with_its_server(tmp_path):
    server = Ranges()
    manifest, token = tmp_path / "app.yaml", tmp_path / "token"
    manifest.write_text(prometheus_object(trigger("https://prometheus.invalid", "up", more=SIGNED) + REFERENCE, more=AUTH))
    made = record(manifest, tmp_path / "out", "--prometheus", server.url)
    assert made.returncode == 0, made.stderr
    assert not any("Authorization" in headers or "X-Scope-OrgID" in headers for _, headers in server.asked)
    token.write_text("other\n")
    made = record(manifest, tmp_path / "out2", "--prometheus", server.url, "--bearer-token-file", token, "--header", "X-Scope-OrgID: mine")
    server.close()
    assert made.returncode == 0, made.stderr
    assert server.asked[-1][1]["Authorization"] == "Bearer other" and server.asked[-1][1]["X-Scope-OrgID"] == "mine"


def test_a_credential_that_is_not_there_and_one_that_is_wrong(tmp_path):
    server = Ranges("Bearer right")
    manifest = tmp_path / "app.yaml"
    manifest.write_text(prometheus_object(trigger(server.url, "up", more=SIGNED) + REFERENCE))
    made = record(manifest, tmp_path / "out")
    assert made.returncode == 1 and "TriggerAuthentication prom is not in the files" in made.stderr
    manifest.write_text(prometheus_object(trigger(server.url, "up", more=SIGNED) + REFERENCE, more=AUTH))
    made = record(manifest, tmp_path / "out")
    server.close()
    assert made.returncode == 1 and "status 401" in made.stderr and "t0ken" not in made.stderr


@pytest.mark.parametrize("text, says", [
    ("kind: [", "app.yaml:2"),
    (scaled_object("http://127.0.0.1:1/"), "has no object with a trigger of type prometheus"),
    (prometheus_object(trigger("", "up")), "serverAddress"),
])
def test_files_with_nothing_to_ask(tmp_path, text, says):
    (tmp_path / "app.yaml").write_text(text)
    made = record(tmp_path / "app.yaml", tmp_path / "out")
    assert made.returncode == 1 and says in made.stderr


@pytest.mark.parametrize("arguments, says", [
    (["--from", "1h", "--out", "x"], "--manifest is missing"),
    (["--manifest", "x", "--out", "x"], "--from is missing"),
    (["--manifest", "x", "--from", "noon", "--out", "x"], "'noon'"),
    (["--manifest", "x", "--from", "1h", "--to", "2h", "--out", "x"], "not after"),
    (["--manifest", "x", "--from", "2000h", "--step", "1s", "--out", "x"], "RECORD_STEPS_MAX"),
])
def test_bad_usage(arguments, says):
    made = weir_cli("record", *arguments)
    assert made.returncode == 2 and says in made.stderr
