"""Training and testing runs from a config: what tools/train.py and tools/test.py do."""
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from mmdet.datasets import BaseDetDataset
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from mmsart.apis.checks import (
    check_checkpoint,
    check_data,
    check_launcher,
    check_loggers,
    check_model,
    check_save_best,
    check_section,
    check_val_loss,
    data_classes,
    validates,
)
from mmsart.apis.config import LOADERS, find_metric, find_metrics
from mmsart.apis.dataset_checks import find_unreadable_together
from mmsart.apis.mask_checks import check_mask_loading, check_mask_mixing
from mmsart.apis.run_checks import check_evaluation, check_schedule, check_settings
from mmsart.apis.work_dirs import POSTPROCESS_FILE, check_work_dir, find_begun, hold_work_dir
from mmsart.apis.zoo_model import take_zoo_model
from mmsart.datasets.image_folder import list_images
from mmsart.datasets.nested import find_datasets
from mmsart.engine.hooks.cell_visualization_hook import (
    CellVisualizationHook,
    common_folder,
)
from mmsart.engine.hooks.fast_inference_hook import FastInferenceHook
from mmsart.engine.hooks.stop_hook import StopHook
from mmsart.engine.hooks.true_boxes_hook import TrueBoxesHook
from mmsart.engine.runner.checkpoint_files import find_checkpoint
from mmsart.engine.runner.loader_workers import end_workers
from mmsart.engine.runner.process_group import joined_group, leave_group
from mmsart.engine.runner.resume_check import check_epoch_length, check_resume
from mmsart.engine.runner.seeded_data import seeded_dataloader
from mmsart.engine.runner.stop_request import StopRequest
from mmsart.evaluation.metrics.cell_counter import describe_counts
from mmsart.models.detectors.members import keep_masks_to_cut
from mmsart.models.fast_inference import skip_hopeless
from mmsart.postprocessing import complete_config, load_postprocess
from mmsart.utils import (
    IncompleteError,
    RunStopped,
    UserError,
    UserErrors,
    as_user_error,
    check_apart,
    check_target,
    check_writable,
    missing,
)
from mmsart.utils.bare_model import bare_model
from mmsart.weights import check_pretrained, prepare_load_from, read_checkpoint
from mmsart.zoo import locate_model
from mmsart.zoo.models import SETTINGS_FILE

POSTPROCESS_KEY = re.compile(r'^((val|test)_evaluator\.(\d+\.)?)?postprocess(\.|$)')
POSTPROCESSED = ('CellCounter', 'SartoriusMetric', 'SubmissionWriter')


def train_model(cfg: Config, resume: str | None = None, amp: bool = False,
                auto_scale_lr: bool = False, launcher: str = 'none', local_rank: int = 0,
                overwrite: bool = False) -> None:
    """Train as a config says.

    Data are checked before anything is written.

    Args:
        cfg: of :func:`mmsart.apis.config.load_config`.
        resume: ``'auto'`` or the path of a checkpoint to go on from.
        amp: use automatic mixed precision, on a GPU.
        auto_scale_lr: scale learning rates by the total batch size.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        local_rank: of this process, unless the environment has LOCAL_RANK.
        overwrite: remove the training that the work dir holds.

    Raises:
        UserError: the data, the weights or the settings are wrong, or the work dir holds another
            training, perhaps one under way.
        RunStopped: Ctrl-C or SIGTERM has come; a checkpoint is written.
    """
    with _processes(cfg, launcher, local_rank):
        main = is_main_process()
        _check_training(cfg, resume, amp, auto_scale_lr, overwrite if main else None)
        with (hold_work_dir(cfg, overwrite) if main else nullcontext(),
              StopRequest(repeatable=launcher == 'none') as request):
            runner = _build_runner(cfg)
            runner.register_hook(StopHook(request))
            try:
                runner.train()
            except RunStopped:
                end_workers(runner)
                leave_group()
                raise


def _check_training(cfg: Config, resume: str | None, amp: bool, auto_scale_lr: bool,
                    overwrite: bool | None) -> None:
    """Check all that a training needs, and put its settings into its config.

    Of several processes one alone looks at the work dir; `overwrite` is None in the others.
    """
    check_settings(cfg)
    validating = validates(cfg)
    loaders = ('train_dataloader', 'val_dataloader')[:1 + validating]
    check_data(cfg, loaders)
    if validating:
        check_evaluation(cfg, 'val')
        _read_patches(cfg, 'val_evaluator')
        check_save_best(cfg)
        check_val_loss(cfg)
        settings = load_postprocess(
            _own_postprocess(cfg, 'val_evaluator'), data_classes(cfg, 'val_dataloader'))
    check_loggers(cfg)
    _draw_final_cells(cfg)
    model = check_model(cfg, loaders)
    check_schedule(cfg, model)
    check_mask_loading(cfg, model)
    check_mask_mixing(cfg)
    if validating:
        keep_masks_to_cut(cfg.model, settings)
    if amp:
        _use_amp(cfg)
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError(f'{cfg.filename}: auto_scale_lr.base_batch_size is missing, expected '
                            'the batch size that the learning rates were chosen for')
        cfg.auto_scale_lr.enable = True
    if resume is not None:
        cfg.resume = 'auto' if resume == 'auto' else True
        if resume != 'auto':
            if not Path(resume).is_file():
                raise missing(resume, 'a checkpoint to resume from')
            cfg.load_from = resume
    begun = find_begun(cfg)
    if overwrite is not None:
        check_work_dir(cfg, begun, overwrite)
    if begun:  # such a run takes nothing but its own checkpoint
        _check_begun(cfg, begun)
    else:
        check_pretrained(cfg.model)
        prepare_load_from(cfg)
        if cfg.get('load_from') and Path(cfg.load_from).is_file():
            read_checkpoint(cfg.load_from)  # refused now rather than in a run begun
    check_writable(cfg.work_dir)


def _check_begun(cfg: Config, begun: str) -> None:
    """Check that a run may go on from a checkpoint, as far as one process alone can tell."""
    checkpoint = read_checkpoint(begun)
    check_resume(checkpoint, cfg)
    check_checkpoint(cfg, begun)
    state = checkpoint.get('stage_state')
    if state and state['batch'] and cfg.launcher == 'none':
        loader = Runner.build_dataloader(seeded_dataloader(cfg.train_dataloader, seed=0))
        check_epoch_length(state, len(loader))


def test_model(cfg: Config, checkpoint: str, out: str | None = None, submission: str | None = None,
               images: str | None = None, postprocess: str | None = None, show: bool = False,
               show_dir: str | None = None, wait_time: float = 2, launcher: str = 'none',
               local_rank: int = 0, true_boxes: bool = False) -> dict[str, float]:
    """Test a checkpoint.

    Args:
        cfg: of :func:`mmsart.apis.config.load_config`.
        checkpoint: weights of a trained model, or a work dir, see :func:`find_checkpoint`; or a
            model of the package, see :func:`~mmsart.apis.zoo_model.take_zoo_model`.
        out: file for the raw predictions.
        submission: file for the final instances in Kaggle's format.
        images: folder of images to predict instead of the validation images; gives no score.
        postprocess: file of settings; see :func:`choose_postprocess`.
        show: show predictions in a window.
        show_dir: folder for pictures of predictions.
        wait_time: seconds that a window stays open.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        local_rank: of this process, unless the environment has LOCAL_RANK.
        true_boxes: paint masks in the true boxes, with the true classes, rather than in those that
            the model finds; see :class:`~mmsart.engine.hooks.true_boxes_hook.TrueBoxesHook`.

    Returns:
        The metric's values by name; for a folder of images, the number of cells in each.

    Raises:
        IncompleteError: everything is done but for images of the folder that cannot be read.
        UserError: the data, the checkpoint or the settings are wrong.
    """
    with _processes(cfg, launcher, local_rank):
        check_settings(cfg)
        zoo = locate_model(checkpoint)
        checkpoint = take_zoo_model(cfg, zoo) if zoo else find_checkpoint(checkpoint)
        cfg.load_from, cfg.resume = checkpoint, False
        if true_boxes and images:
            raise UserError('--true-boxes: found --images too, whose boxes are unknown, expected '
                            'one of them')
        _check_targets(cfg, postprocess, out, submission)
        unreadable = _predict_folder(cfg, images) if images else []
        datasets = check_data(cfg, ('test_dataloader',))
        if show_dir:
            _check_show_dir(show_dir, datasets)
        check_loggers(cfg)
        _draw_final_cells(cfg)
        check_model(cfg, ('test_dataloader',))
        check_checkpoint(cfg, checkpoint)
        check_evaluation(cfg, 'test')
        settings, source = choose_postprocess(
            cfg, checkpoint, data_classes(cfg, 'test_dataloader'), postprocess)
        _read_patches(cfg, 'test_evaluator')
        keep_masks_to_cut(cfg.model, settings)
        _choose_metrics(cfg, settings, bool(images), out, submission)
        if show or show_dir:
            cfg.default_hooks = {**cfg.get('default_hooks', {}), 'visualization': dict(
                type='CellVisualizationHook', draw=True, show=show, wait_time=wait_time,
                test_out_dir=str(check_writable(show_dir)) if show_dir else None,
                postprocess=settings)}
        check_writable(cfg.work_dir)
        runner = _build_runner(cfg)
        if all(metric['type'] in POSTPROCESSED for metric in cfg.test_evaluator):
            skip_hopeless(bare_model(runner.model), settings)
        if true_boxes:
            runner.register_hook(TrueBoxesHook())
        runner.logger.info(f'post-processing settings: {source}')
        if unreadable:
            runner.logger.warning(
                f'{images}: {len(unreadable)} images cannot be read and are passed over')
        scores = runner.test()
        for metric in runner.test_loop.evaluator.metrics:
            scores.update(getattr(metric, 'counts', {}))
    if unreadable:
        incomplete = IncompleteError(*unreadable)
        incomplete.done = tuple(describe_counts(scores))
        raise incomplete
    return scores


def choose_postprocess(
        cfg: Config, checkpoint: str, classes: Sequence[str],
        given: str | None = None) -> tuple[dict[str, Any], str]:
    """Choose the settings of post-processing for a checkpoint.

    A file that is given comes first; then the single settings that the command line changes, on
    top of those that belong to the weights: of ``postprocess.json`` beside the checkpoint, or of a
    model of the package; without these, the config's.

    Args:
        cfg: of :func:`mmsart.apis.config.load_config`.
        checkpoint: file of the weights.
        classes: names in label order.
        given: file of settings.

    Returns:
        The complete settings, and in words where they come from.

    Raises:
        UserError: the settings are wrong.
    """
    if given:
        return load_postprocess(given, classes), str(given)
    changed = {POSTPROCESS_KEY.sub('', key, 1): (key, value)
               for key, value in cfg.get('cfg_options', {}).items() if POSTPROCESS_KEY.match(key)}
    words = ''.join(f', {key} of --cfg-options' for key, _ in changed.values())
    found = _settings_of(checkpoint, classes)
    if found is None or '' in changed:  # '': all settings anew
        own = _own_postprocess(cfg, 'test_evaluator')
        return load_postprocess(own, classes), f'{cfg.filename}{words}'
    settings = Config(found[0])
    settings.merge_from_dict({name: value for name, (_, value) in changed.items()})
    return load_postprocess(settings.to_dict(), classes), f'{found[1]}{words}'


def _settings_of(checkpoint: str, classes: Sequence[str]) -> tuple[dict[str, Any], str] | None:
    """Read the settings that belong to weights, and tell in words where they are, if there are."""
    beside = Path(checkpoint).parent / POSTPROCESS_FILE
    if beside.is_file():
        return load_postprocess(beside, classes), str(beside)
    zoo = locate_model(checkpoint)
    if zoo is None:
        return None
    path = str(zoo.folder / SETTINGS_FILE)
    return complete_config(zoo.settings['postprocess'], classes, path), zoo.name


@contextmanager
def _processes(cfg: Config, launcher: str, local_rank: int) -> Iterator[None]:
    """Be one of a launcher's processes for a while, with the config's registries."""
    check_launcher(launcher)
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    for name in LOADERS:
        loader: Any = cfg.get(name)
        pinned = isinstance(loader, Mapping) and loader.get('pin_memory')
        if pinned and not torch.cuda.is_available():
            loader.pin_memory = False  # torch warns of it then, once for each loader
    if 'env_cfg' in cfg:
        check_section(cfg, 'env_cfg')
    with joined_group(launcher, cfg.get('env_cfg', {})):
        yield


def _check_targets(cfg: Config, postprocess: str | None, out: str | None,
                   submission: str | None) -> None:
    """Refuse files to write that a test reads, or that its config names."""
    annotations = [os.path.join(dataset.get('data_root') or '', dataset['ann_file'])
                   for loader in LOADERS for dataset in find_datasets(cfg.get(loader))
                   if isinstance(dataset.get('ann_file'), str)]
    kept = [cfg.filename, cfg.load_from, postprocess, *annotations]
    if out:
        check_target(out, '.pkl', [*kept, submission])
    if submission:
        check_target(submission, '.csv', [*kept, out])


def _check_show_dir(show_dir: str, datasets: Sequence[BaseDetDataset]) -> None:
    """Refuse to draw into folders that hold images, as named or where links to images lead."""
    files = [Path(sample['img_path']) for dataset in datasets for sample in dataset.data_list]
    if not files:
        return
    common = common_folder(files)
    named = dict.fromkeys(file.parent for file in files)
    held = list(dict.fromkeys([*named, *(file.resolve().parent for file in files)]))
    for target in (Path(show_dir, os.path.relpath(folder, common)) for folder in named):
        if target.is_dir():  # else it holds no image
            check_apart(target, held, 'folder')


def _predict_folder(cfg: Config, images: str) -> list[str]:
    """Put a folder of images in the place of the test images; name those that cannot be read."""
    check_section(cfg, 'test_dataloader')
    pipelines = [dataset.pipeline for dataset in find_datasets(cfg.test_dataloader)
                 if 'pipeline' in dataset]
    if not pipelines:
        raise UserError(f'{cfg.filename}: test_dataloader: found no pipeline, expected one for '
                        'the images of a folder')
    paths = list_images(images)
    unreadable = find_unreadable_together(paths)
    if len(unreadable) == len(paths):
        raise UserErrors(*unreadable.values())
    cfg.test_dataloader.dataset = dict(
        type='SartoriusDataset', data_root='', ann_file='', data_prefix=dict(img=images),
        skip=[Path(path).name for path in unreadable],
        test_mode=True, metainfo=dict(classes=data_classes(cfg, 'test_dataloader')),
        pipeline=[step for step in pipelines[0] if 'LoadAnnotations' not in step['type']
                  and 'LoadCroppedAnnotations' not in step['type']])
    return list(unreadable.values())


def _own_postprocess(cfg: Config, name: str) -> Any:
    """Return the settings of a config's own SartoriusMetric, None where it has none."""
    check_section(cfg, name, Mapping | list)
    return (find_metric(cfg, name) or {}).get('postprocess')


def _read_patches(cfg: Config, name: str) -> None:
    """Let COCO's metric read masks in their boxes, as our heads give them, to the same values."""
    for metric in find_metrics(cfg, name):
        if metric.get('type') == 'CocoMetric':
            metric['type'] = 'CroppedCocoMetric'


def _choose_metrics(cfg: Config, settings: dict[str, Any], unknown: bool, out: str | None,
                    submission: str | None) -> None:
    """Give all metrics one post-processing, and add what writes the files asked for.

    Images whose truth is unknown get no score.
    """
    metrics: list[Any] = find_metrics(cfg, 'test_evaluator')
    if unknown:
        metrics = [dict(type='CellCounter')]
    for metric in metrics:
        if 'postprocess' in metric or metric['type'] in POSTPROCESSED:
            metric['postprocess'] = settings
    if out:
        metrics.append(dict(type='PredictionWriter', path=out, postprocess=settings))
    if submission:
        metrics.append(dict(type='SubmissionWriter', path=submission, postprocess=settings))
    cfg.test_evaluator = metrics


def _draw_final_cells(cfg: Config) -> None:
    """Have mmdet's hook draw what is left after post-processing, unless it has a threshold."""
    hook = (cfg.get('default_hooks') or {}).get('visualization') or {}
    if hook.get('type') == 'DetVisualizationHook' and 'score_thr' not in hook:
        kept = {key: value for key, value in hook.items() if key != 'backend_args'}
        cfg.default_hooks.visualization = {**kept, 'type': 'CellVisualizationHook'}
    elif hook.get('type') == 'CellVisualizationHook':
        known = signature(CellVisualizationHook).parameters
        for key in hook:
            if key not in known and key not in ('type', '_scope_'):  # of mmengine
                raise UserError(
                    f'{cfg.filename}: default_hooks.visualization: found {key}, expected some of '
                    f'{", ".join(known)}; thresholds are those of post-processing')


def _use_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError('--amp: no CUDA device found, expected one')
    holders = cfg.train_cfg.get('stages') or [cfg]
    for holder in holders:
        holder.optim_wrapper.type = 'AmpOptimWrapper'
        holder.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _build_runner(cfg: Config) -> Runner:
    cfg.setdefault('runner_type', 'StagedRunner')  # configs of mmdet's zoo name none
    with as_user_error(cfg.filename):  # hooks, visualizer, environment: whatever it names
        runner = RUNNERS.build(cfg)
    runner.register_hook(FastInferenceHook())  # whatever the config: scores are those of predict
    return runner
