# What one does with a checkout of rocca. `make help` lists it.

# For demo: RELEASE=PATH|URL|VERSION  ACCEPT_UNSIGNED=1  FRONT=nginx|apache
#           DEBIAN=12|13  NAME=name
export RELEASE ACCEPT_UNSIGNED FRONT DEBIAN NAME

PREFIX  = /usr/local
DESTDIR =

.PHONY: help build demo test lint scan bench install man docs clean

help: ## List what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo '  sudo make demo RELEASE=matomo.tar.gz FRONT=apache DEBIAN=13 NAME=try'

build: ## Build bin/rocca, for any Debian
	@scripts/go build -ldflags='-s -w' -o bin/rocca ./cmd/rocca

demo: ## Make a throw-away Debian server with Matomo in it, and attack it (root)
	@test "$$(id -u)" = 0 || { echo 'make demo: only root can boot a throw-away server' >&2; echo 'hint: sudo make demo' >&2; exit 2; }
	@$(MAKE) --no-print-directory build
	@set --; \
	test -z "$$RELEASE" || set -- "$$@" --release "$$RELEASE"; \
	test -z "$$ACCEPT_UNSIGNED" || set -- "$$@" --accept-unsigned; \
	test -z "$$FRONT" || set -- "$$@" --front "$$FRONT"; \
	test -z "$$DEBIAN" || set -- "$$@" --debian "$$DEBIAN"; \
	test -z "$$NAME" || set -- "$$@" --name "$$NAME"; \
	exec bin/rocca demo up --prove "$$@"

test: ## Run all tests; those of whole servers need root
	@scripts/test

lint: ## Check style, directions and common mistakes
	@scripts/lint

scan: ## Let KICS judge the templates for AWS (built once, some minutes)
	@scripts/scan

bench: ## Measure parts of rocca and whole servers, beside lynis, aide, sha256sum and the CDK (root)
	@scripts/go test -run '^$$' -bench . -benchmem $$(scripts/go list ./internal/...)
	@scripts/go test -v -count=1 -run '^$$' -bench . -benchtime 1x -timeout 45m ./bench

install: build ## Install rocca, manual pages and completion below PREFIX (/usr/local)
	install -D -m 0755 bin/rocca $(DESTDIR)$(PREFIX)/sbin/rocca
	install -d $(DESTDIR)$(PREFIX)/share/man/man8
	bin/rocca docs man $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	bin/rocca completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/rocca

man: build ## Write the manual pages to dist/man
	@mkdir -p dist/man && bin/rocca docs man dist/man

docs: ## Write the generated pages of docs/ anew
	@scripts/go test -count=1 ./cmd/rocca -run 'TestCommandReference|TestRunbook' -update
	@scripts/go test -count=1 ./internal/config ./internal/control ./internal/prove ./internal/aws/settings ./internal/aws/cost ./internal/aws/policy -update

clean: ## Remove what make built; demo servers stay (rocca demo down NAME)
	rm -rf bin dist
