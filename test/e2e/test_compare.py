"""weir diff, compare and tune: what they say, what they write, what they refuse, and that the same input gives the same output."""
import json
import os
import pty
import signal
import subprocess

import pytest
from conftest import ROOT, WEIR
from support.waiting import signal_when_caught

TRACE = str(ROOT / "examples/traces/azure2023_conv_10s.csv")
WEEK = str(ROOT / "examples/traces/azure2024_code_digitised_week_600s.csv")
RECOMMENDED = str(ROOT / "examples/token-latency/recommended.yaml")

POLICY = """# what the team wrote
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: chat
spec:
  scaleTargetRef: {name: chat}
  minReplicaCount: 1   # never cold
  maxReplicaCount: 40
  triggers:
    - type: prometheus
      name: busy
      metadata: {serverAddress: 'http://prom:9090', query: sum(busy), threshold: "20"} # what a replica serves
"""
MAP = ["--map", "busy=running"]


def run(*arguments, cwd=None, text=None):
    return subprocess.run([str(WEIR), *map(str, arguments)], capture_output=True, text=True, input=text, check=False, cwd=cwd, timeout=300)


@pytest.fixture(name="policy")
def make_policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(name="repository")
def make_repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/policy.yaml").write_text(POLICY)
    (tmp_path / "deploy/notes.txt").write_text("no manifest\n")
    git("init", "-q", "-b", "main")
    git("add", "deploy")
    git("commit", "-q", "-m", "first")
    (tmp_path / "deploy/policy.yaml").write_text(POLICY.replace('"20"', '"10"'))
    return tmp_path


# ---- diff ----

def test_diff_says_what_changes(policy, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("minReplicaCount: 1", "cooldownPeriod: 60\n  minReplicaCount: 0"))
    got = run("diff", policy, other)
    assert got.returncode == 1
    assert "ScaledObject default/chat changes:" in got.stdout
    assert "scales to zero 1 min after the last activity, was 5 min" in got.stdout
    rows = json.loads(run("diff", "-o", "json", policy, other).stdout)
    assert {row["field"] for row in rows} == {"spec.minReplicaCount", "spec.cooldownPeriod"}
    assert all(row["change"] == "changed" and row["before"] != row["after"] for row in rows)


def test_diff_of_the_same(policy, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(POLICY + "  pollingInterval: 30 # the default\n")
    got = run("diff", policy, other)
    assert (got.returncode, got.stdout) == (0, "nothing that Weir does will change\n")
    assert run("diff", "-o", "json", policy, other).stdout == "[]\n"


@pytest.mark.parametrize("old", ["HEAD:deploy/policy.yaml", "HEAD:deploy", "HEAD:deploy/", "main:./deploy/policy.yaml"])
def test_diff_with_a_revision(repository, old):
    got = run("diff", old, "deploy", cwd=repository)
    assert got.returncode == 1, got
    assert "one replica for every 10, was one replica for every 20: twice as many" in got.stdout


@pytest.mark.parametrize("old, says", [
    ("HEAD:none.yaml", "git does not show it"),
    ("nowhere:deploy/policy.yaml", "git does not show it"),
    ("none.yaml", "cannot be opened"),
    ("broken.yaml", "broken.yaml:2:1:"),
])
def test_diff_refuses(repository, old, says):
    (repository / "broken.yaml").write_text("a: [1\n")
    got = run("diff", old, "deploy", cwd=repository)
    assert got.returncode == 2 and says in got.stderr, got
    assert run("diff", "deploy").returncode == 2


# ---- compare ----

def test_compare_two_versions(repository):
    got = run("compare", "HEAD:deploy/policy.yaml", "deploy/policy.yaml", "--trace", TRACE, *MAP, cwd=repository)
    assert got.returncode == 0, got.stderr
    assert "share in SLO" in got.stdout and "part ways" in got.stdout and "against a target of 10" in got.stdout


def test_compare_engines_as_json():
    got = run("compare", RECOMMENDED, "--engines", "weir,keda-hpa", "--trace", TRACE, "-o", "json", "--partings", 3)
    assert got.returncode == 0, got.stderr
    result = json.loads(got.stdout)
    ours, theirs = result["runs"]
    assert ours["name"].endswith("as weir") and theirs["name"].endswith("as keda-hpa")
    assert len(theirs["partings"]) == 3
    for parting in theirs["partings"]:
        assert parting["from_ms"] < parting["until_ms"] and parting["a"] != parting["b"] and parting["a_said"]
    for key, difference in theirs["difference"].items():
        assert difference == pytest.approx(theirs["figures"][key] - ours["figures"][key])
    again = run("compare", RECOMMENDED, "--engines", "weir,keda-hpa", "--trace", TRACE, "-o", "json", "--partings", 3)
    assert again.stdout == got.stdout


def test_compare_with_itself(policy):
    got = run("compare", policy, policy, "--trace", TRACE, *MAP)
    assert got.returncode == 0 and "never want different numbers of replicas" in got.stdout


@pytest.mark.parametrize("arguments, status, says", [
    (["compare"], 2, "name policies"),
    (["compare", RECOMMENDED, "--trace", TRACE], 1, "nothing to compare"),
    (["compare", RECOMMENDED, "none.yaml", "--trace", TRACE], 1, "none.yaml"),
    (["compare", RECOMMENDED, str(ROOT / "examples"), "--trace", TRACE], 1, "name one file"),
    (["compare", RECOMMENDED, "--engines", "weir,hpa", "--trace", TRACE], 1, "neither weir nor keda-hpa"),
    (["compare", RECOMMENDED, RECOMMENDED, "--trace", "none.csv"], 1, "none.csv"),
    (["compare", RECOMMENDED, RECOMMENDED, "--trace", TRACE, "--partings", "-1"], 2, "--partings"),
    (["compare", *[RECOMMENDED] * 9, "--trace", TRACE], 1, "SIM_REPORT_RUNS_MAX"),
    (["tune"], 2, "name one policy"),
    (["tune", RECOMMENDED], 2, "--trace"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--holdout", "2"], 1, "--holdout"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--share", "99"], 1, "--share"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--candidates", "0"], 2, "--candidates"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--workers", "1000"], 2, "--workers"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--object", "other"], 1, "no ScaledObject other"),
    (["tune", RECOMMENDED, "--trace", TRACE, "--candidates", "5", "--choose", "100", "--write", "/dev/null"], 1, "the front has"),
])
def test_refused(arguments, status, says):
    got = run(*arguments)
    assert got.returncode == status, got
    assert says in got.stderr


def test_tune_needs_a_workload(policy, tmp_path):
    columns = tmp_path / "columns.csv"
    columns.write_text("time,busy\n0,10\n15,30\n30,10\n")
    got = run("tune", policy, "--trace", columns)
    assert got.returncode == 1 and "answers to replicas" in got.stderr


# ---- tune ----

def tune(policy, *more):
    return run("tune", policy, "--trace", TRACE, *MAP, "--candidates", 90, "--seed", 3, *more)


def test_tune_is_the_same_with_any_number_of_workers(policy):
    one, two = tune(policy, "-o", "json", "--workers", 1), tune(policy, "-o", "json", "--workers", 2)
    assert one.returncode == 0, one.stderr
    assert one.stdout == two.stdout
    result = json.loads(one.stdout)
    assert result["candidates"] == 90 and not result["interrupted"] and not result["marked"]
    assert {p["field"] for p in result["parameters"]} >= {"spec.triggers[0].metadata.threshold", "spec.minReplicaCount"}
    for row in result["front"]:
        assert row["tuned_on"]["in_slo"] >= 0.99 and "held_out" in row
        for other in result["front"]:
            a, b = row["tuned_on"], other["tuned_on"]
            assert not (a["in_slo"] > b["in_slo"] and a["replica_hours"] < b["replica_hours"] and a["events"] < b["events"])
    assert result["front"][0]["tuned_on"]["replica_hours"] <= result["as_written"]["tuned_on"]["replica_hours"]


def test_tune_writes_a_minimal_edit(policy, tmp_path):
    tuned = tmp_path / "tuned.yaml"
    got = tune(policy, "--write", tuned)
    assert got.returncode == 0 and "candidate 1 is written" in got.stdout, got
    before, after = POLICY.splitlines(), tuned.read_text().splitlines()
    assert after[0] == "# what the team wrote" and "# never cold" in tuned.read_text() and "# what a replica serves" in tuned.read_text()
    assert [line.split(":")[0] for line in before if line.split(":")[0] not in {l.split(":")[0] for l in after}] == []
    assert run("lint", "--fail-on", "error", tuned).returncode == 0
    assert run("diff", policy, tuned).returncode == 1
    printed = tune(policy, "--write", "-")
    assert printed.stdout == tuned.read_text()


def test_tune_changes_only_what_is_marked(policy, tmp_path):
    policy.write_text(POLICY.replace("# what a replica serves", "# weir:tune 5..60"))
    tuned = tmp_path / "tuned.yaml"
    assert tune(policy, "--write", tuned).returncode == 0
    changed = [(a, b) for a, b in zip(policy.read_text().splitlines(), tuned.read_text().splitlines()) if a != b]
    assert len(changed) <= 1 and all("threshold" in a for a, _ in changed)


def test_tune_interrupted_says_so(policy):
    tuning = subprocess.Popen([str(WEIR), "tune", str(policy), "--trace", WEEK, "--tokens", "2048/28", *MAP, "--candidates", "100000",
                               "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal_when_caught(tuning, signal.SIGTERM)
    out, err = tuning.communicate(timeout=60)
    assert tuning.returncode == 1, err
    assert out.startswith("interrupted: ") and "candidates" in out


def test_progress_only_on_a_terminal(policy):
    assert tune(policy).stderr == ""
    primary, secondary = pty.openpty()
    subprocess.run([str(WEIR), "compare", str(policy), str(policy), "--trace", TRACE, *MAP], stdout=subprocess.DEVNULL, stderr=secondary,
                   check=True, timeout=120)
    os.close(secondary)
    shown = b""
    try:
        while chunk := os.read(primary, 65536):
            shown += chunk
    except OSError:
        pass
    os.close(primary)
    assert b"comparing [" in shown


def test_compare_report(policy, tmp_path):
    page = tmp_path / "page.html"
    got = run("compare", policy, RECOMMENDED, "--trace", TRACE, *MAP, "--report", page)
    if "Chart.js" in got.stderr:
        pytest.skip("built without Chart.js")
    assert got.returncode == 0, got.stderr
    text = page.read_text()
    assert "weir compare" in text and "replica-hours" in text and "against a target of" in text
