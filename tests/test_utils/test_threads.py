"""How torch's threads wait."""
import os
import subprocess
import sys

import pytest

from mmsart.utils.threads import wait_passively


@pytest.mark.parametrize(('given', 'expected'), [(None, 'PASSIVE'), ('ACTIVE', 'ACTIVE')])
def test_threads_sleep_unless_the_environment_says_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    if given:
        monkeypatch.setenv('OMP_WAIT_POLICY', given)
    wait_passively()
    assert os.environ['OMP_WAIT_POLICY'] == expected


def test_commands_say_so_before_torch_is_imported():
    code = ('import os, sys, mmsart.cli; '
            'print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)')
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_WAIT_POLICY'}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                          env=environment)
    assert done.stdout == 'PASSIVE False\n'
