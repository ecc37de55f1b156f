# Every target is also what CI calls. `make` alone lists them.
FILE ?= repos.yaml
PROJECT ?=
PRUNE ?=
ENVIRONMENT ?=
PREFIX ?= $(HOME)/.local
BIN := .venv/bin
OF_ENVIRONMENT = $(if $(ENVIRONMENT), --env $(ENVIRONMENT))
LIST = $(foreach file,$(FILE),--file $(file))$(OF_ENVIRONMENT)
LOCK_FILE = $(basename $(firstword $(FILE)))$(if $(ENVIRONMENT),.$(ENVIRONMENT)).lock.json
CDKTF = IAC_LOCK_FILE=$(LOCK_FILE) $(BIN)/python -m iac_wrapper.bootstrap.cdktf_cli$(OF_ENVIRONMENT)
# Bytecode is kept whatever the shell says: else each process that a test starts compiles us anew.
TEST = PYTHONDONTWRITEBYTECODE= PATH="$(CURDIR)/.iac/bin:$$PATH" $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Workers wait for Docker most of the time: of the fast tests one does, of the others all.
WAITING = --numprocesses $$(expr $$(getconf _NPROCESSORS_ONLN) + 2)

# Fuzzing is slow, and loading its library alone takes each process three seconds.
QUICK = --numprocesses $$(expr $$(getconf _NPROCESSORS_ONLN) + 1) \
  --ignore tests/admin/test_fuzz.py --ignore tests/unit/test_fuzz.py \
  -p no:schemathesis -p no:hypothesispytest

NAMED = $(if $(IAC_PROJECT), --project $(IAC_PROJECT))

ifneq ($(PROJECT),)
export IAC_PROJECT := $(PROJECT)
endif
.DEFAULT_GOAL := help
.PHONY: help bootstrap demo proto schema plan apply destroy test test-all test-cov e2e-test reliability fuzz bench bench-rebuild detect-score interop lint fmt dev install provider-wheel lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Set this machine up (Python, Terraform, Node, Docker, base images); quick when done
	@scripts/venv
	@$(BIN)/python -m iac_wrapper.bootstrap

demo: bootstrap ## Bootstrap, then deploy the local examples
	@env -u IAC_PROJECT $(BIN)/iac deploy --file examples/repos.yaml$(NAMED)
	@echo "Also: $(BIN)/iac status$(NAMED), $(BIN)/iac logs flask-app$(NAMED)," \
	  "$(BIN)/iac destroy$(NAMED); a web application with its database: examples/notes"

proto: ## Regenerate the committed protobuf code from proto/ and provider/proto/
	@scripts/venv
	@scripts/protoc

schema: ## Write what follows from the code into documents: keys of repos.yaml, rules of detection
	@scripts/venv
	@$(BIN)/python scripts/schema.py

plan: bootstrap node_modules/.done ## Show what `make apply` would change (FILE=repos.yaml, ENVIRONMENT=)
	@$(BIN)/iac lock $(LIST) --prune
	@$(CDKTF) diff

apply: bootstrap node_modules/.done ## Deploy FILE with the cdktf CLI, no `release:` (PRUNE=1: remove what it does not list)
	@$(BIN)/iac lock $(LIST) $(if $(PRUNE),--prune)
	@$(CDKTF) deploy --auto-approve

destroy: bootstrap node_modules/.done ## Destroy what FILE deployed, with the cdktf CLI
	@$(CDKTF) destroy --auto-approve
	@$(BIN)/iac destroy --yes$(OF_ENVIRONMENT)

node_modules/.done: package-lock.json | bootstrap
	@echo "· npm ci: the cdktf CLI (about 25 s)" >&2
	@PATH="$(CURDIR)/.iac/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	@touch $@

test: bootstrap ## Run the fast tests and the core ones with Docker
	$(TEST) $(QUICK) -m "core or not (integration or reliability or slow)"

test-all: bootstrap node_modules/.done ## Run the others too, and the fast ones for coverage (at least 80 %)
	$(TEST) $(QUICK) -m "not (integration or reliability or slow)" --cov
	$(TEST) $(WAITING) -m "(integration and not core) or (slow and not reliability)"

test-cov: bootstrap ## Run the fast tests and write htmlcov/
	$(TEST) -m "not integration and not reliability" --cov --cov-report=term --cov-report=html

e2e-test: bootstrap node_modules/.done ## Run the tests that need Docker, Terraform and Envoy
	$(TEST) -m integration

reliability: bootstrap ## Break real projects under load and write docs/reliability.md (many minutes)
	PATH="$(CURDIR)/.iac/bin:$$PATH" $(BIN)/python -m pytest -v -s tests/reliability

fuzz: bootstrap ## Look longer for input that is neither read nor refused in our words (about ten minutes)
	FUZZ_EXAMPLES=5000 PATH="$(CURDIR)/.iac/bin:$$PATH" $(BIN)/python -m pytest -v tests/unit/test_fuzz.py

bench: bootstrap ## Print what TCP through the mesh and 1,000 requests/s through the ingress cost (six minutes)
	@$(BIN)/python -m bench.tcp
	@$(BIN)/python -m bench.ingress

detect-score: ## Print how many layouts of tests/detection get the plan that is expected
	@scripts/venv
	@$(BIN)/python -m tests.detection.score

bench-rebuild: bootstrap ## Print what a rebuild after a change of code costs, beside a bare copy (about a minute)
	@$(BIN)/python -m bench.rebuild

interop: bootstrap ## Compare with the official provider, where the Terraform registry answers
	PATH="$(CURDIR)/.iac/bin:$$PATH" $(BIN)/python -m pytest -v -rs tests/e2e/test_interop.py

lint: ## Check style, format, types and who imports whom
	@scripts/venv
	$(BIN)/ruff check .
	$(BIN)/black --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: ## Format the code
	@scripts/venv
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/black --quiet .

dev: bootstrap ## Bootstrap, checks before each commit, then the admin API until Ctrl-C
	@$(BIN)/pre-commit install
	@$(BIN)/iac admin serve

install: bootstrap ## Link iac into PREFIX/bin (default ~/.local)
	mkdir -p "$(PREFIX)/bin" && ln -sf "$(CURDIR)/$(BIN)/iac" "$(PREFIX)/bin/iac"

provider-wheel: ## Build the Docker provider's own wheel into dist/ (provider/README.md)
	@scripts/venv
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist provider

lock: ## Pin the dependencies anew (UPGRADE=1 moves the versions)
	@scripts/venv
	@scripts/lock

clean: ## Remove caches and build leftovers; state, secrets and .venv stay
	rm -rf .iac/build .iac/log htmlcov .coverage .mypy_cache .pytest_cache .ruff_cache build dist provider/build provider/*.egg-info
