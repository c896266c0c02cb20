"""On a real control plane: one for the whole run, a namespace for each test, Weirs that find it by a kubeconfig.

    def test_it(namespace, weir, source):
        namespace.create("deployments", deployment("web", 0))
        namespace.apply(scaled_object(source.url))
        weir()                                   # as user weir-a; weir("--mode", "hpa", user="weir-b") for others
        source.value = 35
        namespace.wait_ready(4, "web")
"""
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from external import Registration  # noqa: E402
from live_hpa import tell  # noqa: E402
from namespace import Namespace  # noqa: E402
from plane import Plane  # noqa: E402
from proxy import Proxy  # noqa: E402
from support.source import Source  # noqa: E402
from support.weir import Running  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


def tell_of_failure(request, title, text):
    """What helps to understand a test that failed: its fixtures say it when they end."""
    if getattr(request.node, "failed", False):
        print(f"---- {title}\n{text()[-6000:]}")


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    with Plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
def own_plane(tmp_path):
    """One for this test alone, which may harm it: own_plane(api_options=[...])."""
    made = []

    def make(**options):
        made.append(Plane(tmp_path / f"plane-{len(made)}", **options).start())
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture
def bad_way(plane):
    """bad_way(user=): a proxy whose faults the test sets; weir(kubeconfig=bad_way().kubeconfig)."""
    made = []

    def make(user="weir-a", on=None):
        made.append(Proxy(on or plane, user))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture(scope="session")
def live_hpa(tmp_path_factory):
    """The story of test_live_hpa.py, which is waiting for the most part: under way from when the first asks for it."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(tell, tmp_path_factory.mktemp("live"))


@pytest.fixture
def namespace(plane, request):
    plane.namespaces = getattr(plane, "namespaces", 0) + 1
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")[:40].strip("-")
    made = Namespace(plane, f"{word}-{plane.namespaces}")
    yield made
    tell_of_failure(request, f"namespace {made.name}", made.dump)
    made.gone()


@pytest.fixture
def weir(request, tmp_path):
    """weir(*options, user=, on=, under=): starts a Weir with that user's kubeconfig; killed or stopped ones are left alone at the end."""
    made = []

    def make(*options, user="weir-a", on=None, kubeconfig=None, under=()):
        where = kubeconfig or (on or request.getfixturevalue("plane")).kubeconfig(user)
        folder = tmp_path / f"weir-{len(made)}"
        folder.mkdir()
        made.append(Running(folder, "--kubeconfig", where, *options, under=under))
        return made[-1].start()

    yield make
    for one in made:
        tell_of_failure(request, f"log of {one.folder.name}", one.log_text)
        one.stop()


@pytest.fixture
def source():
    s = Source()
    yield s
    s.close()


@pytest.fixture(scope="module")
def played(plane, request, tmp_path_factory):
    """The rows of this file (rows.py), all under way with one Weir that serves both modes; played(name) waits for one."""
    rows = request.module.rows
    wanted = [item.callspec.params["name"] for item in request.session.items
              if item.module is request.module and "played" in item.fixturenames]
    registration = Registration(plane)
    weir = Running(tmp_path_factory.mktemp("weir"), "--kubeconfig", plane.kubeconfig("weir-a"), *registration.options,
                   *getattr(request.module, "OPTIONS", ())).start()
    try:
        registration.register(weir)
        pool, under_way = rows.start(plane, weir, wanted)
        yield lambda name: print(f"took {under_way[name].result():.1f} s")
        pool.shutdown(cancel_futures=True)
    finally:
        registration.close()
        weir.stop()
