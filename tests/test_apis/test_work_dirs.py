"""Used work dirs: another training does not mix with the one that is there."""
import pytest
from mmengine.config import Config

from mmsart.apis.work_dirs import (
    RUN_FILES,
    check_free,
    check_work_dir,
    find_begun,
    hold_work_dir,
    remove_run,
    run_files,
)
from mmsart.utils import UserError


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    return folder


def config(work_dir, **hook):
    return Config(dict(work_dir=str(work_dir), default_hooks=dict(checkpoint=hook)))


@pytest.mark.parametrize('name', [pattern.replace('*', '3') for pattern in RUN_FILES])
def test_a_folder_with_anything_of_a_training_is_used(work_dir, name):
    (work_dir / name).write_text('')
    with pytest.raises(UserError, match=rf'run: found a training already \({name}\), expected '
                       '--resume to go on with it, --overwrite to remove it and begin anew, or '):
        check_work_dir(config(work_dir), None, overwrite=False)
    check_work_dir(config(work_dir), None, overwrite=True)


@pytest.mark.parametrize(('names', 'reason'), [
    (['epoch_1.pth'], 'epoch_1.pth is damaged'),
    (['best_mAP_epoch_1.pth', 'interrupted.pth'], 'interrupted.pth is damaged'),
    (['best_mAP_epoch_1.pth', 'last_checkpoint'], 'best_mAP_epoch_1.pth is none')])
def test_a_training_without_a_whole_checkpoint_is_not_told_to_resume(work_dir, names, reason):
    for name in names:
        (work_dir / name).write_text('')
    cfg = config(work_dir)
    cfg.resume = 'auto'
    with pytest.raises(UserError, match=rf'run: --resume: found no whole checkpoint to go on from '
                                        rf'\({reason}\), expected one, --overwrite to begin'):
        check_work_dir(cfg, find_begun(cfg), overwrite=False)


@pytest.mark.parametrize('name', [
    'submission.csv', '20260101_000000/20260101_000000.log', 'config.py', 'pictures/a.png'])
def test_a_folder_with_logs_of_tests_or_files_of_the_users_is_free(work_dir, name):
    (work_dir / name).parent.mkdir(exist_ok=True)
    (work_dir / name).write_text('')
    check_work_dir(config(work_dir), None, overwrite=False)


def test_a_folder_that_is_not_there_is_free(tmp_path):
    check_work_dir(config(tmp_path / 'new'), None, overwrite=False)
    assert not (tmp_path / 'new').exists()


def test_a_training_goes_on_in_its_own_folder_alone(work_dir, tmp_path):
    (work_dir / 'epoch_1.pth').write_text('')
    check_work_dir(config(work_dir), str(work_dir / 'epoch_1.pth'), overwrite=False)
    other = tmp_path / 'other'
    other.mkdir()
    check_work_dir(config(other), str(work_dir / 'epoch_1.pth'), overwrite=False)
    (other / 'best_mAP_epoch_9.pth').write_text('')
    with pytest.raises(UserError, match=r'other: found a training already \(best_mAP_epoch_9\.pth\)'
                       r', expected that of .*run/epoch_1\.pth, or another --work-dir'):
        check_work_dir(config(other), str(work_dir / 'epoch_1.pth'), overwrite=False)


@pytest.mark.parametrize('name', [pattern.replace('*', '3') for pattern in RUN_FILES])
def test_weights_of_another_kind_do_not_go_into_a_training(work_dir, name):
    check_free(work_dir / 'new', 'ensemble.pth')
    for other in ('ensemble.pth', 'ensemble.py', 'last_checkpoint'):
        (work_dir / other).write_text('ensemble.pth')
    check_free(work_dir, 'ensemble.pth')  # the same, made once more
    (work_dir / name).write_text('epoch_3.pth')
    with pytest.raises(UserError, match=rf'run: found {name}, which belongs to other weights'):
        check_free(work_dir, 'ensemble.pth')


def test_going_on_and_beginning_anew_are_two_things(work_dir):
    with pytest.raises(UserError, match='--overwrite: found --resume too'):
        check_work_dir(config(work_dir), str(work_dir / 'epoch_1.pth'), overwrite=True)


def test_the_weights_to_begin_with_are_not_removed(work_dir, tmp_path):
    for file in (work_dir / 'epoch_3.pth', tmp_path / 'epoch_3.pth'):
        file.write_text('')
    cfg = config(work_dir)
    cfg.load_from = str(work_dir / '..' / 'run' / 'epoch_3.pth')
    with pytest.raises(UserError, match=r'load_from: found .*epoch_3\.pth, which --overwrite rem'):
        check_work_dir(cfg, None, overwrite=True)
    cfg.load_from = str(tmp_path / 'epoch_3.pth')
    check_work_dir(cfg, None, overwrite=True)


def test_checkpoints_that_go_elsewhere_count(work_dir, tmp_path):
    """mmengine puts them into a folder of the work dir's name."""
    elsewhere = tmp_path / 'big disk' / 'run'
    elsewhere.mkdir(parents=True)
    (elsewhere / 'epoch_1.pth').write_text('')
    cfg = config(work_dir, out_dir=str(elsewhere.parent))
    with pytest.raises(UserError, match='found a training already'):
        check_work_dir(cfg, None, overwrite=False)
    check_work_dir(cfg, str(elsewhere / 'epoch_1.pth'), overwrite=False)
    assert run_files(cfg) == [elsewhere / 'epoch_1.pth']
    check_work_dir(config(work_dir, out_dir='s3://bucket'), None, overwrite=False)


def test_a_training_that_came_and_went_after_the_check_is_kept(work_dir):
    cfg = config(work_dir)
    check_work_dir(cfg, None, overwrite=False)
    (work_dir / 'epoch_1.pth').write_text('')
    with pytest.raises(UserError, match='found a training already'), hold_work_dir(cfg, False):
        raise AssertionError
    assert [file.name for file in work_dir.iterdir()] == ['epoch_1.pth']
    with hold_work_dir(cfg, True):
        assert run_files(cfg) == []
        with pytest.raises(UserError, match='found another training there'), \
                hold_work_dir(cfg, True):
            raise AssertionError


def test_overwriting_removes_the_training_and_nothing_else(work_dir, tmp_path):
    elsewhere = tmp_path / 'disk' / 'run'
    elsewhere.mkdir(parents=True)
    own = [work_dir / name for name in ('last_checkpoint', 'postprocess.json', 'curves.png')]
    own += [elsewhere / 'epoch_3.pth', elsewhere / 'best_mAP_epoch_2.pth']
    log = work_dir / '20260101_000000' / 'vis_data'
    log.mkdir(parents=True)
    others = [work_dir / 'submission.csv', elsewhere / 'notes.txt', work_dir / 'mine_1.pth']
    for file in own + others:
        file.write_text('')
    remove_run(config(work_dir, out_dir=str(elsewhere.parent)))
    assert not log.parent.exists()
    assert not any(file.exists() for file in own)
    assert all(file.exists() for file in others)
