# make demo: the whole way on generated images; make test: all checks; make bench: measurements.
# Each makes .venv first if it is missing.
PYTHON ?= python3
# What pip is to install as torch: more words may say where from, such as --index-url URL.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := data/sample
DEMO := work_dirs/demo
DEMO_CONFIG := configs/demo/maskrcnn_mobilenetv2_two_stage.py

.PHONY: install install-ops test demo bench clean
install: $(VENV)/.installed

# mmcv is built in an environment without torch, where it leaves its operators out; mmsart/ops
# stands in for them. pip's cache might hold a build with operators, for another torch.
$(VENV)/.installed: requirements.txt requirements-lite.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' || \
	  { echo 'error: Python 3.10 to 3.14 is needed, found '`$(PYTHON) --version`'; set PYTHON='; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q setuptools==81.0.0 wheel
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q --no-cache-dir --no-deps onedl-mmcv==2.3.6
	$(BIN)/pip install -q -r requirements.txt
	$(BIN)/pip install -q --no-deps -r requirements-lite.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# Without debug symbols the operators take 1.4 MB, not 33.
install-ops: $(VENV)/.installed
	@command -v c++ >/dev/null || \
	  { echo 'error: no C++ compiler (c++) found; on Debian: apt-get install g++ python3-dev'; exit 2; }
	$(BIN)/pip install -q setuptools==81.0.0 wheel ninja psutil
	@echo 'compiling the operators of mmcv, about 15 minutes on two cores'
	CFLAGS="$${CFLAGS--g0 -O2}" $(BIN)/pip install -q --no-build-isolation --no-cache-dir \
	  --no-deps --force-reinstall onedl-mmcv==2.3.6

test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --maxfail 30

$(SAMPLE)/train.csv: | $(VENV)/.installed
	$(BIN)/python tools/dataset_converters/make_sample_dataset.py $(SAMPLE) \
	  --images 120 --seed 0 --size 256 256

demo: $(VENV)/.installed $(SAMPLE)/train.csv
	$(BIN)/python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO) --overwrite
	$(BIN)/python tools/test.py $(DEMO_CONFIG) $(DEMO) --work-dir $(DEMO) \
	  --submission $(DEMO)/submission.csv --out $(DEMO)/predictions.pkl
	$(BIN)/python tools/analysis_tools/show_predictions.py $(DEMO)/predictions.pkl \
	  --images $(SAMPLE)/train --out $(DEMO)/pictures --postprocess $(DEMO_CONFIG)
	$(BIN)/python tools/score_submission.py --truth $(SAMPLE)/train.csv \
	  --submission $(DEMO)/submission.csv
	@echo
	@echo 'data          $(SAMPLE)'
	@echo 'run           $(DEMO)  (log, curves, checkpoints)'
	@echo 'submission    $(DEMO)/submission.csv'
	@echo 'pictures      $(DEMO)/pictures'

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) build *.egg-info
