# closewait_exporter: make help lists the targets.

# An archive of the repository has no git, but git has written its version into the file VERSION.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || awk '!/Format/ { print $$1; found = 1 } END { exit !found }' VERSION || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
# The date of the commit, so that two builds of it are the same.
DATE     ?= $(shell TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)

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
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# sudo as a rule resets PATH.
.PHONY: require-go
require-go:
	@command -v go > /dev/null || { echo 'go is not in PATH. With sudo, build first as yourself: make build && sudo ./closewait_exporter' >&2; exit 1; }

.PHONY: build
build: require-go ## build ./closewait_exporter, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(ldflags)' -o closewait_exporter .

.PHONY: run
run: build ## build, and serve metrics on LISTEN (:10052)
	./closewait_exporter --web.listen-address=$(LISTEN)

.PHONY: demo
demo: build ## run the exporter and a server that leaks, until interrupted
	scripts/demo

.PHONY: deps
deps: ## install the programs that the tests need (asks, unless YES=1), or list them
	scripts/test-deps

.PHONY: test
test: deps ## run all tests with the race detector, and print CPU seconds per package
	go vet ./...
	CPU_BUDGET=900 scripts/test -race -count=1 -timeout=15m ./...

.PHONY: test-long
test-long: deps ## run more rounds of random tests, and tests that take minutes
	scripts/render
	CLOSEWAIT_LONG=1 scripts/test -count=1 -timeout=2h -p 1 ./...
	for scanner in netlink procfs; do CLOSEWAIT_SCANNER=$$scanner go test -count=1 -timeout=1h -p 1 ./e2e ./reapertest || exit 1; done

.PHONY: lint
lint: ## run golangci-lint (pinned), and check the language of comments and documents
	scripts/lint
	go test -count=1 -run '^TestLanguage' .

.PHONY: check
check: ## run the part of lint that is quick to install: gofmt, staticcheck, language
	scripts/check

.PHONY: golden
golden: kubernetes ## update all golden files of the tests, and the generated manifests
	scripts/golden

.PHONY: generate
generate: ## compile the BPF programs (Debian packages clang, llvm, libbpf-dev)
	go generate ./kernel/bpf/...
	cd kernel/bpf && sha256sum bpf/* *.o bare/*.o > objects.sha256

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME (30s) each
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## measure speed relative to ss, lsof and netstat
	scripts/bench

.PHONY: man
man: ## write the man page to dist/
	mkdir -p dist
	VERSION='$(VERSION)' DATE='$(DATE)' scripts/man > dist/closewait_exporter.1

.PHONY: package
package: build ## build a deb and an rpm in dist/
	DATE='$(DATE)' scripts/package '$(VERSION)'

.PHONY: image
image: ## build the container image IMAGE with docker, podman or buildah
	VERSION='$(VERSION)' REVISION='$(REVISION)' BRANCH='$(BRANCH)' DATE='$(DATE)' scripts/image '$(IMAGE)'

.PHONY: kubernetes
kubernetes: ## generate the PrometheusRule from the alerting rules
	scripts/prometheusrule > deploy/kubernetes/prometheusrule.yaml

.PHONY: clean
clean: ## remove all build results
	rm -rf closewait_exporter bin dist
