"""Check that killed trainings resume to the same bits.

Trains by a config once undisturbed, then again and again, each time killed with SIGKILL (after a
random time, at a random call of a hook, between two stages, while a checkpoint is written) and
resumed, and compares weights, statistics and optimizer to the last bit. Give it a short run.

Example:
  python tools/analysis_tools/kill_resume.py configs/demo/maskrcnn_r18_two_stage.py --kills 5
"""
import argparse
import tempfile
from pathlib import Path

from mmsart.utils import UserError, add_config_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file of a short run')
    parser.add_argument('--kills', type=int, default=20, help='number of runs to kill')
    parser.add_argument('--seed', type=int, default=0, help='seed for choosing the moments')
    parser.add_argument('--work-dir', help='folder for the runs (default: a temporary one); '
                        'those of an earlier call are replaced')
    add_config_options(parser)
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code: 1 if a run came to another result."""
    options = parse_args(args)
    if options.kills < 1:
        raise UserError(f'--kills: found {options.kills}, expected at least 1')
    import_mmdet()
    from mmsart.apis.config import load_config
    from mmsart.testing.kill_trials import run_trials

    cfg = load_config(options.config, options.cfg_options)
    if cfg.get('runner_type') != 'StagedRunner':
        raise UserError(f'{options.config}: runner_type: expected StagedRunner, found '
                        f'{cfg.get("runner_type")}')
    if not cfg.train_cfg.get('stages'):
        raise UserError(f'{options.config}: train_cfg.stages: found none, expected a run in stages')
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.work_dir or temporary)
        trials = run_trials(cfg, folder, options.kills, options.seed)
    equal = sum(trial.equal for trial in trials)
    print(f'{equal} of {len(trials)} killed runs ended in the same bits as the undisturbed one')
    return 0 if equal == len(trials) else 1


if __name__ == '__main__':
    raise SystemExit(main())
