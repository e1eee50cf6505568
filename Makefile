# `make` alone says what there is.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quell
# Outside the checkout, so that `sam build` does not copy gigabytes, and several checkouts share the 7 minutes of
# aws-sdk-ec2.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export QUELL_VENV ?= $(CACHE)/venv
export SAM_CLI_TELEMETRY := 0
# `sam validate` asks for a region although it calls nobody.
export AWS_DEFAULT_REGION ?= eu-west-1

ARCH ?= x86_64
TARGET := $(if $(filter arm64,$(ARCH)),aarch64,$(ARCH))-unknown-linux-gnu
HOST = $(shell rustc --print host-tuple)
# Cargo puts a build for another processor than this machine's into a folder of its own.
RELEASE = $(CARGO_TARGET_DIR)$(if $(filter $(TARGET),$(HOST)),,/$(TARGET))/release
# Everywhere the same flags: another set of features would build aws-sdk-ec2 a second time. For the same reason the dev
# profile is only ever built with dev-dependencies in play (`cargo test`, `--all-targets`, `--examples`).
BUILD_RELEASE = cargo build --release --bins --features bench $(if $(filter $(TARGET),$(HOST)),,--target $(TARGET))

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench fuzz lint fmt build package build-QuellFunction

help: ## Says what there is
	@awk -F ':.*## ' '/^[a-zA-Z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Checks the tools, and gets the emulators that tests and demo run against
	@scripts/setup

demo: setup ## Shows findings contained and told, in an emulated AWS
	cargo build --bins --examples
	cargo run --quiet --example demo

test: setup ## Runs all tests
	@rm -rf $(CARGO_TARGET_DIR)/tmp/crash-sweep
	cargo test
	@scripts/sweep_table $(CARGO_TARGET_DIR)/tmp/crash-sweep

bench: setup build ## Measures from the event to the containment, and fails where a goal is missed
	cargo run --quiet --example bench -- --strict $(RELEASE)

FOR ?= 20
fuzz: ## Feeds damaged events, policies and records to what reads them (FOR=20 seconds each; 11 minutes to build at first)
	@scripts/fuzz $(FOR)

lint: setup ## Checks format, code and templates
	cargo fmt --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	$(QUELL_VENV)/bin/cfn-lint template.yaml member-role.yaml
	$(QUELL_VENV)/bin/sam validate --lint
	cargo clippy --all-targets -- --deny warnings

fmt: ## Formats the code
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml

build: ## Builds the Lambda (about 12 minutes the first time); ARCH=arm64 for Graviton
	@scripts/check_target $(TARGET)
	$(BUILD_RELEASE)
	python3 scripts/check_bootstrap.py $(RELEASE)/bootstrap $(ARCH)

# Built before SAM builds it, which shows nothing while Cargo works.
package: setup build ## Builds and packs it for `sam deploy`
	$(QUELL_VENV)/bin/sam build --parameter-overrides Architecture=$(ARCH)

# What `sam build` calls.
build-QuellFunction: build
	cp $(RELEASE)/bootstrap policy.toml $(ARTIFACTS_DIR)/
