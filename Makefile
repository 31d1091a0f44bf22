# Two commands: `make demo` and `make test`. Each sets up .venv first if it is not there yet.
# Needs Python 3.11 or 3.12, make and git; PYTHON=/path/to/python picks another interpreter.

UV_VERSION := 0.13.8
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.complete
PHANTOMS := data/phantom
DEMO := runs/demo
CHALLENGE := outputs/challenge
BENCHMARKS := outputs/benchmarks
GPU := outputs/gpu

PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null \
	&& echo $$python && break; done)

export NO_ALBUMENTATIONS_UPDATE := 1
export MPLBACKEND := Agg
export UV_HTTP_TIMEOUT := 300

.DELETE_ON_ERROR:
.PHONY: demo demo-boxes demo-masks test test-all challenge check format bench gpu lock venv browser clean-venv help

help:
	@echo "make demo     set up, generate phantoms, train, evaluate, show where to look (10 minutes, 13 without AVX-512)"
	@echo "make demo-boxes, demo-masks  the same for boxes and for masks"
	@echo "make test     set up, run the quick tests (two processes)"
	@echo "make test-all the same and what is marked slow: all scripts in a row, every baseline, a browser"
	@echo "make challenge  CL-Detection 2023 from a stack to the package, six steps (at most 5 minutes)"
	@echo "make browser  install Chromium for the tests of the review page (as root, with apt), or say why not"
	@echo "make check    ruff, formatting, pyright"
	@echo "make format   let ruff rewrite what it can"
	@echo "make bench    speed of the models (also the README's table) and of the data pipeline -> $(BENCHMARKS)"
	@echo "make gpu      everything that only a GPU can show -> $(GPU) (at most 8 minutes; PY=python3: installs nothing)"
	@echo "make lock     resolve requirements-lock.txt anew (LOCK_ARGS=--upgrade for newer versions)"

# The stamp is removed before anything changes and written last. So an environment without one was
# interrupted and is built from scratch, and one with an older stamp is brought up to date. A stamp whose
# interpreter no longer starts counts as none.
ifeq ($(shell $(PY) -c "import pip" 2>/dev/null && echo works),)
$(shell rm -f $(STAMP))
endif

$(STAMP): requirements-lock.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 not found on the PATH. Install one, or give" \
		"PYTHON=/path/to/python3.11."; exit 1; }
	test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	rm -f $@
	$(PY) -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	$(VENV)/bin/uv pip install --python $(PY) -r requirements-lock.txt
	touch $@

venv: $(STAMP)

clean-venv:
	rm -rf $(VENV)

$(PHANTOMS)/dataset.json: | $(STAMP)
	$(PY) tools/prepare_phantom.py --output $(PHANTOMS)

# The data are kept between runs; the run folder belongs to the demo and starts anew each time.
demo: $(STAMP) $(PHANTOMS)/dataset.json
	rm -rf $(DEMO)
	$(PY) main.py --config-file configs/phantom.py data.folder=$(PHANTOMS) train.output_dir=$(DEMO)
	$(PY) test.py --checkpoint $(DEMO)/best.pt --data $(PHANTOMS) --subset test \
		--show-dir $(DEMO)/overlays --json $(DEMO)/test.json --report $(DEMO)/report.html
	row=$$(sed -n 2p $(PHANTOMS)/annotations/test.csv); $(PY) inference.py --checkpoint $(DEMO)/best.pt \
		--input $(PHANTOMS)/images/$$(echo $$row | cut -d, -f1) --spacing $$(echo $$row | cut -d, -f2) \
		--output $(DEMO)/inference.json --show-dir $(DEMO)/inference
	@echo
	@echo "Report:     $(DEMO)/report.html (one file; open it in a browser)"
	@echo "Overlays:   $(DEMO)/overlays    (truth red, prediction green)"
	@echo "Inference:  $(DEMO)/inference.json, $(DEMO)/inference"
	@echo "Training:   $(PY) -m tensorboard.main --logdir $(DEMO)"
	@$(PY) -c 'import json; result = json.load(open("$(DEMO)/test.json")); \
		print("MRE on {num_images} held-out phantoms: {mre_mm:.2f} mm".format(**result))'

# Boxes of teeth and bones, masks of hand bones: both draw their own phantoms first.
demo-boxes: $(STAMP)
	rm -rf $(DEMO)_boxes
	test -e $(PHANTOMS)_boxes || $(PY) tools/prepare_phantom.py --task boxes --output $(PHANTOMS)_boxes
	$(PY) main.py --config-file configs/boxes/phantom.py data.folder=$(PHANTOMS)_boxes \
		train.output_dir=$(DEMO)_boxes
	$(PY) test.py --checkpoint $(DEMO)_boxes/best.pt --data $(PHANTOMS)_boxes --subset test \
		--show-dir $(DEMO)_boxes/overlays --json $(DEMO)_boxes/test.json --report $(DEMO)_boxes/report.html

demo-masks: $(STAMP)
	rm -rf $(DEMO)_masks
	test -e $(PHANTOMS)_hand || $(PY) tools/prepare_hand_phantom.py --output $(PHANTOMS)_hand
	$(PY) main.py --config-file configs/masks/phantom_hand.py data.folder=$(PHANTOMS)_hand \
		train.output_dir=$(DEMO)_masks
	$(PY) test.py --checkpoint $(DEMO)_masks/best.pt --data $(PHANTOMS)_hand --subset test \
		--show-dir $(DEMO)_masks/overlays --json $(DEMO)_masks/test.json --report $(DEMO)_masks/report.html

# Bytecode is kept whatever the environment says: compiling PyTorch anew takes half of a process's start. The
# files come in the order of tests/conftest.py, the long ones first.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -q -rs -n 2 --dist loadfile \
	--no-loadscope-reorder --durations=10

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	$(PYTEST)

# Never fails: tests that need a browser are skipped, with a reason, where none is.
browser:
	@command -v chromium || command -v chromium-browser || test -x "$(CHROMIUM)" || { apt-get update -qq \
		&& apt-get install -qq -y --no-install-recommends chromium; } \
		|| echo "No Chromium could be installed: the tests that need it will be skipped."

# STACK=train_stack.mha ANNOTATIONS=train-gt.json take the organisers' files instead of phantoms.
challenge: $(STAMP)
	rm -rf $(CHALLENGE)
	$(PY) tools/run_challenge.py --output $(CHALLENGE) \
		$(if $(STACK)$(ANNOTATIONS),--stack "$(STACK)" --annotations "$(ANNOTATIONS)")

check: $(STAMP)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m pyright

format: $(STAMP)
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: $(STAMP) $(PHANTOMS)/dataset.json
	$(PY) tools/benchmark_model.py --size 512 416 --json $(BENCHMARKS)/model.json --readme README.md \
		--model-config configs/models/landmark_detr_resnet18.py configs/models/landmark_detr_resnet50.py
	$(PY) tools/benchmark_data.py --data $(PHANTOMS) --json $(BENCHMARKS)/data.json

# PY=python3 takes that interpreter as it is: nothing is installed. Exit code 3: no GPU here.
gpu: $(if $(filter command line,$(origin PY)),,$(STAMP))
	rm -rf $(GPU)
	$(PY) tools/check_gpu.py --output $(GPU)

# Versions already in the lock stay unless LOCK_ARGS says otherwise. torch and torchvision move together, and
# both builds come from PyPI: the separate CPU builds have shipped without torchvision's operators.
lock: $(STAMP)
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header $(LOCK_ARGS) \
		requirements-dev.txt -o requirements-lock.txt
