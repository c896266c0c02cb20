"""What the documentation says is true: every example of docs/formula.md is evaluated, every command, option, function and metric that exists is
named, links and file names lead somewhere, and the generated pages are those that the program prints."""
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, ROOT, WEIR

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("triggers/*.md"), *ROOT.glob("examples/*/README.md")])


def run(*arguments):
    return subprocess.run([str(WEIR), *arguments], capture_output=True, text=True, check=False)


def examples():
    """(line number, formula, values, expected, wrap) of the lines in blocks headed ```formula and ```values."""
    block = None
    for number, line in enumerate((DOCS / "formula.md").read_text().splitlines(), 1):
        if line.startswith("```"):
            block = line[3:] if block is None and line[3:] in ("formula", "values") else None if block else "other" if line[3:] else None
            continue
        if block not in ("formula", "values") or not line.strip():
            continue
        left, _, expected = line.rpartition(" => ")
        formula, _, values = left.partition(" with ")
        yield pytest.param(formula.strip(), shlex.split(values), expected.strip(), "keda" if block == "formula" else "none",
                           id=f"line {number}")


EXAMPLES = list(examples())


def test_there_are_examples():
    assert len(EXAMPLES) > 80


@pytest.mark.parametrize("formula, values, expected, wrap", EXAMPLES)
def test_formula(formula, values, expected, wrap):
    result = run("eval", "--wrap", wrap, "--", formula, *values)
    if expected.startswith("error: "):
        assert result.returncode == 1, result.stdout
        assert expected[len("error: "):] in result.stderr
    else:
        assert (result.returncode, result.stdout.strip()) == (0, expected), result.stderr


def test_every_name_of_the_language_is_documented():
    table = (ROOT / "src/formula/formula_internal.h").read_text()
    names = re.findall(r'\b[BX]\([A-Z_0-9]+, "(\w+)"', table) + re.findall(r"\bS\((\w{2,})\)", table)
    page = (DOCS / "formula.md").read_text()
    assert len(names) > 90
    assert [name for name in names if not re.search(rf"`[^`\n]*\b{name}\b", page)] == []


def commands():
    return re.findall(r"^  (\w+) ", run("--help").stdout, re.M)


@pytest.mark.parametrize("page", ["docs/cli.md", "docs/weir.1"])
def test_every_option_is_documented(page):
    text = (ROOT / page).read_text().replace("\\-", "-")
    missing = []
    for command in commands():
        if not re.search(rf"\b{command}\b", text):
            missing.append(command)
        missing += [f"{command} --{option}" for option in re.findall(r"--([a-z-]+)", run(command, "--help").stdout.split("options:")[1])
                    if f"--{option}" not in text]
    assert len(commands()) >= 9
    assert missing == []


def test_every_metric_is_documented():
    """On some page, by its name, or with others as `weir_family_*`; and no other is."""
    names = {name for source in (ROOT / "src").rglob("*.c") for name in re.findall(r'"((?:keda|weir)_[a-z_]+)"', source.read_text())}
    page = "".join(page.read_text() for page in PAGES)
    families = set(re.findall(r"`((?:keda|weir)_[a-z_]+_)\*", page))
    shown = set(re.findall(r"`((?:keda|weir)_[a-z_]+)", page)) - families
    assert len(names) > 60
    assert {name for name in names - shown if not any(name.startswith(family) for family in families)} == set()
    assert {name for name in shown - names if not name.endswith("_")} == set()


def test_every_built_in_trigger_has_its_page():
    types = run("triggers", "--built-in").stdout.split()
    index = (DOCS / "triggers.md").read_text()
    known = [line.split()[0] for line in run("triggers").stdout.splitlines()]
    assert len(types) >= 9
    assert [t for t in types if f"(triggers/{t}.md)" not in index] == []
    assert [t for t in known if f"`{t}`" not in index] == []
    without = {page.stem for page in (DOCS / "triggers").glob("*.md")} - set(types)
    if without and without <= {"apache-kafka", "kafka", "mongodb", "mssql", "mysql", "postgresql", "rabbitmq"}:
        pytest.skip(f"{', '.join(sorted(without))}: not built in")
    made = subprocess.run([str(ROOT / "tools/make-docs"), "--check", "--build", str(BUILD)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(Path(p).relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path) if path else page
        if not to.exists():
            broken.append(target)
        elif anchor:
            heads = [re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in re.findall(r"^#+ (.*)$", to.read_text(), re.M)]
            if anchor not in heads:
                broken.append(target)
    assert broken == []


def test_the_architecture_names_files_that_exist_and_every_driver():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:src|test|tools|docs|bench|examples)/[\w./-]*)`", text)) - {"docs/triggers/"}
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    table = text[text.index("| form | files of `src/trigger/source/`"):].split("\n\n")[0]
    drivers = set(re.findall(r"`(\w+\.c)`", table)) & {path.name for path in (ROOT / "src/trigger/source").glob("*.c")}
    assert {path.name for path in (ROOT / "src/trigger/source").glob("*.c")} - drivers == set()
    assert [name for name in re.findall(r"`(\w+\.c)`", table) if name not in drivers] == []
