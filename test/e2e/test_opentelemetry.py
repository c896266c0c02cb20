"""OpenTelemetry end to end: what a running Weir sends, to a collector that is there, away, slow, or asks who it is. The bytes are read here
without their definitions; tools/check-otlp reads them with those of the OpenTelemetry project, and with its Collector."""
import ssl
import subprocess
import time

import pytest

from conftest import WEIR, free_port, manifest, wait_for
from support.protobuf import at, one
from support.receiver import Receiver

QUICK = {"OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_BLRP_SCHEDULE_DELAY": "100", "OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture
def environment(monkeypatch):
    def put(**more):
        for name, value in {**QUICK, **more}.items():
            monkeypatch.setenv(name, value)
    put()
    return put


@pytest.fixture
def collector():
    r = Receiver()
    yield r
    r.close()


def parts(collector, signal):
    """All metrics, log records or spans that came."""
    return [part for request in list(collector.taken) if request.path == f"/v1/{signal}" for part in at(request.body, 1, 2, 2)]


def attributes(message, number):
    return {one(pair, 1).decode(): next(iter(at(pair, 2, 1) or at(pair, 2, 3) or at(pair, 2, 2) or at(pair, 2, 4)), None) for pair in at(message, number)}


def counted(weir, name, signal):
    for line in weir.get("/metrics").splitlines():
        if line.startswith(f'{name}{{signal="{signal}"}} '):
            return int(line.split()[-1])
    return None


def test_all_three_signals(weir, source, collector, environment):
    """A scale up is told as metrics, as a log record, and as a trace whose spans belong together."""
    environment(OTEL_SERVICE_NAME="scaler", OTEL_RESOURCE_ATTRIBUTES="team=web%20shop")
    w = weir("--otlp-endpoint", collector.root)
    w.write("app.yaml", manifest(source.url))
    source.value = 35
    w.start()
    w.wait_ready(4)
    names = lambda: {one(metric, 1).decode() for metric in parts(collector, "metrics")}  # noqa: E731
    wait_for(lambda: {"keda.scaler.metrics.value", "keda.scaler.active", "keda.scaler.http.requests.count", "weir.replicas.ready"} <= names())

    def scaled():
        found = [attributes(record, 6) for record in parts(collector, "logs")]
        return [a for a in found if a.get("weir.replicas.after") == 4 and a.get("weir.decision.write") == 1]
    record = wait_for(scaled)[0]
    assert record["weir.object"] == b"ScaledObject/default/app"
    assert record["k8s.deployment.name"] == b"app"
    assert record["weir.decision.reason"] == b"above-target"

    def traces():
        by_trace = {}
        for span in parts(collector, "traces"):
            by_trace.setdefault(one(span, 1), []).append(span)
        return [spans for spans in by_trace.values() if b"scale" in [one(s, 5) for s in spans]]
    spans = wait_for(traces)[0]
    root = [span for span in spans if not at(span, 4)]
    assert len(root) == 1 and one(root[0], 5) == b"decision"
    assert {one(span, 4) for span in spans if at(span, 4)} == {one(root[0], 2)}
    assert {one(span, 5) for span in spans} >= {b"decision", b"poll metrics-api", b"decide", b"scale"}
    assert all(one(root[0], 7) <= one(span, 7) <= one(span, 8) <= one(root[0], 8) for span in spans)
    assert b"".join(at(next(s for s in spans if one(s, 5) == b"decide"), 11, 2))  # its steps
    resource = attributes(at(collector.taken[0].body, 1, 1)[0], 1)
    assert resource["service.name"] == b"scaler" and resource["team"] == b"web shop"
    w.stop()


def test_a_collector_that_comes_back(weir, source, environment):
    """While the collector is away nothing is lost that fits, and decisions are made as ever."""
    port = free_port()
    environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    w = weir("--otlp", "logs")
    w.write("app.yaml", manifest(source.url))
    source.value = 35
    w.start()
    w.wait_ready(4)
    wait_for(lambda: (counted(w, "weir_export_failures_total", "logs") or 0) >= 2)
    assert w.log_text().count("telemetry cannot be delivered") == 1
    collector = Receiver(port)
    wait_for(lambda: [a for a in (attributes(r, 6) for r in parts(collector, "logs")) if a.get("weir.replicas.after") == 4], limit_s=60)
    assert collector.taken[0].headers["content-encoding"] == "gzip"
    assert counted(w, "weir_export_dropped_total", "logs") == 0
    wait_for(lambda: "telemetry is delivered again" in w.log_text())
    collector.close()


@pytest.mark.parametrize("illness", ["slow", "refuses", "hangs"])
def test_an_ill_collector_delays_nothing(weir, source, collector, environment, illness):
    environment(OTEL_EXPORTER_OTLP_TIMEOUT="3000")

    def answer(_):
        if illness == "refuses":
            return 401
        time.sleep(2 if illness == "slow" else 3600)
        return 200
    collector.answer = answer
    w = weir("--otlp-endpoint", collector.root)
    w.write("app.yaml", manifest(source.url))
    source.value = 35
    w.start()
    w.wait_ready(4)
    source.value = 5
    w.wait_ready(1)
    before = time.monotonic()
    w.stop()
    assert time.monotonic() - before < 12  # the last words are waited for, but not for ever


def test_the_last_words(weir, source, collector, environment):
    """What was decided is sent before Weir ends, however long it might have waited for more."""
    environment(OTEL_BLRP_SCHEDULE_DELAY="3600000", OTEL_METRIC_EXPORT_INTERVAL="3600000", OTEL_BSP_SCHEDULE_DELAY="3600000")
    w = weir("--otlp-endpoint", collector.root)
    w.write("app.yaml", manifest(source.url))
    source.value = 35
    w.start()
    w.wait_ready(4)
    assert not collector.asked
    w.stop()
    assert parts(collector, "logs") and parts(collector, "traces") and parts(collector, "metrics")


def test_headers_and_tls(weir, source, tmp_path, environment):
    """A token in a header, a CA of one's own, and a certificate by which Weir is known; the token is in no output."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=tmp_path)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    collector = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    context.load_verify_locations(tmp_path / "cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    collector.server.socket = context.wrap_socket(collector.server.socket, server_side=True)
    environment(OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "cert.pem"), OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(tmp_path / "cert.pem"),
                OTEL_EXPORTER_OTLP_CLIENT_KEY=str(tmp_path / "key.pem"), OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20canary-4711")
    w = weir("--otlp-endpoint", f"https://127.0.0.1:{collector.port}", "--log-level", "debug")
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: collector.taken)
    assert collector.taken[0].headers["authorization"] == "Bearer canary-4711"
    w.stop()
    assert "canary-4711" not in w.log_text()
    collector.close()


def test_wrong_words(tmp_path):
    """What cannot be meant is said at once, with what to write instead."""
    def run(*options, **environment):
        import os
        done = subprocess.run([str(WEIR), "run", str(tmp_path), "--data-dir", str(tmp_path / "data"), "--listen", "none", *options], capture_output=True,
                              text=True, check=False, timeout=20, env={**os.environ, **environment})
        return done.returncode, done.stderr
    status, text = run("--otlp", "metrics,events")
    assert status == 2 and "metrics, logs and traces" in text
    status, text = run("--otlp-endpoint", "collector:4318")
    assert status == 1 and "--otlp-endpoint" in text and "http://collector:4318" in text
    status, text = run(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert status == 1 and "4318" in text
