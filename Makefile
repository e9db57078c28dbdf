# closewait_exporter: make help lists what can be made.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
DATE     ?= $(shell date -u +%Y-%m-%dT%H:%M:%SZ)

version_pkg := github.com/prometheus/common/version
ldflags := -s -w \
	-X $(version_pkg).Version=$(VERSION) \
	-X $(version_pkg).Revision=$(REVISION) \
	-X $(version_pkg).Branch=$(BRANCH) \
	-X $(version_pkg).BuildDate=$(DATE)

FUZZTIME ?= 30s
LISTEN   ?= :10052
IMAGE    ?= closewait_exporter:$(VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./closewait_exporter, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(ldflags)' -o closewait_exporter .

.PHONY: run
run: build ## build, and serve metrics on LISTEN (:10052)
	./closewait_exporter --web.listen-address=$(LISTEN)

.PHONY: demo
demo: build ## the exporter beside a server that leaks, until interrupted
	scripts/demo

.PHONY: deps
deps: ## install the programs that the tests compare with, or say what is missing
	scripts/test-deps

.PHONY: test
test: deps ## everything: unit, real kernel, end to end, with the race detector
	go vet ./...
	go test -race -count=1 -timeout=15m ./...

.PHONY: test-long
test-long: deps ## the same with many more rounds of what is random, and what takes minutes
	CLOSEWAIT_LONG=1 go test -count=1 -timeout=2h -p 1 ./...
	for scanner in netlink procfs; do CLOSEWAIT_SCANNER=$$scanner go test -count=1 -timeout=1h -p 1 ./e2e ./reapertest || exit 1; done

.PHONY: lint
lint: ## golangci-lint, built from its pinned version
	scripts/lint

.PHONY: generate
generate: ## compile the BPF programs anew (Debian packages clang, llvm, libbpf-dev)
	go generate ./kernel/bpf/...
	cd kernel/bpf && sha256sum bpf/* *.o bare/*.o > objects.sha256

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME (30s) each
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## speed as ratios against ss, lsof and netstat in the same run
	scripts/bench

.PHONY: man
man: ## write the man page to dist/
	mkdir -p dist
	VERSION='$(VERSION)' DATE='$(DATE)' scripts/man > dist/closewait_exporter.1

.PHONY: package
package: build ## make a deb and an rpm in dist/
	DATE='$(DATE)' scripts/package '$(VERSION)'

.PHONY: image
image: ## build the container image IMAGE with docker, podman or buildah
	VERSION='$(VERSION)' REVISION='$(REVISION)' BRANCH='$(BRANCH)' DATE='$(DATE)' scripts/image '$(IMAGE)'

.PHONY: kubernetes
kubernetes: ## write the alerting rules as a PrometheusRule
	scripts/prometheusrule > deploy/kubernetes/prometheusrule.yaml

.PHONY: clean
clean: ## remove what was built
	rm -rf closewait_exporter bin dist
