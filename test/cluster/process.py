"""A program in the background that ends with the test, however the test ends, or, kept, only by name."""
import os
import signal
import subprocess
import time
from pathlib import Path


def started_at(pid):
    """When the process began, in ticks since boot: with its pid, a name no other process ever has. None: there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Program:
    """One program with its log and a file that says which process it is. kept: it lives on when we end."""

    def __init__(self, folder, name, arguments, kept=False):
        self.name, self.arguments, self.kept = name, [str(a) for a in arguments], kept
        self.log = Path(folder) / f"{name}.log"
        self.mark = Path(folder) / f"{name}.pid"
        self.process = None

    def start(self):
        # Its own group, so that Ctrl-C at pytest is ours to handle; killed by the kernel when we are killed. To the kernel we are the
        # thread that starts it, which is to outlive it: the main one, or that of live_hpa (conftest.py), which stops its plane itself.
        tied = [] if self.kept else ["setpriv", "--pdeathsig", "KILL", "--"]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(tied + self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.mark.write_text(f"{self.process.pid} {started_at(self.process.pid)}")
        return self

    @property
    def pid(self):
        """The process, whoever started it; None when it is gone."""
        if self.process and self.process.poll() is not None:
            return None
        try:
            pid, began = self.mark.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if str(started_at(int(pid))) == began else None

    def send(self, number):
        if self.pid:
            os.kill(self.pid, number)

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def kill(self):
        """At once: what it wrote is thrown away, or it is to be seen dying."""
        self.send(signal.SIGKILL)
        if self.process:
            self.process.wait()
        while self.pid:  # another's child: whoever has it waits for it, we can only look
            time.sleep(0.01)
        self.mark.unlink(missing_ok=True)

    def last_words(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
