"""docs/quality.md is what its program computes: the section of the shortest trace, and the promise that the summary makes."""
import re
import subprocess

from conftest import BUILD, ROOT

PAGE = (ROOT / "docs/quality.md").read_text()


def test_page_is_what_the_program_says():
    subprocess.run(["ninja", "-C", BUILD, "tools/quality/quality"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([BUILD / "tools/quality/quality", "--only", "mooncake"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("## Mooncake")
    assert done.stdout in PAGE, "docs/quality.md is out of date: make quality"


def test_one_manifest_keeps_the_promise_everywhere():
    row = next(line for line in PAGE.splitlines() if line.startswith("| Weir, work ahead |"))
    ratios = [float(cell) for cell in re.findall(r"\| *\**([\d.]+)", row)]
    assert len(ratios) == 8 and all(ratio >= 0.95 for ratio in ratios), row
    assert ratios[-1] < 1.21, row
