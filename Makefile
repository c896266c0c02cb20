# The words of this project. Everything is built by Meson into build/; these are short names for what people do often.
#
#   make run      build, then the recommended token-latency policy with load: watch replicas follow it
#   make test     build, then all tests
#   make build    build/weir, build/weir-shim, build/vectors, build/inference-sim, build/load-generator
#   make deps     install the Debian packages that are missing (as root directly; else asks, or WEIR_YES=1); run, build and bench
#                 need only DEPS=build
#   make test-cluster  the tests on a real Kubernetes control plane; needs Go 1.26, and 10 minutes to build it the first time
#   make test-servers  the triggers on real servers, which are fetched the first time (1.5 GB, kept); MINUTES=10: what fits into that
#   make check    what a change must pass: -Werror build, rooms, format, all quick tests under the sanitizers
#   make bench    the figures, appended to build/bench.jsonl (BENCH=formula for one group)
#   make quality  docs/quality.md anew: decisions of Weir and of others on real traces (minutes)
#   make install  to PREFIX (default /usr/local), with the man page
BENCH ?= all
PREFIX ?= /usr/local
DEPS ?= build test
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: all build deps run test test-cluster test-servers check bench quality docs format clean install

all: build

deps:
	@tools/deps $(DEPS)

build/build.ninja:
	@tools/deps build
	@meson setup build --prefix=$(PREFIX) >build.log 2>&1 || { cat build.log; rm -rf build build.log; exit 1; }
	@mv build.log build/setup.log

build: build/build.ninja
	@ninja -C build -j$(JOBS)

# Only what it shows is built: the tests take longer than everything else.
run: build/build.ninja
	@ninja -C build -j$(JOBS) weir weir-shim inference-sim load-generator
	@tools/run-example

test:
	@tools/deps build test
	@$(MAKE) --no-print-directory build
	@tools/test

test-cluster:
	@tools/deps build test
	@$(MAKE) --no-print-directory build
	@tools/cluster-test

test-servers:
	@tools/deps build test
	@$(MAKE) --no-print-directory build
	@tools/test-servers $(if $(MINUTES),--minutes $(MINUTES))

check:
	@tools/deps build test check
	@tools/check

bench: build
	@bench/run $(BENCH)

quality: build/build.ninja
	@ninja -C build -j$(JOBS) tools/quality/quality
	@build/tools/quality/quality >build/quality.md
	@mv build/quality.md docs/quality.md

docs: build
	@tools/make-docs

format:
	@tools/check-format --fix

install: build/build.ninja
	@meson configure build --prefix=$(PREFIX)
	@ninja -C build -j$(JOBS) weir weir-shim
	@meson install -C build --no-rebuild

clean:
	@rm -rf build build-*
