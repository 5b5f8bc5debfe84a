"""A training loop that goes through stages."""
import copy
import gc
import os
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.model import is_model_wrapper
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop
from torch import nn

from mmsart.datasets.nested import is_wrapper
from mmsart.engine.hooks.stage_hook import StageEMAHook, StageHook
from mmsart.engine.runner.freezing import describe_trainable, set_trainable, sum_trainable
from mmsart.engine.runner.random_state import preserve_random_state, set_random_state
from mmsart.engine.runner.rank_check import check_ranks_agree
from mmsart.engine.runner.resume_check import check_epoch_length
from mmsart.engine.runner.seeded_data import SeededBatchSampler, seeded_dataloader
from mmsart.engine.runner.stages import Stage, read_stages, wrapper_problem
from mmsart.utils import UserError, as_user_error
from mmsart.utils.bare_model import bare_model


@LOOPS.register_module()
class StagedTrainLoop(BaseLoop):
    """Train in stages, each with its own trainable part, optimizer and schedulers.

    At each border the loop freezes and unfreezes, wraps the model for several processes again,
    builds optimizer and schedulers anew and switches pipeline and averaged model. Hooks may
    implement ``before_train_stage(runner)`` and ``after_train_stage(runner)``.

    An epoch is one pass over the data; a stage begins with a new one, so a stage of `max_iters`
    may leave its last epoch unfinished. Needs :class:`StagedRunner` to resume.

    Args:
        runner: the runner.
        dataloader: config of the train dataloader.
        stages: configs of the stages, see :class:`Stage`.
        val_begin: first epoch (or iteration, in a stage of `max_iters`) of the run that is
            validated; the end of a stage before it is not either.
        val_interval: epochs of a stage between validations. Each stage ends with one; it is the
            only one in a stage of `max_iters` that gives no interval of its own.
    """

    def __init__(self, runner: Any, dataloader: dict, stages: list[dict], val_begin: int = 1,
                 val_interval: int = 1) -> None:
        if not isinstance(dataloader, dict):
            raise UserError('StagedTrainLoop: expected train_dataloader to be a config, found '
                            f'{type(dataloader).__name__}')
        if not isinstance(val_interval, int) or val_interval < 1:
            raise UserError(f'train_cfg.val_interval: found {val_interval!r}, expected a whole '
                            'number of at least 1')
        super().__init__(runner, seeded_dataloader(dataloader, runner.seed))
        self.stages = read_stages(stages)
        self._check_schedulers()
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False  # set by EarlyStoppingHook
        self._epoch = self._iter = 0  # runner.resume sets these two
        self.stage_index = -1
        self.stage_epoch = self.stage_iter = 0
        self.batch = 0  # batches used of the epoch under way
        self.validated_iter = -1
        self._random_state: dict | None = None  # of a checkpoint, until training goes on
        # The state that training goes on from while a validation draws numbers of its own; a
        # checkpoint written in the validation must hold it.
        self.outer_random_state: dict | None = None
        self._gradients: dict = {}
        self._own_pipelines = [(data, data.pipeline) for data in _leaf_datasets(self.dataloader)]
        self._check_wrappers()
        if hasattr(self.dataloader.dataset, 'metainfo'):
            runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo
        runner.register_hook(StageHook())
        if any(stage.ema for stage in self.stages):
            runner.register_hook(StageEMAHook())

    @property
    def max_epochs(self) -> int:
        """Epochs of the whole run."""
        done = self._epoch - self.stage_epoch  # a resumed run may have another epoch length
        return done + sum(stage.epochs(len(self.dataloader)) for stage in self._remaining())

    @property
    def max_iters(self) -> int:
        """Iterations of the whole run."""
        done = self._iter - self.stage_iter
        return done + sum(stage.iters(len(self.dataloader)) for stage in self._remaining())

    @property
    def epoch(self) -> int:
        """Epochs that are finished, over all stages."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Iterations that are finished, over all stages."""
        return self._iter

    @property
    def stage(self) -> Stage:
        """The stage under way."""
        return self.stages[max(self.stage_index, 0)]

    @property
    def validations(self) -> int:
        """Validations that the stage under way asked for so far, a last one included."""
        count, _, interval = self._progress()
        return -(-count // interval)

    def _progress(self) -> tuple[int, int, int]:
        """Epochs or iterations done of the stage, of how many, and between two validations."""
        stage, length = self.stage, len(self.dataloader)
        if stage.by_epoch:
            return (self.stage_epoch, stage.epochs(length),
                    stage.val_interval or self.val_interval)
        return self.stage_iter, stage.iters(length), stage.val_interval or stage.iters(length)

    @property
    def batches(self) -> SeededBatchSampler:
        """The batch sampler of the train dataloader."""
        return self.dataloader.batch_sampler

    def run(self) -> nn.Module:
        """Train through all stages, from where the loop stands."""
        if self.stage_index < 0:
            self._enter_stage(0)
        self._check_later_stages()
        self._warn_without_validation()
        self._begin_counting()
        self.runner.call_hook('before_train')
        if self._random_state is not None:
            set_random_state(self._random_state)
        while True:
            self._run_stage()
            check_ranks_agree(bare_model(self.runner.model), self.stage.name)
            self.runner.call_hook('after_train_stage')
            if self.stop_training or self.stage_index + 1 == len(self.stages):
                break
            self.stage_epoch = self.stage_iter = 0
            self._enter_stage(self.stage_index + 1)
            self._begin_counting()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _run_stage(self) -> None:
        self._validate_if_due()  # a resumed run may have died before or in its validation
        while not self._stage_done() and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()

    def _stage_done(self) -> bool:
        if self.stage.by_epoch:
            return self.stage_epoch >= self.stage.epochs(len(self.dataloader))
        return self.stage_iter >= self.stage.iters(len(self.dataloader)) and self.batch == 0

    def run_epoch(self) -> None:
        """Go through an epoch, or through what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        length = len(self.dataloader)
        left = length - self.batch
        if not self.stage.by_epoch:
            left = min(left, self.stage.iters(length) - self.stage_iter)
        self.batches.place(self._epoch, self.batch, self._iter)
        with preserve_random_state():  # a new iterator draws a seed for its workers
            iterator = iter(self.dataloader)
        for data_batch in islice(iterator, left):
            self.run_iter(self.batch, data_batch)
            if not self.stage.by_epoch and self._validate_if_due():
                self.runner.model.train()
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.stage_epoch += 1
        self.batch = 0

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on one batch.

        Args:
            idx: number of the batch in its epoch.
            data_batch: the batch.
        """
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        outputs = self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook(
            'after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1
        self.stage_iter += 1
        self.batch += 1

    def _validate_if_due(self) -> bool:
        """Validate if the position in the stage asks for it and it has not been done."""
        if self.runner.val_loop is None or self.validated_iter == self._iter:
            return False
        count, total, interval = self._progress()
        due = count > 0 and (count % interval == 0 or count == total)
        within_epoch = self.stage.by_epoch and self.batch > 0
        reached = self._epoch if self.stage.by_epoch else self._iter
        if not due or within_epoch or reached < self.val_begin:
            return False
        with preserve_random_state() as self.outer_random_state:
            self.runner.val_loop.run()
        self.outer_random_state = None
        return True

    def _enter_stage(self, index: int) -> None:
        """Prepare model, optimizer, schedulers and data for a stage."""
        runner = self.runner
        self.stage_index = index
        model = bare_model(self.runner.model)
        set_trainable(model, self.stage)
        if is_model_wrapper(runner.model):
            # The wrapper fixed at construction which gradients it exchanges; the old one takes
            # its hooks on the gradients along when it is gone.
            runner.model = model
            gc.collect()
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
            runner._maybe_compile('train_step')
        for key in ('train/grad_norm', 'train/base_lr'):  # a stage need not log them again
            runner.message_hub.log_scalars.pop(key, None)
        runner.param_schedulers = None  # scale_lr refuses to work on built ones
        runner.optim_wrapper = runner.build_optim_wrapper(copy.deepcopy(self.stage.optim_wrapper))
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        runner.param_schedulers = runner.build_param_scheduler(self._scheduler_configs(self.stage))
        self._switch_pipeline()
        runner.call_hook('before_train_stage')
        runner.logger.info(describe_trainable(model, self.stage),
                           extra=dict(console=sum_trainable(model, self.stage)))

    def _scheduler_configs(self, stage: Stage) -> list[dict]:
        """Schedulers without an end last to the end of the stage, not of the run."""
        length = len(self.dataloader)
        ends = {True: stage.epochs(length), False: stage.iters(length)}
        return [{'end': ends[config.get('by_epoch', True)], **config}
                for config in copy.deepcopy(stage.param_scheduler)]

    def _check_schedulers(self) -> None:
        """Refuse schedulers that mmengine would refuse when their stage begins, hours later."""
        for stage_number, stage in enumerate(self.stages):
            for number, config in enumerate(self._scheduler_configs(stage)):
                begin, end = config.get('begin', 0), config['end']
                if begin >= end:
                    raise UserError(
                        f'train_cfg.stages[{stage_number}].param_scheduler[{number}].begin: found '
                        f'{begin}, expected less than {end}, its end or that of the stage')

    def _check_wrappers(self) -> None:
        """Refuse to guess whose transforms a stage's pipeline replaces: a wrapper may have some."""
        for number, stage in enumerate(self.stages):
            for dataset, _ in self._own_pipelines if stage.pipeline is not None else ():
                if is_wrapper(vars(dataset)):
                    problem = wrapper_problem(type(dataset).__name__)
                    raise UserError(f'train_cfg.stages[{number}].{problem}')

    def _check_later_stages(self) -> None:
        """Build what could not be built when its stage begins, hours later."""
        runner = self.runner
        current = runner.optim_wrapper
        for number, stage in enumerate(self.stages[self.stage_index + 1:], self.stage_index + 1):
            with as_user_error(f'train_cfg.stages[{number}].pipeline'):
                Compose(copy.deepcopy(stage.pipeline))
            try:
                runner.optim_wrapper = runner.build_optim_wrapper(
                    copy.deepcopy(stage.optim_wrapper))
                runner.build_param_scheduler(self._scheduler_configs(stage))
            except UserError as error:
                raise UserError(f'train_cfg.stages[{number}].{error}') from error
        runner.optim_wrapper = current

    def _warn_without_validation(self) -> None:
        """Say so if no stage reaches `val_begin`, as in a run that an option has shortened."""
        if self.runner.val_loop is None:
            return
        length = len(self.dataloader)
        epochs, iters = self._epoch - self.stage_epoch, self._iter - self.stage_iter
        ends = []
        for stage in self._remaining():
            epochs += stage.epochs(length)
            iters += stage.iters(length)
            ends.append((epochs, 'epochs') if stage.by_epoch else (iters, 'iterations'))
        if all(end < self.val_begin for end, _ in ends):
            self.runner.logger.warning(
                'train_cfg.val_begin: found %s, but the last stage ends after %d %s: this run is '
                'not validated, and chooses no best checkpoint', self.val_begin, *ends[-1])

    def _switch_pipeline(self) -> None:
        for dataset, own in self._own_pipelines:
            dataset.pipeline = own if self.stage.pipeline is None else Compose(
                copy.deepcopy(self.stage.pipeline))
        self.dataloader._iterator = None  # persistent workers hold the old pipeline

    def _begin_counting(self) -> None:
        """Tell the optimizer wrapper where in the stage it is: it accumulates by that count."""
        wrapper = self.runner.optim_wrapper
        for name, parameter in bare_model(self.runner.model).named_parameters():
            if name in self._gradients:
                parameter.grad = self._gradients[name].to(parameter)
        self._gradients = {}
        wrapper.initialize_count_status(
            self.runner.model, self.stage_iter, self.stage.iters(len(self.dataloader)))

    def restore(self, checkpoint: dict) -> None:
        """Rebuild the stage of a checkpoint, before the states of its optimizer load.

        Args:
            checkpoint: as :class:`StageHook` has completed it.

        Raises:
            UserError: the run now has batches of another size, in the middle of an epoch.
        """
        state = checkpoint['stage_state']
        same = state['epoch_length'] == len(self.dataloader)
        check_epoch_length(state, len(self.dataloader))
        for key in ('stage_epoch', 'stage_iter', 'batch', 'validated_iter'):
            setattr(self, key, state[key])
        self._epoch, self._iter = checkpoint['meta']['epoch'], checkpoint['meta']['iter']
        self.batches.reseed(state['seed'])
        self._gradients = checkpoint.get('gradients', {})
        threads = state.get('threads', torch.get_num_threads())
        if threads != torch.get_num_threads() and 'OMP_NUM_THREADS' not in os.environ:
            torch.set_num_threads(threads)  # with others sums are rounded in another order
        states = state['random_states']
        self._random_state = states[min(self.runner.rank, len(states) - 1)]
        if not same or len(states) != self.runner.world_size:
            self.runner.logger.warning(
                'resume: other batches or processes than before, the run goes on from the same '
                'weights but not to the same result')
        self._enter_stage(state['stage_index'])

    def _remaining(self) -> list[Stage]:
        return self.stages[max(self.stage_index, 0):]


def _leaf_datasets(dataloader: Any) -> list[Any]:
    """Return the datasets with a pipeline of their own under wrappers such as ConcatDataset."""
    found, queue = [], [dataloader.dataset.dataset]
    while queue:
        dataset = queue.pop()
        inner = vars(dataset).get('datasets') or [vars(dataset).get('dataset')]
        if inner != [None]:
            queue += inner
        if 'pipeline' in vars(dataset):
            found.append(dataset)
    return found
