# Strata's habits. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO      ?= go
BINS    := nodecache recursor authoritative
CACHE   := .cache
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
DAEMON  := github.com/strata-dns/strata/core/daemon
LDFLAGS := -s -w -X $(DAEMON).Version=$(VERSION) -X $(DAEMON).Commit=$(COMMIT)

# Debian packages and what they are for.
RUN_DEPS  := unbound:the-external-resolvers-of-the-tour
TEST_DEPS := $(RUN_DEPS) dnsperf:load knot-dnsutils:kdig bind9-dnsutils:dig bind9-utils:zones-signed nsd:a-peer-for-signed-zones knot:a-peer-for-cookies dns-root-data:root-hints iproute2:network-namespaces systemd:checks-of-unit-files fstrm-bin:a-dnstap-receiver nftables:lossy-links \
	libdpdk-dev:the-plane-dpdk pkg-config:finds-libdpdk iputils-ping:pings iputils-arping:asks-by-arp ndisc6:asks-by-neighbour-discovery tcpdump:what-the-kernel-sees \
	gcc:programs-that-resolve libc6-dev:glibc musl-tools:musl libc-ares-dev:c-ares nodejs:its-resolver

, := ,
# The plane dpdk is built where its library is, when that is asked for: deps may install it.
DPDK = $(shell command -v gcc >/dev/null && pkg-config --exists libdpdk 2>/dev/null && echo yes)
TAGS = $(if $(DPDK),-tags dpdk)
PURE = $(if $(DPDK),$(filter-out authoritative,$(BINS)),$(BINS))

# Packages whose code shares memory between goroutines; those whose tests take longest first.
SHARING := ./authoritative/... ./core/... ./policy/... ./failover/... ./nodecache/... ./recursor/...

# The FerretDataset's zone-file tests, where there is a copy beside the project.
export STRATA_FERRET ?= $(abspath $(wildcard ../shared/ferret/sample.jsonl))

.PHONY: help
help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the three binaries into bin/, with the plane dpdk where libdpdk-dev is installed
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./,$(PURE))
	$(if $(DPDK),CGO_ENABLED=1 $(GO) build -trimpath -tags dpdk$(,)netgo$(,)osusergo -ldflags '$(LDFLAGS)' -o bin/ ./authoritative)

.PHONY: run
run: run-deps build ## start the whole stack on loopback and walk through it; TOUR=only ends after the tour
	@mkdir -p $(CACHE)
	@$(GO) build -o $(CACHE)/tour ./e2e/tour
	@$(CACHE)/tour -bin bin $(if $(filter only,$(TOUR)),-only)

.PHONY: test
test: deps build ## all tests, those that share memory again under the race detector; what was skipped and why
	@mkdir -p $(CACHE)
	@status=0; \
	$(GO) test $(TAGS) -json -timeout 25m ./... > $(CACHE)/test.json || status=$$?; \
	$(GO) test $(TAGS) -json -race -short -timeout 25m $(SHARING) >> $(CACHE)/test.json || status=$$?; \
	$(GO) run ./e2e/summary $(CACHE)/test.json || status=1; \
	exit $$status

.PHONY: race
race: deps ## the tests of everything that shares memory, under the race detector
	$(GO) test $(TAGS) -race -short -timeout 25m $(SHARING)

.PHONY: fuzz
FUZZTIME ?= 20s
# By itself go would make each input that finds something smaller for up to a minute, and report no executions meanwhile.
fuzz: ## each fuzz target for FUZZTIME (20s)
	@set -e; for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run XXX -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$p; \
		done; done

.PHONY: bench
bench: bench-deps build ## measure against the real peers and write bench/RESULTS.md
	$(GO) run ./bench $(BENCH)

.PHONY: e2e
e2e: deps build ## stories over real processes only
	$(GO) test -count=1 -v -timeout 25m ./e2e/...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, module file
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(if $(DPDK),$(GO) vet $(TAGS) ./core/plane/... ./authoritative ./bench/packets/...)
	$(if $(DPDK),$(GO) tool staticcheck $(TAGS) ./core/plane/... ./authoritative ./bench/packets/...)
	$(GO) mod tidy -diff

.PHONY: fmt
fmt: ## format the source
	gofmt -w $$(git ls-files '*.go')

.PHONY: clean
clean: ## remove what was built
	rm -rf bin $(CACHE)

.PHONY: deps run-deps bench-deps
deps: ## install the Debian packages that tests need, and build the Kubernetes they run against
	@e2e/install-packages $(TEST_DEPS)
	@GO='$(GO)' e2e/kube/build $(CACHE)/kube
run-deps:
	@e2e/install-packages $(RUN_DEPS)
bench-deps:
	@bench/deps
