"""docs/ci.md: every snippet is run. The hook refuses and admits commits of a real repository; the lines of the workflows run in a folder with
policies; the health check is asked by a real Lua."""
import json
import os
import re
import subprocess
import xml.etree.ElementTree as xml

import pytest
import yaml
from conftest import ROOT, WEIR, program

PAGE = (ROOT / "docs" / "ci.md").read_text()
POLICY = """apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: shop}
spec:
  scaleTargetRef: {name: shop}
  maxReplicaCount: 5
  triggers:
  - type: prometheus
    name: queue
    metadata: {serverAddress: "http://prom:9090", query: sum(queue), threshold: "10"}
"""
TEST = """policy: shop.yaml
tests:
- name: three for twenty-five
  inputs: [{trigger: queue, values: 25x10}]
  expect: [{at: 5m, replicas: 3}]
"""


def snippet(name):
    found = re.findall(rf"^```\w+ {re.escape(name)}\n(.*?)^```", PAGE, re.M | re.S)
    assert len(found) == 1, f"docs/ci.md has {len(found)} snippets called {name}"
    return found[0]


def policies(folder, policy=POLICY, test=TEST):
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "shop.yaml").write_text(policy)
    (folder / "policies" / "shop.test.yaml").write_text(test)
    return folder


def shell(script, folder, **more):
    env = dict(os.environ, PATH=f"{WEIR.parent}:{os.environ['PATH']}", HOME=str(folder), GIT_CONFIG_NOSYSTEM="1",
               GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    for name in [name for name in env if name.startswith("GIT_") and name.endswith(("_DIR", "_FILE", "_TREE"))]:
        del env[name]
    return subprocess.run(["sh", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120, **more)


def test_every_snippet_is_tested():
    names = re.findall(r"^```\w+ ([\w-]+)$", PAGE, re.M)
    assert sorted(names) == sorted(["pre-commit", "pre-commit-config", "github", "gitlab", "json", "argocd-cm"])
    assert len(re.findall(r"^```\w", PAGE, re.M)) == len(names)


@pytest.fixture
def repository(tmp_path):
    program("git")
    assert shell("git init -q -b main", tmp_path).returncode == 0
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(snippet("pre-commit"))
    hook.chmod(0o755)
    return policies(tmp_path)


def commit(repository):
    return shell("git add -A && git commit -q -m change", repository)


def test_the_hook_admits_a_good_policy(repository):
    done = commit(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    (repository / "readme").write_text("nothing of policies")
    assert commit(repository).returncode == 0
    assert shell("git log --oneline", repository).stdout.count("\n") == 2


@pytest.mark.parametrize("policy, test, says", [
    (POLICY.replace("maxReplicaCount", "maxReplicaCuont"), TEST, "maxReplicaCount"),
    (POLICY, TEST.replace("replicas: 3", "replicas: 4"), "expected replicas: 4, got 3"),
    (POLICY, TEST.replace("trigger: queue", "trigger: queu"), "did you mean 'queue'?"),
])
def test_the_hook_refuses_a_bad_one(repository, policy, test, says):
    policies(repository, policy, test)
    done = commit(repository)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert shell("git log --oneline", repository).returncode != 0, "nothing was committed"


def test_the_hook_looks_at_what_is_committed_only(repository):
    assert shell("git add -A", repository).returncode == 0
    policies(repository, test=TEST.replace("replicas: 3", "replicas: 4"))
    done = shell("git commit -q -m 'the good one'", repository)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_of_pre_commit(tmp_path):
    hooks = yaml.safe_load(snippet("pre-commit-config"))["repos"][0]["hooks"]
    assert len(hooks) == 2
    for hook in hooks:
        assert re.match(hook["files"], "policies/shop.yaml")
        assert shell(hook["entry"], policies(tmp_path)).returncode == 0
    policies(tmp_path, policy=POLICY.replace("threshold", "treshold"), test=TEST.replace("replicas: 3", "replicas: 4"))
    assert [shell(hook["entry"], tmp_path).returncode != 0 for hook in hooks] == [True, True]


def github_lines():
    steps = yaml.safe_load(snippet("github"))["jobs"]["policies"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def test_github_actions(tmp_path):
    lint, test = github_lines()
    assert shell(lint, policies(tmp_path)).returncode == 0
    assert shell(test, tmp_path).returncode == 0
    assert json.loads((tmp_path / "weir.sarif").read_text())["version"] == "2.1.0"
    suite = xml.parse(tmp_path / "weir-tests.xml").getroot().find("testsuite")
    assert suite.attrib["tests"] == "1" and suite.attrib["failures"] == "0"
    policies(tmp_path, POLICY.replace("threshold", "treshold"), TEST)
    assert shell(lint, tmp_path).returncode != 0
    assert json.loads((tmp_path / "weir.sarif").read_text())["runs"][0]["results"]


def test_gitlab(tmp_path):
    job = yaml.safe_load(snippet("gitlab"))["policies"]
    assert [shell(line, policies(tmp_path)).returncode for line in job["script"]] == [0, 0]
    policies(tmp_path, test=TEST.replace("replicas: 3", "replicas: 4"))
    assert shell(job["script"][1], tmp_path).returncode == 1
    failure = xml.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot().find("testsuite/testcase/failure")
    assert "expected replicas: 4, got 3" in failure.attrib["message"]
    assert "asks for 3" in failure.text


def test_a_script_reads_the_json(tmp_path):
    done = shell(snippet("json"), policies(tmp_path, test=TEST.replace("replicas: 3", "replicas: 4")))
    assert done.stdout.strip() == "policies/shop.test.yaml 5 replicas: 4 got 3", done.stderr


def lua_value(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(k)}] = {lua_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua_value, value)) + "}"
    return json.dumps(value)


def condition(kind, status, message="so it is"):
    return {"type": kind, "status": status, "reason": "R", "message": message}


@pytest.mark.parametrize("status, health, message", [
    (None, "Progressing", "not looked at yet"),
    ({}, "Progressing", "not looked at yet"),
    ({"conditions": [condition("Ready", "Unknown"), condition("Active", "Unknown")]}, "Progressing", "not looked at yet"),
    ({"conditions": [condition("Ready", "True"), condition("Active", "False"), condition("Fallback", "False")]}, "Healthy", "so it is"),
    ({"conditions": [condition("Ready", "False", "no such target"), condition("Fallback", "True")]}, "Degraded", "no such target"),
    ({"conditions": [condition("Ready", "True"), condition("Fallback", "True", "two triggers fail")]}, "Degraded", "two triggers fail"),
    ({"conditions": [condition("Ready", "True"), condition("Paused", "True", "by annotation")]}, "Suspended", "by annotation"),
    ({"conditions": [{"type": "Ready", "status": "True"}]}, "Healthy", "ready"),
])
def test_argo_cd(status, health, message):
    lua = program("lua5.4")
    data = yaml.safe_load(snippet("argocd-cm"))["data"]
    scripts = set(data.values())
    assert sorted(data) == [f"resource.customizations.health.keda.sh_{kind}" for kind in ("ScaledJob", "ScaledObject")]
    assert len(scripts) == 1
    obj = {"kind": "ScaledObject", "metadata": {"name": "shop"}}
    if status is not None:
        obj["status"] = status
    asked = f"obj = {lua_value(obj)}\nlocal function check()\n{scripts.pop()}\nend\nlocal h = check()\nprint(h.status)\nprint(h.message)\n"
    done = subprocess.run([lua, "-"], input=asked, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, [health, message]), done.stderr
