"""Up, down, zero, fallback, pause, hot reload: one ScaledObject on one Deployment, as a user would see it."""
import json
import os
import time

from conftest import Source, manifest, scaled_object, wait_for

FALLBACK = "  fallback: {failureThreshold: 2, replicas: 3}\n"


def test_up_and_down_to_zero(weir, source):
    w = weir()
    w.write("app.yaml", manifest(source.url))
    source.value = 35
    w.start()
    w.wait_ready(4)
    source.value = 15
    w.wait_ready(2)
    source.value = 0
    w.wait_ready(0)
    wait_for(lambda: w.object()["reason"] == "inactive")
    source.value = 50
    w.wait_ready(5)


def test_a_failing_source_takes_nothing_away(weir, source):
    w = weir()
    w.write("app.yaml", manifest(source.url))
    source.value = 30
    w.start()
    w.wait_ready(3)
    for status, body in ((503, b"down"), (401, b""), (404, b"{}"), (200, b"<html>sorry</html>"), (200, b'{"value": '), (200, b"{}")):
        source.status, source.body = status, body
        wait_for(lambda: w.object()["triggers"][0]["state"] == "failed")
        time.sleep(3)  # longer than the cooldown
        assert w.object()["specReplicas"] == 3, (status, body)
        assert w.object()["held"]
        source.status, source.body = 200, None
        wait_for(lambda: w.object()["triggers"][0]["state"] == "ok")


def test_fallback(weir, source):
    w = weir()
    w.write("app.yaml", manifest(source.url, spec=FALLBACK))
    source.status = 500
    w.start()
    w.wait_ready(3)
    assert w.object()["fallback"]
    explained = w.cli("explain", "app").stdout
    assert "fallback" in explained and "500" in explained, explained
    record = json.loads(w.cli("explain", "app", "--output", "json").stdout)
    assert record["fallback"] and "500" in record["inputs"][0]["why"], record
    source.status, source.value = 200, 0
    w.wait_ready(0)


def test_hpa_mode_is_refused_on_one_machine(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url, annotations=", weir.dev/mode: hpa"))
    w.start()
    problem = wait_for(lambda: w.object().get("problem"))
    assert "no HorizontalPodAutoscaler" in problem
    w.write("app.yaml", manifest(source.url))
    w.wait_ready(2)


def test_pause_annotations(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    w.write("app.yaml", manifest(source.url, annotations=", autoscaling.keda.sh/paused: 'true'"))
    wait_for(lambda: w.object()["paused"])
    source.value = 50
    time.sleep(2)
    assert w.object()["specReplicas"] == 2
    w.write("app.yaml", manifest(source.url, annotations=", autoscaling.keda.sh/paused-replicas: '1'"))
    w.wait_ready(1)
    w.write("app.yaml", manifest(source.url))
    w.wait_ready(5)


def test_a_bad_edit_keeps_the_last_good_version(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    w.write("app.yaml", manifest(source.url).replace("maxReplicaCount: 5", "maxReplicaCount: none"))
    problem = wait_for(lambda: w.object().get("problem"))
    assert "maxReplicaCount" in problem
    source.value = 40
    w.wait_ready(4)  # the version in force goes on scaling
    w.write("app.yaml", "a: [1, 2\n")
    wait_for(lambda: "cannot be read" in (w.object().get("problem") or ""))
    source.value = 30
    w.wait_ready(3)
    w.write("app.yaml", manifest(source.url))
    wait_for(lambda: w.object().get("problem") is None)


def test_objects_come_and_go_with_their_files(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    w.write("other.yaml", manifest(source.url, name="other", target="20"))
    w.wait_ready(1, "other")
    os.unlink(w.manifests / "other.yaml")
    wait_for(lambda: '"other"' not in w.get("/metrics"))
    assert w.object("other") == {"error": "there is no such object; GET /api/v1/objects lists them"}
    assert w.ready() == 2
    wait_for(lambda: not w.pids("other"))


def test_a_folder_that_cannot_be_listed_takes_nothing_away(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    pids, away = w.pids(), w.folder / "away"
    w.manifests.rename(away)
    wait_for(lambda: "cannot be looked at" in w.log_text())
    source.value = 30
    wait_for(lambda: w.object()["specReplicas"] == 3)  # decisions go on; the third starts when its working directory is back
    assert pids.items() <= w.pids().items()  # nobody was restarted
    away.rename(w.manifests)
    wait_for(lambda: "can be looked at again" in w.log_text())
    w.wait_ready(3)


def test_a_hanging_source_costs_only_its_own_polls(weir, source):
    w, hanging = weir(), Source()
    hanging.hang = True
    source.value = 10
    w.write("app.yaml", manifest(source.url))
    w.write("slow.yaml", manifest(hanging.url, name="slow"))
    w.start()
    w.wait_ready(1)
    before = w.object()["polls"]
    for value, count in ((30, 3), (50, 5), (10, 1)):
        source.value = value
        w.wait_ready(count, limit_s=15)
    assert w.object()["polls"] > before + 5
    wait_for(lambda: w.object("slow")["triggers"][0]["state"] == "failed")
    assert w.ready("slow") == 1
    hanging.close()


def test_observe_mode_never_writes(weir, source):
    w = weir("--mode", "observe")
    source.value = 50
    w.write("app.yaml", manifest(source.url))
    w.start()
    wait_for(lambda: w.object().get("wantedReplicas", 0) > 1)
    time.sleep(1)
    assert w.object()["specReplicas"] == 1


def test_formula_without_finite_result_holds(weir, source):
    zero = Source()
    w = weir()
    source.value, zero.value = 40, 2
    spec = "    scalingModifiers: {formula: 'load / pods', target: '10', metricType: AverageValue}\n"
    trigger = f"""  - {{type: metrics-api, name: load, metadata: {{url: "{source.url}", valueLocation: value}}}}
  - {{type: metrics-api, name: pods, metadata: {{url: "{zero.url}", valueLocation: value}}}}
"""
    w.write("app.yaml", manifest(source.url, spec=spec, trigger=trigger))
    w.start()
    w.wait_ready(2)
    zero.value = 0
    wait_for(lambda: w.object()["held"])
    time.sleep(3)
    assert w.object()["specReplicas"] == 2
    assert "load / pods" in w.cli("explain", "app").stdout
    zero.close()


def test_journal_explains_later_and_without_a_running_weir(weir, source):
    w = weir()
    source.value = 30
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(3)
    decisions = json.loads(w.get("/api/v1/objects/default/app/decisions"))["decisions"]
    assert any(d["decision"]["after"] == 3 and d["decision"]["write"] for d in decisions)
    w.stop()
    after = w.cli("explain", "app")  # the step to three, or that three will do: whichever was written last
    assert after.returncode == 0 and "load at 30" in after.stdout, after


def test_readiness_and_metrics(weir, source):
    w = weir()
    source.value = 30
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(3)
    assert w.get("/readyz") == "ok\n"
    metrics = w.get("/metrics")
    labels = 'namespace="default",metric="s0-metric-api-value",scaledObject="app",scaler="load",triggerIndex="0",type="scaledobject"'
    assert f"keda_scaler_metrics_value{{{labels}}} 30" in metrics
    assert f"keda_scaler_active{{{labels}}} 1" in metrics
    assert 'weir_replicas_wanted{namespace="default",scaledObject="app"} 3' in metrics
    assert f"keda_scaler_detail_errors_total{{{labels}}} 0" in metrics
    assert 'keda_internal_scale_loop_latency_seconds{namespace="default",type="scaledobject",resource="app"}' in metrics
    assert "<html" in w.get("/") and "/api/v1/objects" in w.get("/")


def test_a_target_that_is_missing_is_not_ready(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", scaled_object(source.url))
    w.start()
    wait_for(lambda: w.object().get("ready") == "False")
    assert w.object()["readyReason"] == "ScaledObjectCheckFailed" and "in no manifest" in w.object()["targetError"]
    w.write("app.yaml", manifest(source.url))
    w.wait_ready(2)
    assert w.object()["ready"] == "True"


def test_files_that_are_renamed_or_written_slowly_cost_no_replica(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    pids = w.pids()
    (w.manifests / "app.yaml").rename(w.manifests / "renamed.yaml")
    wait_for(lambda: w.object().get("file", "").endswith("renamed.yaml"))
    with open(w.manifests / "renamed.yaml", "w", encoding="utf-8") as slow:
        for line in manifest(source.url).splitlines(keepends=True):
            slow.write(line)
            slow.flush()
            time.sleep(0.05)
    time.sleep(2)
    assert w.pids() == pids
