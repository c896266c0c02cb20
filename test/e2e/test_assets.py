"""The dashboard's files as a running Weir serves them."""
import gzip

import pytest

from conftest import ROOT
from support.weir import UnixConnection


def fetch(weir, path, method="GET", **headers):
    connection = UnixConnection(weir.data / "weir.sock")
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


@pytest.fixture
def running(weir):
    return weir().start()


def source(name):
    """As they are served: without indentation, and lines that are comments."""
    lines = [line.strip() for line in (ROOT / "web" / name).read_text().splitlines()]
    return "".join(line + "\n" for line in lines if line and not line.startswith(("//", "/*"))).encode()


def test_page_and_files_are_those_of_the_sources(running):
    answer, body = fetch(running, "/")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert body == source("dashboard.html")
    for name, kind in (("dashboard.js", "text/javascript"), ("shared.css", "text/css"), ("dashboard.svg", "image/svg+xml")):
        answer, body = fetch(running, f"/assets/{name}")
        assert answer.status == 200 and answer.headers["Content-Type"].split(";")[0] == kind
        assert body == source(name)


def test_compressed_for_those_who_take_it(running):
    plain, body = fetch(running, "/assets/dashboard.css")
    packed, packed_body = fetch(running, "/assets/dashboard.css", Accept_Encoding="gzip, deflate, br")
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed_body) == body and len(packed_body) < len(body) / 2
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"]


def test_who_has_it_is_told_so(running):
    answer, _ = fetch(running, "/assets/dashboard.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    again, body = fetch(running, "/assets/dashboard.js", If_None_Match=answer.headers["ETag"])
    assert again.status == 304 and body == b"" and again.headers["ETag"] == answer.headers["ETag"]
    other, body = fetch(running, "/assets/dashboard.js", If_None_Match=answer.headers["ETag"], Accept_Encoding="gzip")
    assert other.status == 200 and body


def test_what_there_is_not(running):
    for name in ("nothing.js", "..%2f..%2fmeson.build", "report.js"):
        assert fetch(running, f"/assets/{name}")[0].status == 404, name
    assert fetch(running, "/assets/dashboard.js", "POST")[0].status == 405
    answer, body = fetch(running, "/assets/dashboard.js", "HEAD")
    assert answer.status == 200 and body == b""


def test_all_of_it_is_small(running):
    names = [path.name for path in (ROOT / "web").iterdir() if path.name.startswith(("dashboard", "shared"))]
    bodies = [fetch(running, f"/assets/{name}") for name in names + ["chart.js"]]
    assert all(answer.status == 200 for answer, _ in bodies[:-1])  # Chart.js may not have been there when Weir was built
    assert sum(len(body) for answer, body in bodies if answer.status == 200) < 300_000
