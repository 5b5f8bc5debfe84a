"""What all tests share keeps modules apart."""
import torch
from mmengine.registry import DefaultScope, init_default_scope

from tests.conftest import modules_apart


def test_no_module_finds_what_another_has_set():
    for _ in range(2):
        with modules_apart():
            assert DefaultScope.get_current_instance().scope_name == 'mmdet'
            assert not torch.are_deterministic_algorithms_enabled()
            assert not torch.backends.cudnn.deterministic
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.deterministic = True
            init_default_scope('mmengine')
