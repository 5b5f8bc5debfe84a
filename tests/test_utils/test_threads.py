"""How torch's threads wait."""
import os
import subprocess
import sys

import pytest

from mmsart.utils import threads as threads_module
from mmsart.utils.threads import BRIEF_WAITS, idle_cores, leave_busy_cores, wait_briefly


@pytest.mark.parametrize(('given', 'expected'), [
    ({}, {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000'}),
    ({'OMP_WAIT_POLICY': 'ACTIVE'}, {'OMP_WAIT_POLICY': 'ACTIVE'}),
    ({'GOMP_SPINCOUNT': '5'}, {'GOMP_SPINCOUNT': '5'})])
def test_waits_are_brief_unless_the_environment_says_otherwise(given, expected, monkeypatch):
    for name in BRIEF_WAITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    wait_briefly()
    assert {name: os.environ[name] for name in BRIEF_WAITS if name in os.environ} == expected


def test_commands_say_so_before_torch_is_imported():
    code = ('import os, sys, mmsart.cli; '
            'print(os.environ["GOMP_SPINCOUNT"], "torch" in sys.modules)')
    environment = {name: value for name, value in os.environ.items() if name not in BRIEF_WAITS}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                          env=environment)
    assert done.stdout == '1000 False\n'


@pytest.mark.parametrize(('idle', 'threads'), [
    (4.0, None), (3.6, None), (3.0, '3'), (1.4, '1'), (0.1, '1'), (None, None)])
def test_a_training_leaves_the_cores_of_others_to_them(idle, threads, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS')
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1, 2, 3})
    monkeypatch.setattr(threads_module, 'idle_cores', lambda seconds: idle)
    leave_busy_cores()
    assert os.environ.get('OMP_NUM_THREADS') == threads
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    leave_busy_cores()
    assert os.environ['OMP_NUM_THREADS'] == '2'


def test_idle_cores_are_those_of_the_system_that_this_process_may_use(monkeypatch):
    #       user nice system idle iowait irq softirq steal guest guest_nice
    first, second = ('cpu 9 9 9 9 9 9 9 9 9 9\n'
                     'cpu0 100 0 0 100 0 0 0 0 100 0\ncpu1 0 0 0 500 0 0 0 0 0 0\n'
                     'cpu2 0 0 0 0 0 0 0 0 0 0\ncpu3 7 0 0 7 0 0 0 0 0 0\nintr 1 2\n',
                     'cpu 9 9 9 9 9 9 9 9 9 9\n'
                     'cpu0 110 0 10 120 0 0 0 0 110 0\ncpu1 0 0 0 540 0 0 0 0 0 0\n'
                     'cpu2 0 0 0 40 0 0 0 0 0 0\ncpu3 7 0 0 7 0 0 0 0 0 0\nintr 3 4\n')
    texts = iter([first, second])
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1, 3})
    monkeypatch.setattr(threads_module.Path, 'read_text', lambda self: next(texts))
    assert idle_cores(0) == pytest.approx(0.5 + 1)  # cpu3 has not ticked


def test_a_system_that_does_not_say_has_no_idle_cores(monkeypatch):
    def refuse(self):
        raise FileNotFoundError
    monkeypatch.setattr(threads_module.Path, 'read_text', refuse)
    assert idle_cores(0) is None


def test_the_cores_of_this_machine_are_counted():
    assert 0 <= idle_cores(0.05) <= len(os.sched_getaffinity(0))
