"""The shell scripts, with a stand-in for what they start."""
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'

# Joins the group as the runner does, and lets the second process die when it is told to.
STAND_IN = """
import os, signal, sys, time
import torch.distributed as dist
from datetime import timedelta
dist.init_process_group('gloo', timeout=timedelta(hours=1))  # a death is noticed before
gathered = [None] * dist.get_world_size()
dist.all_gather_object(gathered, dist.get_rank())
if '--die' in sys.argv:
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()
if '--wait' in sys.argv:  # as a training does, which ends its iteration first
    asked = []
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda signum, frame: asked.append(signum))
    dist.barrier()
    os.write(1, b'READY\\n')  # in one piece, unlike print with two processes
    while not asked:
        time.sleep(0.05)
    time.sleep(0.3)
    os.write(1, f'ASKED {dist.get_rank()} {[int(each) for each in asked]}\\n'.encode())
    sys.exit(128 + asked[0])
if dist.get_rank() == 0:
    print('ARGS', gathered, sys.argv[1:])
dist.destroy_process_group()
"""


@pytest.fixture
def tools(tmp_path):
    folder = tmp_path / 'tools'
    folder.mkdir()
    for path in (*TOOLS.glob('*.sh'), TOOLS / 'dist_launch.py'):
        shutil.copy(path, folder)
    for name in ('train.py', 'test.py'):
        (folder / name).write_text(STAND_IN)
    return folder


def run(*command, **environment):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=600, env={**os.environ, 'PYTHON': sys.executable, **environment})


def test_two_processes_start_and_get_the_arguments(tools):
    result = run('bash', tools / 'dist_train.sh', 'config.py', 2, '--cfg-options', 'a=1 2')
    assert result.returncode == 0, result.stderr
    assert "ARGS [0, 1] ['config.py', '--launcher', 'pytorch', '--cfg-options', 'a=1 2']" in (
        result.stdout)


def test_a_death_ends_the_job_with_a_line(tools):
    result = run('bash', tools / 'dist_train.sh', 'my config.py', 2, '--overwrite', '--die',
                 '--cfg-options', "a='1 2'")
    assert result.returncode == 1
    assert 'exitcode  : -9' in result.stderr  # torchrun names the process and the signal
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('error: a process of the training ended with an error')
    again = shlex.split(last.partition('go on with: ')[2])
    assert again == [f'{tools}/dist_train.sh', 'my config.py', '2', '--die', '--cfg-options',
                     "a='1 2'", '--resume']


@pytest.mark.parametrize(('signum', 'code', 'to_all'), [
    (signal.SIGINT, 130, True),  # as a terminal sends Ctrl-C
    (signal.SIGTERM, 143, False)])  # as kill sends it
def test_a_signal_reaches_each_process_once_and_the_script_says_how_to_go_on(
        tools, signum, code, to_all):
    script = subprocess.Popen(
        ['bash', str(tools / 'dist_train.sh'), 'config.py', '2', '--wait'], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, 'PYTHON': sys.executable})
    ready = 0
    while ready < 2:
        line = script.stdout.readline()
        assert line
        ready += line == 'READY\n'  # gloo may have its say before
    (os.killpg if to_all else os.kill)(script.pid, signum)
    out, err = script.communicate(timeout=600)
    assert script.returncode == code
    assert sorted(out.split('\n')) == [
        '', f'ASKED 0 [{signum.value}]', f'ASKED 1 [{signum.value}]']
    assert 'Traceback' not in err
    last = err.strip().splitlines()[-1]
    assert last == f'stopped; go on with: {tools}/dist_train.sh config.py 2 --wait --resume'


def test_test_script_on_a_given_port(tools):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    result = run('bash', tools / 'dist_test.sh', 'config.py', 'model.pth', 1, PORT=str(port))
    assert "ARGS [0] ['config.py', 'model.pth', '--launcher', 'pytorch']" in result.stdout


def test_slurm_starts_a_launcher_on_each_node(tools, tmp_path):
    fake = tmp_path / 'bin'
    fake.mkdir()
    (fake / 'srun').write_text(
        '#!/bin/bash\necho "SRUN $@" | head -n 1\nwhile [[ $1 == --* ]]; do shift; done\n'
        'SLURM_NNODES=2 SLURM_NODEID=1 SLURM_JOB_NODELIST=n[1-2] SLURM_JOB_ID=7 "$@"\n')
    (fake / 'scontrol').write_text('#!/bin/bash\nprintf "n1\\nn2\\n"\n')
    (fake / 'python').write_text('#!/bin/bash\necho "PYTHON $@"\n')
    for path in fake.iterdir():
        path.chmod(0o755)
    result = run('bash', tools / 'slurm_train.sh', 'gpu', 'cells', 'config.py', '--amp', NNODES='2',
                 GPUS_PER_NODE='4', PATH=f'{fake}:{os.environ["PATH"]}', PYTHON='python')
    assert '--partition=gpu --job-name=cells --nodes=2 --ntasks=2 --ntasks-per-node=1' in (
        result.stdout)
    assert ('--nnodes 2 --node-rank 1 --master-addr n1 --master-port 20007 --nproc-per-node 4'
            in result.stdout)
    assert result.stdout.strip().endswith('train.py config.py --launcher pytorch --amp')


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_usage(tools, name):
    result = run('bash', tools / name)
    assert result.returncode == 2
    assert result.stderr.startswith(f'usage: tools/{name}')


@pytest.mark.parametrize('gpus', ['x', '0', '-1', '1.5', ''])
@pytest.mark.parametrize('given', [['dist_train.sh', 'config.py'],
                                   ['dist_test.sh', 'config.py', 'a.pth']])
def test_a_number_of_processes_that_is_none_is_a_line(tools, given, gpus):
    name, *rest = given
    result = run('bash', tools / name, *rest, gpus)
    assert (result.returncode, result.stderr) == (
        2, f"error: GPUS: found '{gpus}', expected a number of processes, at least 1\n")
