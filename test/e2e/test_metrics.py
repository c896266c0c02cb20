"""/metrics: its text, what Prometheus makes of it, the dashboards that ask for it, rules and alerts, levels of the log."""
import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import DEPLOYMENT, ROOT, WEIR, free_port, program, wait_for
from support.weir import UnixConnection

RULES = ROOT / "deploy" / "prometheus"
# What KEDA's public dashboard (config/grafana/keda-dashboard.json of its repository) asks, with its variables.
KEDA_QUERIES = {
    "Scaler Total Errors": 'sum by(job) (rate(keda_scaler_detail_errors_total{}[5m]))',
    "Scaler Errors": 'sum by(scaler) (rate(keda_scaler_detail_errors_total{exported_namespace=~"$namespace", '
                     'scaledObject=~"$scaledObject", scaler=~"$scaler"}[5m]))',
    "Scaled Object Errors": 'sum by(scaledObject) (rate(keda_scaled_object_errors_total{exported_namespace=~"$namespace", '
                            'scaledObject=~"$scaledObject"}[5m]))',
    "Scaler Metric Value": 'sum by(metric) (keda_scaler_metrics_value{exported_namespace=~"$namespace", metric=~"$metric", '
                           'scaledObject=~"$scaledObject"})',
    "Current replicas": 'kube_horizontalpodautoscaler_status_current_replicas{namespace="$namespace",'
                        'horizontalpodautoscaler=~"keda-hpa-$scaledObject"}',
    "Max replicas": 'kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace",'
                    'horizontalpodautoscaler=~"keda-hpa-$scaledObject"}',
    "Changes in replicas": 'delta(kube_horizontalpodautoscaler_status_current_replicas{namespace="$namespace",'
                           'horizontalpodautoscaler=~"keda-hpa-$scaledObject"}[1m])',
}
KEDA_VARIABLES = {
    "namespace": ('keda_scaler_active', "exported_namespace"),
    "scaledObject": ('keda_scaler_active{exported_namespace="$namespace"}', "scaledObject"),
    "scaler": ('keda_scaler_active{exported_namespace="$namespace"}', "scaler"),
    "metric": ('keda_scaler_active{exported_namespace="$namespace"}', "metric"),
}
JOB = """apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {{name: work, annotations: {{weir.dev/polling-interval: 500ms}}}}
spec:
  jobTargetRef:
    template: {{spec: {{containers: [{{name: main, image: x, command: [sleep, "1000"]}}], restartPolicy: Never}}}}
  maxReplicaCount: 2
  triggers:
  - type: metrics-api
    metadata: {{url: "{url}", valueLocation: value, targetValue: "1"}}
"""
AUTH = """---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: login}
spec: {secretTargetRef: []}
"""


def app(name, trigger, spec="  maxReplicaCount: 5\n", more=""):
    return DEPLOYMENT.format(name=name, replicas=1) + f"""apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}, annotations: {{weir.dev/polling-interval: 500ms}}}}
spec:
  scaleTargetRef: {{name: {name}}}
{spec}{more}  triggers:
{trigger}"""


def api_trigger(url, target, name="load"):
    return f"""  - type: metrics-api
    name: {name}
    metadata: {{url: "{url}", valueLocation: value, targetValue: "{target}"}}
"""


FORMULA = """  advanced:
    scalingModifiers: {formula: "load * 2", target: "10"}
"""
FALLBACK = """  fallback: {failureThreshold: 1, replicas: 2}
"""


class Prometheus:
    """A real one, that scrapes Weir as the chart's ServiceMonitor makes it do."""

    def __init__(self, folder, weir_port):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("rules.yaml", "keda-dashboard.yaml"):
            shutil.copy(RULES / name, folder / name)
        (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml, keda-dashboard.yaml]
scrape_configs:
- job_name: weir
  honor_labels: true
  static_configs: [{{targets: ['127.0.0.1:{weir_port}']}}]
  metric_relabel_configs:
  - {{source_labels: [__name__, namespace], regex: 'keda_.+;(.+)', target_label: exported_namespace, replacement: $1}}
- job_name: self
  static_configs: [{{targets: ['127.0.0.1:{self.port}']}}]
""")
        self.process = subprocess.Popen([program("prometheus"), f"--config.file={folder}/prometheus.yml",
                                         f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}",
                                         "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as err:
            if err.code == 503:  # it is not up yet
                return None
            raise AssertionError(f"{parameters}: {err.read().decode()}") from None
        except OSError:
            return None

    def query(self, expression):
        answer = self.ask("query", query=expression)
        return answer["result"] if answer else []

    def values(self, selector, label):
        return self.ask(f"label/{label}/values", **{"match[]": selector})

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def metrics_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.read().decode()


@pytest.fixture
def scene(weir, source, tmp_path, request):
    """Objects in every state that a dashboard shows: steady, by formula, held, on fallback, at the maximum, twins that share a question."""
    port = free_port()
    w = weir("--metrics-listen", f"127.0.0.1:{port}")
    source.value = 20
    gone = "http://127.0.0.1:9/value"
    w.write("formula.yaml", app("formula", api_trigger(source.url, "10"), more=FORMULA))
    w.write("twin.yaml", app("twin", api_trigger(source.url, "10")))
    w.write("held.yaml", app("held", api_trigger(gone, "10")))
    w.write("fallback.yaml", app("fallback", api_trigger(gone, "10"), more=FALLBACK))
    w.write("limit.yaml", app("limit", api_trigger(source.url, "1"), spec="  maxReplicaCount: 3\n"))
    w.write("slo.yaml", app("slo", api_trigger(source.url, "10")).replace("weir.dev/polling-interval: 500ms",
                                                                          'weir.dev/polling-interval: 500ms, weir.dev/slo: "load < 100"'))
    w.write("job.yaml", JOB.format(url=source.url))
    w.write("auth.yaml", AUTH)
    prometheus = Prometheus(tmp_path, port)
    request.addfinalizer(prometheus.stop)
    # asks Prometheus itself, so that there is an answer without a value
    w.write("asks.yaml", app("asks", f"""  - type: prometheus
    metadata: {{serverAddress: "{prometheus.url}", query: 'absent_metric', threshold: "1"}}
"""))
    w.start()
    wait_for(lambda: prometheus.query("weir_fallback_in_force == 1") and prometheus.query("count_over_time(weir_held[1m]) > 4"), 60)
    return w, prometheus, port


def fill_in(expression, **variables):
    for name, value in sorted(variables.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(f"${name}", value)
    return expression


# ---- the text


def test_promtool_finds_only_what_is_kedas(scene):
    """KEDA calls two gauges _total and labels scaledObject, and we must, too."""
    _, _, port = scene
    said = subprocess.run([program("promtool"), "check", "metrics"], input=metrics_of(port), capture_output=True, text=True, check=False)
    complaints = [line for line in (said.stdout + said.stderr).splitlines() if line.strip()]
    others = [line for line in complaints if not re.match(r"keda_(resource|trigger)_registered_total non-counter metrics should not have", line)
              and not re.search("label names should be written in 'snake_case'", line)]
    assert not others, others


def test_every_family_is_there_once_and_documented(scene):
    """Also on the page of the socket; docs/metrics.md has a row for each."""
    w, _, port = scene
    page = metrics_of(port)
    families = re.findall(r"^# TYPE (\S+)", page, re.M)
    assert len(families) == len(set(families)) and families == re.findall(r"^# TYPE (\S+)", w.get("/metrics"), re.M)
    documented = set(re.findall(r"`((?:keda|weir|process)_\w+)", (ROOT / "docs" / "metrics.md").read_text()))
    assert set(families) <= documented, set(families) - documented
    assert not [name for name in families if not re.search(rf"^{name}(_count)?[{{ ]", page, re.M)]


def test_series_vanish_with_their_object(scene):
    w, prometheus, port = scene
    assert 'scaledObject="twin"' in metrics_of(port)
    (w.manifests / "twin.yaml").unlink()
    wait_for(lambda: 'twin"' not in metrics_of(port))
    wait_for(lambda: not prometheus.query('{scaledObject="twin"}'))
    assert prometheus.query('keda_scaler_active{scaledObject="formula"}')


def test_part_of_the_page(scene):
    w, _, _ = scene
    page = w.get("/metrics?family=keda_scaler_active,weir_replicas_")
    assert set(re.findall(r"^# TYPE (\S+)", page, re.M)) == {"keda_scaler_active", "weir_replicas_wanted", "weir_replicas_current",
                                                             "weir_replicas_ready", "weir_replicas_min", "weir_replicas_max"}


# ---- what Prometheus answers


def test_kedas_dashboard_shows_weir(scene):
    _, prometheus, _ = scene
    variables = {}
    for name, (selector, label) in KEDA_VARIABLES.items():
        found = prometheus.values(fill_in(selector, **variables), label)
        assert found, name
        variables[name] = "default" if name == "namespace" else f"({'|'.join(found)})"
    for title, query in KEDA_QUERIES.items():
        wait_for(lambda query=query: prometheus.query(fill_in(query, **variables)), 30)
        assert prometheus.query(fill_in(query, **variables)), title


def queries_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_weirs_dashboard_has_data_everywhere(scene):
    _, prometheus, _ = scene
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "weir.json").read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        assert prometheus.values(fill_in(selector, job=".*", namespace=".*"), label), variable["name"]
    for annotation in dashboard["annotations"]["list"]:
        prometheus.query(fill_in(annotation["expr"], job=".*"))
    for title, query in queries_of(dashboard):
        filled = fill_in(query, job=".*", namespace=".*", object=".*", __rate_interval="1m")
        assert prometheus.query(filled), f"{title}: {filled}"


def test_rules_have_data_and_alerts_fire(scene):
    _, prometheus, _ = scene
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] in ("ok", "unknown"), rule
    for name in ("weir:decisions:rate5m", "weir:polls_failed:ratio5m", "weir:poll_duration_seconds:p99_5m",
                 "weir:decision_delay_seconds:p99_5m", "weir:scale_delay_seconds:p99_5m", "weir:polls_shared:ratio5m"):
        wait_for(lambda name=name: prometheus.query(name), 30)
    pending = {alert["labels"]["alertname"]: alert["labels"] for alert in prometheus.ask("alerts")["alerts"]}
    assert pending["WeirAtMaximum"]["scaledObject"] == "limit"
    assert pending["WeirFallbackInForce"]["scaledObject"] == "fallback"
    assert {"WeirReplicasHeld", "WeirTriggerFailing"} <= set(pending) and "WeirDown" not in pending


@pytest.mark.parametrize("arguments", [["check", "rules", "rules.yaml", "keda-dashboard.yaml"], ["test", "rules", "rules.test.yaml"]])
def test_rules_are_right(arguments):
    said = subprocess.run([program("promtool"), *arguments], cwd=RULES, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "SUCCESS" in said.stdout


def test_every_alert_is_tested():
    alerts = set(re.findall(r"- alert: (\w+)", (RULES / "rules.yaml").read_text()))
    assert alerts and alerts == set(re.findall(r"alertname: (\w+)", (RULES / "rules.test.yaml").read_text()))


# ---- the log


def ask(w, method, path, body=None, kind="application/json"):
    connection = UnixConnection(w.data / "weir.sock")
    connection.request(method, path, body=body, headers={"Content-Type": kind} if body is not None else {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


def test_levels_are_changed_while_it_runs(weir, source):
    w = weir("--log-level", "warning,serve=info", "--allow-actions")
    w.write("app.yaml", app("app", api_trigger(source.url, "10")))
    w.start()
    assert ask(w, "GET", "/api/v1/log-levels") == (200, {"level": "warning", "rooms": {"serve": "info"}})
    wait_for(lambda: w.object().get("decision"))
    assert "room=autoscaler" not in w.log_text()
    wanted = {"level": "error", "rooms": {"autoscaler": "debug"}}
    assert ask(w, "PUT", "/api/v1/log-levels", json.dumps(wanted)) == (200, wanted)
    wait_for(lambda: " level=debug msg=answered room=autoscaler object=ScaledObject/default/app trigger=load state=ok value=0 " in w.log_text())
    wait_for(lambda: " msg=unchanged room=autoscaler object=ScaledObject/default/app from=" in w.log_text())
    assert ' msg="log levels changed" room=serve reason=asked from=' in w.log_text()
    assert ask(w, "PUT", "/api/v1/log-levels", json.dumps({"level": "warning"})) == (200, {"level": "warning", "rooms": {}})


@pytest.mark.parametrize("body, kind, status, says", [
    ("{", "application/json", 400, ""), ("[]", "application/json", 400, "object"), ("{}", "application/json", 400, "level"),
    ('{"level": "loud"}', "application/json", 400, "debug, info, warning, error"),
    ('{"level": "warn"}', "application/json", 400, "debug, info, warning, error"),
    ('{"level": "info", "rooms": {"decide": "info"}}', "application/json", 400, "decide"),
    ('{"level": "info", "rooms": []}', "application/json", 400, "rooms"),
    ('{"level": "info", "more": 1}', "application/json", 400, "more"),
    ('{"level": "info"}', "text/plain", 415, "application/json"),
])
def test_levels_that_are_none_are_refused(weir, source, body, kind, status, says):
    w = weir("--allow-actions")
    w.write("app.yaml", app("app", api_trigger(source.url, "10")))
    w.start()
    answer = ask(w, "PUT", "/api/v1/log-levels", body, kind)
    assert answer[0] == status and says in answer[1]["error"], answer
    assert ask(w, "GET", "/api/v1/log-levels") == (200, {"level": "info", "rooms": {}})


def test_a_level_that_is_none_is_bad_usage(tmp_path):
    said = subprocess.run([str(WEIR), "run", "--log-level", "info,serve=loud", str(tmp_path)], capture_output=True, text=True, check=False)
    assert said.returncode == 2 and "--log-level: 'loud' is no level" in said.stderr


LINES = [  # what happens, and the line that says so
    ("loaded", r' msg=loaded room=autoscaler object=ScaledObject/default/app reason=new file='),
    ("scaled", r' msg=scaled room=autoscaler object=ScaledObject/default/app from=1 to=2 reason=above-target why='),
    ("changed", r' msg=changed room=autoscaler object=ScaledObject/default/app reason=manifest from="maxReplicaCount=5" to="maxReplicaCount=4" '),
    ("paused", r' msg=changed .* from="paused=no" to="paused=yes" '),
    ("pause decided", r' msg=decided room=autoscaler object=ScaledObject/default/app from=2 to=2 reason=paused '),
    ("refused", r' msg="bad manifest; the last good version stays in force" room=autoscaler object=ScaledObject/default/app reason=refused '),
    ("removed", r' msg=removed room=autoscaler object=ScaledObject/default/app reason=gone'),
]


def test_each_change_is_one_line(weir, source):
    w = weir()
    source.value = 20
    good = app("app", api_trigger(source.url, "10"))

    def says(what):
        pattern = dict(LINES)[what]
        wait_for(lambda: re.search(pattern, w.log_text()), 20)

    w.write("app.yaml", good)
    w.start()
    says("loaded")
    says("scaled")
    w.write("app.yaml", good.replace("maxReplicaCount: 5", "maxReplicaCount: 4"))
    says("changed")
    paused = good.replace("maxReplicaCount: 5", "maxReplicaCount: 4").replace("weir.dev/polling-interval: 500ms",
                                                                              'weir.dev/polling-interval: 500ms, autoscaling.keda.sh/paused: "true"')
    w.write("app.yaml", paused)
    says("paused")
    says("pause decided")
    w.write("app.yaml", paused.replace("maxReplicaCount: 4", "maxReplicaCount: -4"))
    says("refused")
    (w.manifests / "app.yaml").unlink()
    says("removed")


def test_jobs_and_fallback_are_told(weir, source):
    w = weir("--log-format", "json")
    source.value = 2
    w.write("job.yaml", JOB.format(url=source.url))
    w.write("app.yaml", app("app", api_trigger("http://127.0.0.1:9/value", "10"), more=FALLBACK))
    w.start()

    def lines(**wanted):
        found = [json.loads(line) for line in w.log_text().splitlines()]
        return [line for line in found if wanted.items() <= line.items()]

    wait_for(lambda: lines(msg="creates jobs", object="ScaledJob/default/work", **{"from": "0", "to": "2", "reason": "activated"}))
    wait_for(lambda: lines(msg="scaled", object="ScaledObject/default/app", **{"from": "1", "to": "2", "reason": "fallback"}))
