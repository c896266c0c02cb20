"""Prometheus, which scrapes nothing: what a query gives is in the query itself (vector(2.5)).

    prometheus.url                              http://127.0.0.1:P
    loki_shape.url                              the same program at the paths of Loki: its query API answers in the same form
"""
import pytest

from install import apt
from server import Server, free_port


class Prometheus(Server):
    def __init__(self, folder, prefix=""):
        apt("prometheus")
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = self.root + prefix
        (folder / "prometheus.yml").write_text("global: {scrape_interval: 1s}\n")
        where = [f"--web.external-url={self.url}", f"--web.route-prefix={prefix}"] if prefix else []
        super().__init__(folder, "prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml",
                                                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                                                *where], ready=f"{self.url}/-/ready")


@pytest.fixture(scope="session")
def prometheus(servers):
    return servers.once(Prometheus)


@pytest.fixture(scope="session")
def loki_shape(servers):
    return servers.once(Prometheus, "/loki")
