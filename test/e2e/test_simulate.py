"""weir simulate as people use it: what it prints, as text and JSON, the same every time, and what it says to traces and policies that cannot be used."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from conftest import ROOT, WEIR
from support.waiting import signal_when_caught

EXAMPLE = ROOT / "examples" / "token-latency"
POLICY = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: app, namespace: shop}
spec:
  scaleTargetRef: {name: app}
  minReplicaCount: 1
  maxReplicaCount: 10
  pollingInterval: 5
  triggers:
  - {type: prometheus, name: load, metadata: {serverAddress: http://10.9.9.9, query: up, threshold: "10"}, authenticationRef: {name: secret}}
"""


def simulate(*arguments, timeout=60):
    return subprocess.run([str(WEIR), "simulate", *[str(a) for a in arguments]], capture_output=True, text=True, check=False, timeout=timeout)


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def columns(tmp_path):
    path = tmp_path / "load.csv"
    path.write_text("time,load\n" + "".join(f"{t},{35 if t >= 60 else 5}\n" for t in range(0, 600, 10)))
    return path


def test_columns_feed_triggers_by_name_and_nobody_is_asked(policy, columns):
    run = simulate(policy, "--trace", columns)
    assert run.returncode == 0 and run.stderr == ""
    assert re.search(r"00:01:00 +1 -> 4 .*load at 35 against a target of 10 asks for 4", run.stdout), run.stdout
    assert re.search(r"^scale events +1 \(1 up, 0 down\)$", run.stdout, re.M)


def test_json_is_what_the_guide_says_and_the_same_every_time(policy, columns):
    first, second = (simulate(policy, "--trace", columns, "-o", "json", "--price", "2").stdout for _ in range(2))
    assert first == second
    told = json.loads(first)
    assert told["object"] == "shop/app" and told["engine"] == "weir" and told["interrupted"] is False
    assert [(m["at_s"], m["before"], m["after"]) for m in told["moments"] if m["before"] != m["after"]] == [(60, 1, 4)]
    assert told["summary"]["replica_hours"] == pytest.approx((60 + 4 * (told["duration_s"] - 60)) / 3600)
    assert told["summary"]["money"] == pytest.approx(2 * told["summary"]["replica_hours"])
    guide = (ROOT / "docs" / "simulate.md").read_text()
    for member in [*told, *told["summary"], *told["moments"][0]]:
        assert f"`{member}`" in guide, member


def test_the_model_answers_to_what_is_decided():
    told = json.loads(simulate(EXAMPLE / "recommended.yaml", "--trace", EXAMPLE / "quiet-busy-quiet.csv", "--startup", "3s", "-o", "json").stdout)
    assert told["model"] == "h100-8b" and told["summary"]["requests"] == 812 and told["summary"]["in_slo"] > 0.99
    assert told["oracle"]["bound_replica_hours"] <= told["oracle"]["plan_replica_hours"] <= told["summary"]["replica_hours"] * 1.001


def test_the_formula_as_written_is_found_out():
    told = json.loads(simulate(EXAMPLE / "as-written.yaml", "--trace", EXAMPLE / "quiet-busy-quiet.csv", "--startup", "3s", "--no-oracle",
                               "--map", "tokens_per_min=tokens_per_min", "-o", "json").stdout)
    assert told["oracle"] is None
    assert {f["code"]: f.get("term") for f in told["findings"]} == {"against-demand": "1 / (tokens_per_min / pod_count)",
                                                                    "runs-away": "1 / (tokens_per_min / pod_count)"}


def test_the_other_engine_moves_at_its_own_times(policy, columns):
    told = json.loads(simulate(policy, "--trace", columns, "--engine", "keda-hpa", "-o", "json").stdout)
    moved = [m for m in told["moments"] if m["before"] != m["after"]]
    assert moved and all(m["at_s"] % 15 == 0 for m in moved) and moved[0]["at_s"] > 60


def test_the_report_is_a_page(policy, columns, tmp_path):
    page = tmp_path / "out.html"
    run = simulate(policy, "--trace", columns, "--report", page)
    if run.returncode and "Chart.js" in run.stderr:
        pytest.skip("built without Chart.js")
    assert run.returncode == 0, run.stderr
    assert page.read_text().startswith("<!doctype html>") and "scale events" in page.read_text()


@pytest.mark.parametrize("text, says", [
    ("time,load\n0,1\n10,x\n", r"load.csv:3:\d+: .*'x'"),
    ("time,load\n0,1\n10,2\n5,3\n", r"load.csv:4:\d+: "),
    ("time,load\n0,1\n10\n", r"load.csv:3:\d+: .*2"),
    ("time,load\n0,1\n10,2,3\n", r"load.csv:3:\d+: "),
    ("load\n1\n", r"load.csv:1:\d+: .*time"),
    ("", r"load.csv: .*empty"),
    ("time,other\n0,1\n10,2\n", r"policy.yaml:10 spec.triggers\[0\]: nothing feeds load \(prometheus\).*there are: other.*add one"),
    ("t_s,requests,prompt_tokens,generated_tokens\n0,1,2,3\n10,1,2\n", r"load.csv:3"),
    ("t_s,req_per_min,colour\n0,1,2\n600,1,2\n", r"nothing feeds load.*there are: req_per_min, colour"),
])
def test_a_bad_trace_is_refused_with_its_place(policy, tmp_path, text, says):
    trace = tmp_path / "load.csv"
    trace.write_text(text)
    run = simulate(policy, "--trace", trace)
    assert run.returncode == 1 and run.stdout == ""
    assert re.search(says, run.stderr), run.stderr


@pytest.mark.parametrize("options, says", [
    (["--profile", "a100"], "neither h100-8b nor h100x2-70b nor a file"),
    (["--map", "load"], "TRIGGER=SIGNAL"),
    (["--map", "load=speed"], "no signal speed; it has waiting"),
    (["--map", "load=waiting,load=running"], "load is mapped twice"),
    (["--profile", str(ROOT / "examples/token-latency/recommended.yaml")], "a profile has no field apiVersion"),
    (["--slo", "ttft=fast"], "'fast' is no duration"),
    (["--slo", "p99=2s"], "none of ttft=DURATION"),
    (["--startup", "60"], "'60' is no duration"),
    (["--startup", "60s..30s"], "ends before it begins"),
    (["--tokens", "5"], "PROMPT/GENERATED"),
    (["--price", "-1"], "a number from 0 on"),
    (["--start", "yesterday"], "2026-01-05T08:00:00Z"),
    (["--start", "0001-01-01T00:00:00Z"], "from 1970 on"),
    (["--startup", "2562047h"], "longer than 400 days"),
    (["--trace", "/dev/null"], "cannot be read twice"),
    (["--trace", str(ROOT / "examples/traces/AzureLLMInferenceTrace_conv.csv"), "--amplify", "20000000"], "SIM_TRACE_REQUESTS_MAX"),
    (["--amplify", "0"], "from 1 on"),
    (["--amplify", "2"], "--amplify is about requests"),
    (["--tokens", "5/5"], "--tokens is about requests"),
    (["--map", "load=waiting"], "--map is about requests"),
    (["--object", "none"], "there is no ScaledObject none in it; there are shop/app"),
    (["--trace", "/nowhere.csv"], "/nowhere.csv"),
    ([], "nothing says how long to simulate: give a trace or a duration"),
])
def test_options_that_mean_nothing(policy, options, says):
    run = simulate(policy, *options, *([] if "--trace" in options or not options else ["--duration", "1m"]))
    assert run.returncode == 1 and says in run.stderr, run.stderr


def test_what_no_trigger_reads_is_refused(policy, tmp_path):
    columns = tmp_path / "more.csv"
    columns.write_text("time,load,lode\n0,5,5\n60,5,5\n")
    run = simulate(policy, "--trace", columns)
    assert run.returncode == 1 and "more.csv: no trigger is called 'lode'" in run.stderr, run.stderr
    requests = ROOT / "examples/traces/azure2023_code_10s.csv"
    run = simulate(policy, "--trace", requests, "--map", "load=waiting,lode=running")
    assert run.returncode == 1 and "--map: there is no trigger lode" in run.stderr, run.stderr
    run = simulate(policy, "--trace", requests, "--map", "load=waiting", "--column", "load")
    assert run.returncode == 1 and "--column names a series" in run.stderr, run.stderr


def test_usage():
    assert simulate().returncode == 2
    assert simulate("a.yaml", "b.yaml").returncode == 2
    assert simulate("a.yaml", "--engine", "hpa").returncode == 2
    missing = simulate("/nowhere.yaml")
    assert missing.returncode == 1 and "/nowhere.yaml" in missing.stderr


def test_progress_is_for_terminals_only(policy, columns):
    master, slave = pty.openpty()
    run = subprocess.run([str(WEIR), "simulate", str(policy), "--trace", str(columns)], stdout=subprocess.PIPE, stderr=slave, text=True, check=False)
    os.close(slave)
    shown = os.read(master, 100000).decode()
    os.close(master)
    assert run.returncode == 0 and "simulating" in shown and "#" in shown
    assert "simulating" not in run.stdout.split("simulated")[0]


def test_interrupted_it_shows_what_there_is():
    """Hundreds of millions of requests: it is ended long before."""
    process = subprocess.Popen([str(WEIR), "simulate", str(EXAMPLE / "recommended.yaml"), "--trace",
                                str(ROOT / "examples/traces/azure2024_code_digitised_week_600s.csv"), "--tokens", "2048/28", "--amplify", "100",
                                "--step", "1s", "--no-oracle", "-o", "json"], stdout=subprocess.PIPE, text=True)
    signal_when_caught(process, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    told = json.loads(out)
    assert told["interrupted"] is True and process.returncode == 1 and told["duration_s"] < 604800


def test_what_a_burst_wished_for_is_no_runaway_in_the_pause_after_it(policy):
    policy.write_text(POLICY.replace("maxReplicaCount: 10", "maxReplicaCount: 50").replace("pollingInterval: 5", "pollingInterval: 15")
                      .replace('threshold: "10"', 'threshold: "5"'))
    run = simulate(policy, "--trace", ROOT / "examples/traces/azure2023_code_10s.csv", "--map", "load=waiting", "--no-oracle")
    assert run.returncode == 0 and re.search(r"00:40:00 +4 -> 5 ", run.stdout), run.stdout
    assert "runs-away" not in run.stdout, run.stdout
