# What people run: `make run` and `make test`. Pure Go: no cgo in what is built (the race detector of `make test` needs gcc).
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/rouse-dev/rouse/node.version=$(VERSION)
GO      ?= go

.PHONY: run build test test-unit test-compat lint bench bench-peers cross release clean

run: build
	@bin/rouse dev examples/shop

build:
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/rouse ./cmd/rouse

test: build test-unit test-compat

# As root, the tests of sandboxes run for real.
test-unit:
	$(GO) vet ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

# The AWS SDKs and the AWS CLI against a running node, in a module of their own. What is missing of boto3, the AWS CLI and the
# SDK for JavaScript is put below test/compat.
test-compat: build
	cd test/compat && ROUSE_BIN=$(CURDIR)/bin/rouse $(GO) test -count=1 -timeout 15m ./...

lint:
	golangci-lint run

bench: build
	cd bench && ROUSE_BIN=$(CURDIR)/bin/rouse $(GO) run . $(BENCH)

bench-peers: build
	cd bench && ROUSE_BIN=$(CURDIR)/bin/rouse $(GO) run . -peers $(BENCH)

TARGETS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

# Tests are not built for other systems, but have to type-check there.
cross:
	@for t in $(TARGETS); do echo "build $$t"; \
	  export GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0; $(GO) build -o /dev/null ./... && $(GO) vet ./... || exit 1; done

release:
	@rm -rf dist && mkdir -p dist
	@for t in $(TARGETS); do n=rouse-$(VERSION)-$${t%/*}-$${t#*/}; echo "$$n"; mkdir dist/$$n && \
	  GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/$$n/rouse ./cmd/rouse && \
	  cp LICENSE README.md dist/$$n/ && tar -C dist --owner=0 --group=0 --sort=name -czf dist/$$n.tar.gz $$n && rm -r dist/$$n || exit 1; done
	@cd dist && sha256sum *.tar.gz > SHA256SUMS && cat SHA256SUMS

clean:
	rm -rf bin dist
