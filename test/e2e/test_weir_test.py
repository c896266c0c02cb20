"""weir test: the command as CI calls it: files and folders, exit statuses, forms, names, interruption."""
import json
import os
import signal
import subprocess
import xml.etree.ElementTree as xml

import pytest
from conftest import ROOT, WEIR, manifest, wait_for

POLICY = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: shop}
spec:
  scaleTargetRef: {name: shop}
  maxReplicaCount: 5
  triggers:
  - type: prometheus
    name: queue
    metadata: {serverAddress: "http://prom:9090", query: q, threshold: "10"}
    authenticationRef: {name: not-here}
"""
GOOD = """policy: shop.yaml
tests:
- name: grows
  inputs: [{trigger: queue, values: 25x10}]
  expect: [{at: 5m, replicas: 3}]
- name: stays small
  inputs: [{trigger: queue, values: 5x10}]
  invariants: [never above 1]
"""
BAD = GOOD.replace("replicas: 3", "replicas: 4")
BROKEN = GOOD.replace("trigger: queue, values: 25", "trigger: que, values: 25")


def run(*arguments, text=None, cwd=None):
    return subprocess.run([str(WEIR), "test", *map(str, arguments)], capture_output=True, text=True, input=text, cwd=cwd,
                          check=False, timeout=120)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop.yaml").write_text(POLICY)
    (tmp_path / "shop.test.yaml").write_text(GOOD)
    return tmp_path


def test_all_pass(folder):
    got = run(folder / "shop.test.yaml")
    assert got.returncode == 0, got.stdout + got.stderr
    assert got.stdout.splitlines()[-1] == "2 passed, 0 failed"
    assert run("-q", folder).stdout == "2 passed, 0 failed\n"


def test_a_failure_shows_the_decision(folder):
    (folder / "shop.test.yaml").write_text(BAD)
    got = run(folder)
    assert got.returncode == 1
    assert "shop.test.yaml:5:12: at 5m: expected replicas: 4, got 3" in got.stdout
    assert "queue at 25 against a target of 10 asks for 3" in got.stdout
    assert got.stdout.splitlines()[-1] == "1 passed, 1 failed"


def test_what_cannot_be_run_is_not_a_failure(folder):
    (folder / "shop.test.yaml").write_text(BROKEN)
    got = run(folder)
    assert got.returncode == 2
    assert "shop.test.yaml:4:12: error: the policy has no trigger 'que'" in got.stdout
    assert got.stdout.splitlines()[-1] == "1 passed, 0 failed, 1 broken"


@pytest.mark.parametrize("text, says", [
    ("", "a test file is one document"),
    ("policy: [", "shop.test.yaml:"),
    ("policy: nowhere.yaml\ntests: [{invariants: [never above 1]}]\n", "nowhere.yaml cannot be opened"),
    ("polcy: shop.yaml\ntests: [{invariants: [never above 1]}]\n", "did you mean 'policy'?"),
    (GOOD + "- name: idle\n", "could not fail"),
])
def test_broken_files(folder, text, says):
    (folder / "shop.test.yaml").write_text(text)
    got = run(folder)
    assert got.returncode == 2, got.stdout
    assert says in got.stdout
    assert "BROKEN" in got.stdout


@pytest.mark.parametrize("arguments, says", [
    ([], "name test files"),
    (["/does/not/exist"], "cannot be opened"),
    (["--output", "html", "x"], "text|junit|tap|json"),
    (["--run", "shrinks", "{folder}"], "no test is called *shrinks*"),
    (["{folder}/empty"], "test files are called *.test.yaml"),
])
def test_usage(folder, arguments, says):
    (folder / "empty").mkdir()
    got = run(*[a.format(folder=folder) for a in arguments])
    assert got.returncode == 2
    assert says in got.stderr


def test_folders_are_searched_links_are_not_followed(folder):
    deeper = folder / "a" / "b"
    deeper.mkdir(parents=True)
    (deeper / "more.test.yml").write_text(GOOD.replace("shop.yaml", "../../shop.yaml"))
    (folder / "a" / ".hidden.test.yaml").write_text("nonsense")
    (folder / "a" / "round").symlink_to(folder)
    assert run("-q", folder).stdout == "4 passed, 0 failed\n"
    assert run("--list", folder).stdout.splitlines() == [
        f"{deeper}/more.test.yml: grows", f"{deeper}/more.test.yml: stays small",
        f"{folder}/shop.test.yaml: grows", f"{folder}/shop.test.yaml: stays small"]


def test_some_by_name(folder):
    assert run("--run", "small", folder).stdout.splitlines()[-1] == "1 passed, 0 failed"
    assert run("--run", "g*ws", folder).stdout.splitlines()[-1] == "1 passed, 0 failed"


def test_from_standard_input(folder):
    assert run("-", text=GOOD, cwd=folder).returncode == 0


def test_forms(folder):
    (folder / "shop.test.yaml").write_text(BAD)
    (folder / "zz.test.yaml").write_text("polcy: 1\n")
    suites = xml.fromstring(run("-o", "junit", folder).stdout).findall("testsuite")
    assert [(s.attrib["tests"], s.attrib["failures"], s.attrib["errors"]) for s in suites] == [("2", "1", "0"), ("1", "0", "1")]
    assert "expected replicas: 4, got 3" in suites[0].find("testcase/failure").attrib["message"]
    assert "did you mean 'policy'?" in suites[1].find("testcase/error").text
    tap = run("-o", "tap", folder).stdout.splitlines()
    assert tap[0] == "TAP version 14" and tap[-1] == "1..3"
    assert [line.split(" - ")[0] for line in tap if line.startswith(("ok", "not ok"))] == ["not ok 1", "ok 2", "not ok 3"]
    shown = run("-o", "json", folder)
    assert shown.returncode == 2
    answer = json.loads(shown.stdout)
    assert (answer["passed"], answer["failed"], answer["broken"]) == (1, 1, 1)
    assert [test.get("result") for test in answer["tests"]] == ["failed", "passed", None]
    assert answer["tests"][2]["findings"][0]["remedy"] == "did you mean 'policy'?"


def test_a_csv_of_the_past(folder):
    (folder / "past.csv").write_text("time,queue\n2026-03-02T10:00:00Z,5\n2026-03-02T10:05:00Z,45\n2026-03-02T10:20:00Z,45\n")
    (folder / "shop.test.yaml").write_text("policy: shop.yaml\ntests:\n- inputs: [{file: past.csv}]\n"
                                           "  expect: [{at: 4m, replicas: 1}, {at: 10m, replicas: 5}]\n")
    got = run(folder)
    assert got.returncode == 0, got.stdout
    (folder / "past.csv").write_text("time,queu\n0,5\n300,45\n")
    assert "did you mean 'queue'?" in run(folder).stdout


CHAT = POLICY[:POLICY.index("  - type")] + """  - {type: inference, name: running, metadata: {signal: running, target: "24"}}
"""


def test_a_workload_answers(folder):
    (folder / "shop.yaml").write_text(CHAT.replace("maxReplicaCount", "minReplicaCount: 1\n  maxReplicaCount"))
    (folder / "day.csv").write_text("t_s,requests,prompt_tokens,generated_tokens\n"
                                    + "".join(f"{t},{200 if 60 < t < 200 else 5},{40000 if 60 < t < 200 else 1000},{40000 if 60 < t < 200 else 1000}\n"
                                              for t in range(0, 400, 10)))
    (folder / "shop.test.yaml").write_text("""policy: shop.yaml
tests:
- name: grows with its requests
  workload: {trace: day.csv, startup: 10s, slo: "ttft=60s,itl=200ms"}
  expect: [{at: 3m, replicas: {min: 2}}]
  invariants: [at least 95 % in slo, at most 5 replica hours]
- name: too much is expected
  workload: {trace: day.csv, startup: 10m, amplify: 10}
  invariants: [at least 100 % in slo, at most 0.01 replica hours]
""")
    got = run(folder)
    assert got.stdout.splitlines()[-1] == "1 passed, 1 failed", got.stdout
    assert "expected at least 100 % in slo, got" in got.stdout
    assert "replica hours, got" in got.stdout
    (folder / "shop.test.yaml").write_text("policy: shop.yaml\ntests:\n- workload: {trace: none.csv}\n  invariants: [never above 1]\n")
    assert run(folder).returncode == 2
    (folder / "shop.test.yaml").write_text("policy: shop.yaml\ntests:\n- workload: {trace: day.csv}\n  expect: [{at: 2h, replicas: 1}]\n")
    assert "after the end of the run, which lasts 7 min" in run(folder).stdout


def test_a_recording(folder, weir, source):
    source.value = 25
    w = weir("--record", str(folder / "recording"))
    w.write("app.yaml", manifest(source.url, replicas=1))
    w.start()
    w.wait_ready(3)
    w.stop()
    (folder / "app.yaml").write_text(manifest(source.url, replicas=1))
    (folder / "shop.test.yaml").write_text("policy: app.yaml\ntests:\n- start: {replicas: 1}\n  inputs: [{file: recording}]\n"
                                           "  duration: 10s\n  expect: [{at: 5s, replicas: 3}]\n  invariants: [never above 3]\n")
    got = run(folder / "shop.test.yaml")
    assert got.returncode == 0, got.stdout


def test_the_same_again_and_again(folder):
    (folder / "shop.test.yaml").write_text(BAD)
    assert run("-o", "json", folder).stdout == run("-o", "json", folder).stdout


def test_interrupted(folder):
    (folder / "shop.test.yaml").write_text(GOOD + "- name: a year\n  duration: 9600h\n  inputs: [{trigger: queue, values: 5x10}]\n"
                                           "  invariants: [never above 1]\n")
    with open(folder / "out", "w+") as out:
        process = subprocess.Popen([str(WEIR), "test", "-o", "json", str(folder)], stdout=out)
        wait_for(lambda: os.stat(f"/proc/{process.pid}/stat") and cpu_s(process.pid) > 0.1, 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
    answer = json.loads((folder / "out").read_text())
    assert answer["interrupted"] and answer["passed"] == 2
    assert answer["tests"][-1]["result"] == "stopped"


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_examples():
    got = run("-q", ROOT / "examples")
    assert got.returncode == 0, got.stdout
    assert int(got.stdout.split()[0]) > 20
