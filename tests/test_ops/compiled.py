"""mmcv's compiled operators, for the tests that compare with them."""
import importlib

import pytest

from mmsart.ops import EXTENSION, are_compiled

compiled = importlib.import_module(EXTENSION) if are_compiled() else None
needs_compiled = pytest.mark.skipif(compiled is None, reason="mmcv's operators are not compiled")
