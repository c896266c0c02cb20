"""weir lint as people meet it: every code has its text and an example that produces it, comments allow findings, SARIF is what review tools read, and
--for keda refuses what KEDA refuses."""
import json
import re
import subprocess

import pytest

from conftest import ROOT, WEIR

EXAMPLES = ROOT / "test" / "lint"
LEVELS = {"error": "error", "warning": "warning", "advice": "note"}


def lint(*arguments, text=None):
    return subprocess.run([str(WEIR), "lint", *[str(a) for a in arguments]], input=text, capture_output=True, text=True, check=False)


def findings(*arguments, text=None):
    return json.loads(lint("-o", "json", *arguments, text=text).stdout)


def sections():
    """code -> (severity, title, text), as the program explains them."""
    page = lint("--explain", "all").stdout
    return {code: (severity, title, body.strip())
            for code, severity, title, body in re.findall(r"^### ([a-z0-9-]+)\n\*(\w+)\*: (.*)\.\n\n((?:.+\n)+)", page, re.M)}


CODES = sections()


def options_of(example):
    """The first line of an example may name the options it takes: # weir lint --local"""
    first = example.read_text().splitlines()[0]
    return first.removeprefix("# weir lint ").split() if first.startswith("# weir lint ") else []


def test_there_are_codes():
    assert len(CODES) > 80
    assert {severity for severity, _, _ in CODES.values()} == set(LEVELS)
    assert len({title for _, title, _ in CODES.values()}) == len(CODES)


def test_examples_and_codes_belong_together():
    assert {example.stem for example in EXAMPLES.glob("*.yaml")} == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_an_example(code):
    example = EXAMPLES / f"{code}.yaml"
    severities = {f["severity"] for f in findings(*options_of(example), example) if f["code"] == code}
    assert severities, f"{example.name} does not produce {code}"
    assert max(severities, key=list(LEVELS)[::-1].index) in LEVELS


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained(code):
    one = lint("--explain", code)
    severity, title, text = CODES[code]
    assert one.returncode == 0 and one.stdout.startswith(f"### {code}\n*{severity}*: {title}.\n") and len(text) > 40


def test_an_unknown_code_is_not_explained():
    wrong = lint("--explain", "formula-sintax")
    assert wrong.returncode == 2 and "did you mean 'formula-syntax'?" in wrong.stderr


def test_no_finding_has_another_code():
    """Codes as they stand in the sources of the rooms that lint asks."""
    named = set()
    for room in ("manifest", "policy", "trigger"):
        for source in (ROOT / "src" / room).rglob("*.c"):
            text = source.read_text()
            named |= set(re.findall(r'FINDING_(?:ERROR|WARNING|ADVICE),\s*"([a-z0-9-]+)"', text))
            named |= set(re.findall(r'\.code = "([a-z0-9-]+)"', text))
    assert len(named) > 70
    assert named - set(CODES) == set()


# ------------------------------------------------------------------ comments that allow

HEAD = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec:\n  scaleTargetRef: {name: app}\n"
TRIGGERS = ('  triggers:\n    - type: prometheus\n      metadata: {serverAddress: "http://prom:9090", query: sum(q), threshold: "5"}\n')
ODD = "  maxReplicaCuont: 3\n"


@pytest.mark.parametrize("text, left", [
    (HEAD + ODD + TRIGGERS, ["unknown-field"]),
    (HEAD + ODD.rstrip() + " # weir:allow unknown-field for a fork\n" + TRIGGERS, []),
    (HEAD + "  # weir:allow unknown-field for a fork\n  # and more about it\n\n" + ODD + TRIGGERS, []),
    ("# weir:allow unknown-field for a fork\n" + HEAD + ODD + TRIGGERS, []),
    ("# weir:allow unknown-field for a fork\n---\n" + HEAD + ODD + TRIGGERS, []),
    ("---\n# Copyright\n# weir:allow unknown-field for a fork\n" + HEAD + ODD + TRIGGERS, []),
    ("# weir:allow idle,unknown-field for a fork\n" + HEAD + ODD + TRIGGERS, ["unused-allow"]),
    ("# weir:allow unknown-field\n" + HEAD + ODD + TRIGGERS, ["bad-allow"]),
    ("# weir:allow\n" + HEAD + ODD + TRIGGERS, ["bad-allow", "unknown-field"]),
    ("# weir:allow unknown-feild for a fork\n" + HEAD + ODD + TRIGGERS, ["bad-allow", "unknown-field"]),
    ("# weir:allow unused-allow,no-effect perhaps later\n" + HEAD + TRIGGERS, []),
    (HEAD + ODD + "  # weir:allow unknown-field the line after it\n" + TRIGGERS, ["unknown-field", "unused-allow"]),
    ("# weir:allow unknown-field for a fork\n" + HEAD + TRIGGERS + "---\n" + HEAD.replace("app", "b") + ODD + TRIGGERS,
     ["unknown-field", "unused-allow"]),
    (HEAD + ODD + TRIGGERS.replace("sum(q)", '"sum(q) # weir:allow unknown-field no comment"'), ["unknown-field"]),
    (HEAD + ODD + TRIGGERS.replace('{serverAddress: "http://prom:9090", query: sum(q), threshold: "5"}',
                                   "\n        serverAddress: http://prom:9090\n        threshold: \"5\"\n        query: |\n          # weir:allow unknown-field no comment\n          sum(q)"),
     ["unknown-field"]),
    (HEAD + ODD + TRIGGERS + "# see weir:allow unknown-field\n#weir:allowed unknown-field\n", ["unknown-field"]),
])
def test_allowed_by_a_comment(text, left):
    assert sorted(f["code"] for f in findings("-", text=text)) == left


def test_what_is_allowed_does_not_count():
    text = "# weir:allow unknown-field for a fork\n" + HEAD + ODD + TRIGGERS
    allowed = lint("-", text=text)
    assert allowed.returncode == 0
    assert allowed.stdout == "0 errors, 0 warnings, 0 pieces of advice, 1 allowed by comments\n"
    assert lint("-", text=HEAD + ODD + TRIGGERS).returncode == 1


# ------------------------------------------------------------------ SARIF

def sarif(*arguments, text=None):
    """The run, checked against what SARIF 2.1.0 asks of the parts used."""
    log = json.loads(lint("-o", "sarif", *arguments, text=text).stdout)
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0" and len(log["runs"]) == 1
    run, = log["runs"]
    assert run["columnKind"] in ("unicodeCodePoints", "utf16CodeUnits")
    driver = run["tool"]["driver"]
    assert driver["name"] == "weir" and re.fullmatch(r"\d+\.\d+\.\d+.*", driver["semanticVersion"])
    rules = driver["rules"]
    for rule in rules:
        assert rule["id"] and rule["shortDescription"]["text"] and rule["fullDescription"]["text"] and rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error") and result["message"]["text"]
        assert all(re.fullmatch(r"[0-9a-f]{16}", v) for v in result["partialFingerprints"].values())
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9._~/%:-]+", place["artifactLocation"]["uri"])
            region = place.get("region", {"startLine": 1})
            assert region["startLine"] >= 1 and region.get("startColumn", 1) >= 1
            assert all(logical["fullyQualifiedName"] for logical in location.get("logicalLocations", []))
        for suppression in result.get("suppressions", []):
            assert suppression["kind"] == "inSource" and suppression["justification"]
    return run


def test_sarif_has_every_rule_and_finding(tmp_path):
    file = tmp_path / "a b.yaml"
    file.write_text(HEAD + "  # weir:allow unknown-field for a fork\n" + ODD + "  minReplicaCount: 5\n  maxReplicaCount: 2\n" + TRIGGERS)
    run = sarif(file)
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert set(rules) == set(CODES)
    assert all(rules[code]["defaultConfiguration"]["level"] == LEVELS[severity] for code, (severity, _, _) in CODES.items())
    assert [(r["ruleId"], r["level"], "suppressions" in r) for r in run["results"]] == [("unknown-field", "warning", True), ("min-max", "error", False)]
    allowed, refused = run["results"]
    assert allowed["suppressions"] == [{"kind": "inSource", "justification": "for a fork"}]
    place = refused["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"file://{tmp_path}/a%20b.yaml" and place["region"]["startLine"] == 8
    assert refused["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "ScaledObject default/app"


def test_sarif_of_all_examples():
    run = sarif("--local", EXAMPLES)
    assert len(run["results"]) > len(CODES) - 5
    assert len({json.dumps(r["partialFingerprints"]) + r["ruleId"] for r in run["results"]}) > 40


def test_sarif_without_findings():
    assert sarif("-", text=HEAD + TRIGGERS)["results"] == []


# ------------------------------------------------------------------ --for keda

def refused_by_keda():
    """Of the recorded answers of KEDA's webhooks: new ScaledObjects that it refuses for what they say themselves."""
    for line in (ROOT / "test/vectors/data/webhook.jsonl").read_text().splitlines():
        case = json.loads(line)
        given = case["in"]
        hint = case["expect"].get("hint", "")
        if "object" in given and not given.get("existing") and given.get("operation") == "create" and not case["expect"]["allowed"] \
                and "not found" not in hint and "no matches for kind" not in hint:
            yield pytest.param(given["object"], id=case["id"])


REFUSED = list(refused_by_keda())


def test_there_are_refused_ones():
    assert len(REFUSED) > 20


@pytest.mark.parametrize("manifest", REFUSED)
def test_for_keda_refuses_what_keda_refuses(manifest):
    assert any(f["severity"] == "error" for f in findings("--for", "keda", "-", text=json.dumps(manifest)))


@pytest.mark.parametrize("spec, code", [
    ('  advanced: {scalingModifiers: {formula: "a > 5 ? 1 : 0"}}\n', "formula-target"),
    ('  advanced: {scalingModifiers: {formula: "a * replicas", target: "5"}}\n', "formula-unknown-name"),
    ('  advanced: {scalingModifiers: {formula: "avg_over(a, \\"5m\\")", target: "5"}}\n', "formula-unknown-name"),
])
def test_what_only_weir_accepts(spec, code):
    text = HEAD + spec + TRIGGERS.replace("- type: prometheus\n", "- type: prometheus\n      name: a\n")
    assert [f for f in findings("-", text=text) if f["severity"] == "error"] == []
    assert code in [f["code"] for f in findings("--for", "keda", "-", text=text) if f["severity"] == "error"]


def test_nothing_to_look_at(tmp_path):
    """A folder whose manifests are further down is no clean one."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/app.yaml").write_text("a: 1\n")
    found = lint(tmp_path)
    assert found.returncode == 2 and "sub-folders are not looked into" in found.stderr
