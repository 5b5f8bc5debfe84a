import csv

from mmsart.visualization.run_logs import RunLog
from mmsart.visualization.run_table import format_table, run_table


def make_run():
    run = RunLog('two_stage', '.', seconds=3725)
    run.train = [dict(iter=5 * epoch, epoch=epoch, host_memory=100.0 + epoch)
                 for epoch in (1, 2, 3)]
    run.val = [{'iter': 5, 'sartorius/mAP': 0.1, 'sartorius/mAP_cort': 0.3, 'val_loss/loss': 2.0},
               {'iter': 10, 'sartorius/mAP': 0.2, 'sartorius/mAP_cort': 0.25,
                'val_loss/loss': 1.5},
               {'iter': 15, 'sartorius/mAP': 0.2, 'sartorius/mAP_cort': 0.4, 'val_loss/loss': 1.0}]
    return run


def test_row_of_the_best_validation():
    """The earliest of equal scores; what else stands in the row is of the same validation."""
    heading, row = run_table([make_run()])
    assert dict(zip(heading, row, strict=True)) == {
        'run': 'two_stage', 'sartorius/mAP': '0.2000', 'cort': '0.2500', 'val loss': '1.5000',
        'best epoch': '2', 'epochs': '3', 'iterations': '15', 'time': '1:02:05',
        'memory': '103 MiB'}


def test_gpu_memory_goes_before_that_of_the_process():
    run = make_run()
    run.train[1]['memory'] = 2048
    assert run_table([run])[1][-1] == '2048 MiB'


def test_unknown_values():
    bare = RunLog('bare', '.')
    bare.train = [dict(iter=3, loss=1.0)]
    broken = make_run()
    for record in broken.val:
        record['sartorius/mAP'] = float('nan')
    rows = run_table([make_run(), bare, broken])
    assert rows[2] == ['bare', '-', '-', '-', '-', '-', '3', '-', '-']
    assert rows[3][1:5] == ['-'] * 4


def test_formats():
    rows = [['run', 'mAP'], ['a, b', '0.1']]
    assert format_table(rows, 'text') == 'run   mAP\na, b  0.1'
    assert format_table(rows, 'markdown') == (
        '| run  | mAP |\n|------|-----|\n| a, b | 0.1 |')
    assert list(csv.reader(format_table(rows, 'csv').splitlines())) == rows
