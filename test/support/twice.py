"""Tests with real servers, run by pytest and shown as they go. A dozen programs share two cores there, so what failed is tried once more,
alone, and the closing line says how many needed that."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
AGAIN_MAX = 12  # more that fail are no accident


def python():
    """One that has pytest: this one, or Debian's."""
    has = subprocess.run([sys.executable, "-c", "import pytest"], capture_output=True, check=False).returncode == 0
    return sys.executable if has else "/usr/bin/python3"


def once(arguments):
    """(counts of pytest's closing line, its exit status, what failed)"""
    env = dict(os.environ, WEIR_BUILD=os.environ.get("WEIR_BUILD", str(ROOT / "build")), PYTHONDONTWRITEBYTECODE="1")
    closing, bad = "", []
    with subprocess.Popen([python(), "-m", "pytest", "-q", "-rsfE", "-p", "no:cacheprovider", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", env=env) as tests:
        for line in tests.stdout:
            print(line, end="", flush=True)
            closing = line if line.strip() else closing
            bad += re.findall(r"^(?:FAILED|ERROR) (\S+\.py::.+?)(?: - .*)?$", line)
    return {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", closing)}, tests.returncode, bad


def twice(folder, arguments):
    """All of the folder, or what the arguments say; the closing line "N passed, N failed". The exit status: 1 if anything failed; what
    could not run at all counts as failed."""
    counts, status, bad = once(arguments if any(os.path.exists(word.split("::")[0]) for word in arguments) else [*arguments, str(folder)])
    passed, failed = counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)
    second = 0
    if 0 < len(set(bad)) == failed <= AGAIN_MAX:
        print(f"\n---- once more, alone: {failed}", flush=True)
        counts_again, status, _ = once(sorted(set(bad)))
        second = counts_again.get("passed", 0)
        passed, failed = passed + second, failed - second
    if status != 0 and not failed:
        failed = 1
    skipped = f", {counts['skipped']} skipped" if counts.get("skipped") else ""
    print(f"{passed} passed, {failed} failed{skipped}" + (f", {second} at the second try" if second else ""))
    return 1 if failed else 0
