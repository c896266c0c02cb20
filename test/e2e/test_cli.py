"""Commands: what they print, and how they exit."""
import json
import os
import re
import subprocess

import pytest
from conftest import WEIR, manifest


def run(*arguments, text=None):
    return subprocess.run([str(WEIR), *arguments], capture_output=True, text=True, input=text, check=False, timeout=60)


@pytest.mark.parametrize("command", ["run", "lint", "test", "eval", "get", "explain", "top", "triggers", "version", "completion", "help"])
def test_every_command_has_help(command):
    shown = run(command, "--help")
    assert shown.returncode == 0 and f"weir {command}" in shown.stdout
    wrong = run(command, "--no-such-option")
    assert wrong.returncode == 2 and "unknown option" in wrong.stderr


@pytest.mark.parametrize("arguments, status, says", [
    (["lnt"], 2, "did you mean 'lint'"),
    (["lint"], 2, "name a file"),
    (["lint", "/does/not/exist.yaml"], 2, "cannot be opened"),
    (["run"], 2, "name the files"),
    (["eval", "a +"], 1, "formula:1:"),
    (["eval", "a + 1"], 1, "unknown name 'a'"),
    (["eval", "tokens_per_mn", "tokens_per_min=1"], 1, "did you mean 'tokens_per_min'"),
    (["eval", "1/(tokens_per_min / pod_count)", "tokens_per_min=0", "pod_count=1"], 1, "division by 0"),
    (["eval", "a", "a=x"], 2, "no number"),
    (["triggers", "promethues"], 1, "did you mean 'prometheus'"),
    (["triggers", "aws-sqs-queue"], 1, "not built in yet"),
    (["completion", "tcsh"], 2, "bash, zsh or fish"),
    (["explain"], 2, "name one object"),
    (["explain", "x", "--at", "yesterday"], 2, "--at"),
])
def test_mistakes(arguments, status, says):
    got = run(*arguments)
    assert got.returncode == status, got
    assert says in got.stderr + got.stdout


def test_eval():
    got = run("eval", "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0", "validation_drift=0.3",
              "available_gpus=2", "request_queue_length=10")
    assert (got.returncode, got.stdout) == (0, "1\n")
    traced = run("eval", "a ?? 5", "a=nil", "--trace")
    assert "5" in traced.stdout


def test_lint_exit_status(tmp_path):
    good, bad, odd = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "odd.yaml"
    good.write_text(manifest("http://127.0.0.1:1/value"))
    bad.write_text("a: [1\n")
    odd.write_text(manifest("http://127.0.0.1:1/value").replace("  maxReplicaCount", "  maxReplicaCuont: 3\n  maxReplicaCount"))
    assert run("lint", str(good)).returncode == 0
    assert run("lint", str(bad)).returncode == 1
    warned = run("lint", str(odd))
    assert warned.returncode == 1 and "maxReplicaCount" in warned.stdout and "odd.yaml:" in warned.stdout
    assert run("lint", str(odd), "--fail-on", "error").returncode == 0
    findings = json.loads(run("lint", str(odd), "-o", "json").stdout)
    assert findings[0]["severity"] == "warning" and findings[0]["line"] > 0
    assert run("lint", "-", text=good.read_text()).returncode == 0


def test_lists():
    assert "inference" in run("triggers", "--built-in").stdout.split()
    assert len(run("triggers").stdout.splitlines()) >= 78
    assert "serverAddress" in run("triggers", "prometheus").stdout
    assert run("version").stdout.startswith("weir ")
    assert run("--help").returncode == 0 and run().returncode == 2


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"])])
def test_completion_is_valid(shell, check, tmp_path):
    script = tmp_path / "completion"
    script.write_text(run("completion", shell).stdout)
    assert subprocess.run([*check, str(script)], check=False).returncode == 0


@pytest.mark.parametrize("line, wanted", [
    ("weir ex", {"explain"}), ("weir explain --col", {"--color"}), ("weir explain --color ", {"auto", "always", "never"}),
    ("weir get -o w", {"wide"}), ("weir tune ", {"a.yaml"}), ("weir triggers prom", {"prometheus"})])
def test_completion_in_bash(line, wanted, tmp_path):
    (tmp_path / "a.yaml").write_text("")
    words = line.split(" ")
    listed = " ".join(words if words[-1] else [*words[:-1], "''"])
    asked = f'source <("{WEIR}" completion bash); COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _weir; echo "${{COMPREPLY[@]}}"'
    got = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False, cwd=tmp_path,
                         env={"PATH": f"{WEIR.parent}:/usr/bin:/bin"})
    assert got.returncode == 0 and set(got.stdout.split()) == wanted, got


def test_completion_in_fish_is_quoted():
    for line in run("completion", "fish").stdout.splitlines():
        bare = re.sub(r"\\.", "", line)
        assert bare.startswith("complete -c weir") and bare.count("'") % 2 == 0, line


def test_get_and_explain_without_a_weir(tmp_path):
    got = run("get", "--data-dir", str(tmp_path))
    assert got.returncode == 1 and "no Weir is running" in got.stderr
    explained = run("explain", "x", "--data-dir", str(tmp_path))
    assert explained.returncode == 1 and "no journal" in explained.stderr


def test_get_of_an_unknown_object(weir, source):
    w = weir()
    source.value = 10
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(1)
    assert "default/app" in w.cli("get", "app").stdout
    assert json.loads(w.cli("get", "default/app", "-o", "json").stdout)["name"] == "app"
    unknown = w.cli("get", "nobody")
    assert unknown.returncode == 1 and "no object nobody" in unknown.stderr
    assert w.cli("get", "a b/c?d", "-o", "json").returncode == 1
    assert w.cli("get", "-n", "x&y").returncode == 0


def test_output_that_is_lost(tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:
        got = subprocess.run([str(WEIR), "triggers"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert got.returncode == 1 and "No space left" in got.stderr
    closed = subprocess.run(["sh", "-c", 'exec "$0" version >&-', str(WEIR)], stderr=subprocess.PIPE, text=True, check=False)
    assert closed.returncode == 1 and "not all could be printed" in closed.stderr


def test_a_data_dir_that_is_too_deep_for_a_socket(tmp_path):
    deep = tmp_path / ("d" * 120)
    for command in (["get"], ["run", "--listen", "none", str(tmp_path)]):
        got = run(*command, "--data-dir", str(deep))
        assert got.returncode == 1 and "at most 107 characters" in got.stderr, got


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_a_data_dir_of_another_user(tmp_path):
    (tmp_path / "other").mkdir()
    os.chown(tmp_path / "other", 65534, 65534)
    got = run("run", "--listen", "none", "--data-dir", str(tmp_path / "other"), str(tmp_path))
    assert got.returncode == 1 and "belongs to another user (65534)" in got.stderr


def test_a_pipe_is_no_file_to_watch(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    got = run("run", "--listen", "none", "--data-dir", str(tmp_path / "d"), str(tmp_path / "pipe.yaml"))
    assert got.returncode == 2 and "neither a file nor a folder" in got.stderr
