# Needs Python 3.11 or newer, git and make. Everything else goes into .venv.
#
#   make run  ARGS="--latency lower"    more options for run_live.py
#   make run  RUNTIME=gpu               onnxruntime-gpu instead of onnxruntime (default: gpu where nvidia-smi works)
#   make run  WINDOW=                   stay in the terminal (default: the window where there is a display)
#   make test ARGS="-k latency"         more options for pytest
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu    where to look for torch as well

PYTHON ?= python3
ARGS ?=
TORCH_INDEX ?=
SYSTEM := $(shell uname -s)-$(shell uname -m)
ifndef RUNTIME
RUNTIME := $(if $(filter Linux-x86_64,$(SYSTEM)),$(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu),cpu)
endif
ifeq ($(filter cpu gpu,$(RUNTIME)),)
$(error RUNTIME is cpu or gpu, not "$(RUNTIME)")
endif
WINDOW ?= $(if $(filter Darwin-%,$(SYSTEM))$(DISPLAY)$(WAYLAND_DISPLAY),1)

BIN := .venv/bin
# Stems of a live run are kept on the null device only. Asked when the recipe runs, for it needs the environment.
PROBE := from realtime.devices.portaudio import PortAudioDevice; PortAudioDevice()
STEMS = $(if $(shell $(BIN)/python -c '$(PROBE)' >/dev/null 2>&1 && echo live),,--stems out/live)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Stamps of what is installed live in the environment, and go with it.
VENV := .venv/made
RUN := .venv/made-$(RUNTIME)
GUI := .venv/made-gui
DEV := .venv/made-dev
TEST := .venv/made-test
OTHER := $(if $(filter gpu,$(RUNTIME)),onnxruntime,onnxruntime-gpu)

QT_PACKAGES := libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 fonts-dejavu-core
X11_PACKAGES := libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0
JACK_PACKAGES := jackd2 libjack-jackd2-0 liblo-tools
# A display without a screen, and hands for it.
HAND_PACKAGES := xvfb xdotool

.DELETE_ON_ERROR:
.PHONY: help run test lint clean

help:
	@echo "make run    set up, and start the live host; without a sound device, the demo song into out/live"
	@echo "make test   set up, and run the tests"
	@echo "make lint   set up, and check the style"
	@echo "make clean  remove the environment and all caches"

run: $(RUN) $(if $(WINDOW),$(GUI))
	$(BIN)/python run_live.py $(STEMS) $(if $(WINDOW),,--no-window) $(ARGS)

test: $(TEST)
	OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "LaSAFT Live needs Python 3.11 or newer: make PYTHON=python3.12, for example"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || .ci/debian-packages python3-venv
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "This Python has no venv module; on Debian and Ubuntu it is in the package python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# The two runtimes share a module folder: one goes before the other comes.
$(RUN): pyproject.toml | $(VENV)
	@.ci/debian-packages libportaudio2
	@rm -f .venv/made-cpu .venv/made-gpu
	@if $(PIP) show -q $(OTHER) 2>/dev/null; then $(PIP) uninstall -y onnxruntime onnxruntime-gpu; fi
	$(PIP) install -e ".[$(RUNTIME),oscquery]"
	@touch $@

$(GUI): pyproject.toml | $(RUN)
	@.ci/debian-packages $(QT_PACKAGES) $(X11_PACKAGES)
	$(PIP) install -e ".[$(RUNTIME),gui]"
	@touch $@

$(DEV): pyproject.toml | $(RUN)
	$(PIP) install -e ".[$(RUNTIME),dev]"
	@touch $@

$(TEST): pyproject.toml | $(RUN) $(DEV)
	@.ci/debian-packages $(QT_PACKAGES) $(JACK_PACKAGES)
	@.ci/debian-packages $(X11_PACKAGES) $(HAND_PACKAGES)
	$(PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e ".[$(RUNTIME),gui,midi,oscquery,tempo,train,dev]"
	@touch $@
