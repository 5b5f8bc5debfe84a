"""Hostile and damaged files: refused in one line, and nothing in them is run."""
import builtins
import importlib.util
import os
import pickle
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmsart.utils import MissingFileError, UserError
from mmsart.weights import read_checkpoint
from mmsart.weights.safe_load import _why_refused

TOOL = Path(__file__).parents[2] / 'tools/model_converters/import_checkpoint.py'


class Reduces:
    """Pickles as a call of any function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class SetsState:
    """Pickles as an array whose state is set by a hostile object."""

    def __init__(self, payload):
        self.payload = payload

    def __reduce__(self):
        return np.ndarray, ((0,),), self.payload


def touch(canary):
    return Reduces(os.system, f'touch {canary}')


PAYLOADS = {
    'system': touch,
    'eval': lambda canary: Reduces(builtins.eval, f"open('{canary}', 'w').close()"),
    'exec': lambda canary: Reduces(builtins.exec, f"open('{canary}', 'w').close()"),
    'open': lambda canary: Reduces(builtins.open, str(canary), 'w'),
    'getattr': lambda canary: Reduces(getattr, Path(canary), 'touch'),
    'nested': lambda canary: OrderedDict(weights=[np.zeros(2), {'deep': touch(canary)}]),
    'state': lambda canary: SetsState(touch(canary)),
    # NumPy would take the eight bytes for the address of an object, and follow it.
    'address': lambda canary: OrderedDict(
        weight=Reduces(np.ndarray, (1,), np.dtype('O'), b'A' * 8)),
    'objects': lambda canary: np.array([1, 'two'], object),
    'record': lambda canary: np.zeros(2, [('a', 'f4'), ('b', 'O')])}


def write_array_pickle(path, content):
    with path.open('wb') as file:
        pickle.dump({'model': content}, file)


def write_torch(path, content):
    torch.save({'state_dict': {'weight': torch.zeros(1)}, 'meta': content}, path)


def write_old_torch(path, content):
    torch.save({'meta': content}, path, _use_new_zipfile_serialization=False)


WRITERS = {'pickle.pkl': write_array_pickle, 'pickle.pth': write_array_pickle,
           'zip.pth': write_torch, 'zip.pkl': write_torch, 'old.pth': write_old_torch}


@pytest.fixture
def canary(tmp_path):
    return tmp_path / 'canary'


def load_tool():
    spec = importlib.util.spec_from_file_location('import_checkpoint_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('payload', PAYLOADS)
@pytest.mark.parametrize('name', WRITERS)
def test_hostile_file_is_refused_and_runs_nothing(name, payload, tmp_path, canary):
    path = tmp_path / name
    WRITERS[name](path, PAYLOADS[payload](canary))
    with pytest.raises(UserError) as refusal:
        read_checkpoint(path)
    assert str(refusal.value).startswith(f'{path}: expected')
    assert '\n' not in str(refusal.value)
    with pytest.raises(UserError):
        CheckpointLoader.load_checkpoint(str(path), 'cpu')  # what load_from, resume and test use
    assert not canary.exists()


def test_the_canary_works(tmp_path, canary):
    write_array_pickle(tmp_path / 'pickle.pkl', touch(canary))
    with (tmp_path / 'pickle.pkl').open('rb') as file:
        pickle.load(file)
    assert canary.exists()


@pytest.mark.parametrize('name', ['pickle.pkl', 'zip.pth'])
def test_tool_refuses_in_one_line_with_exit_code_2(name, tmp_path, canary, capsys):
    path, out = tmp_path / name, tmp_path / 'out' / 'out.pth'
    WRITERS[name](path, touch(canary))
    assert load_tool().main([str(path), str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f'error: {path}: expected nothing but weights, found a call of {os.system.__module__}'
        '.system; it was not run']
    assert not captured.out
    assert not canary.exists()
    assert not out.exists()


def test_names_that_only_end_like_an_allowed_one_are_refused(tmp_path):
    """Pickle protocol 4 splits a dotted name and walks along it; the list must not."""
    code = b'\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.'
    assert pickle.loads(code) is type
    (tmp_path / 'dotted.pkl').write_bytes(code)
    with pytest.raises(UserError, match=r'found a call of numpy\.ndarray\.__class__'):
        read_checkpoint(tmp_path / 'dotted.pkl')


@pytest.mark.parametrize('name', ['cut.pth', 'cut.pkl', 'text.pth', 'text.pkl', 'empty.pth'])
def test_damaged_file_is_named(name, tmp_path):
    whole = tmp_path / 'whole'
    (write_torch if name.endswith('pth') else write_array_pickle)(whole, {'a': np.zeros(100)})
    contents = {'cut': whole.read_bytes()[:150], 'text': b'no weights at all', 'empty': b''}
    path = tmp_path / name
    path.write_bytes(contents[path.stem])
    with pytest.raises(UserError) as refusal:
        read_checkpoint(path)
    assert str(refusal.value).startswith(f'{path}: expected a checkpoint')
    assert '\n' not in str(refusal.value)
    assert 'weights_only' not in str(refusal.value)


@pytest.mark.parametrize('error', [
    EOFError(), RuntimeError('word ' * 100), RuntimeError('WeightsUnpickler error: \nmore')])
def test_the_reason_is_never_empty_or_cut(error):
    assert _why_refused(error).endswith(f'({type(error).__name__})')


def test_missing_file_and_bare_tensor_are_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'absent\.pth'):
        read_checkpoint(tmp_path / 'absent.pth')
    torch.save(torch.zeros(2), tmp_path / 'tensor.pth')
    with pytest.raises(UserError, match='expected a dictionary of weights, found Tensor'):
        read_checkpoint(tmp_path / 'tensor.pth')


@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_arrays_come_back(protocol, tmp_path):
    content = {'model': OrderedDict(weight=np.arange(6, dtype='<f4').reshape(2, 3)),
               '__author__': 'zoo', 'matching_heuristics': True, 'scalar': np.float64(2.5)}
    with (tmp_path / 'zoo.pkl').open('wb') as file:
        pickle.dump(content, file, protocol=protocol)
    read = read_checkpoint(tmp_path / 'zoo.pkl')
    np.testing.assert_array_equal(read['model']['weight'], content['model']['weight'])
    assert (read['__author__'], read['scalar']) == ('zoo', 2.5)


@pytest.mark.parametrize('array', [
    np.arange(24.).reshape(2, 3, 4), np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3)),
    np.arange(24.).reshape(2, 3, 4).transpose(2, 0, 1), np.arange(9)[::2], np.zeros((0, 3)),
    np.array(7.), np.frombuffer(b'only read', np.uint8)],
    ids=['C', 'Fortran', 'transposed', 'strided', 'empty', 'number', 'read-only'])
def test_arrays_of_any_layout_come_back(array, tmp_path):
    """Protocol 5, the default of Python 3.14, writes them otherwise than those before."""
    (tmp_path / 'zoo.pkl').write_bytes(pickle.dumps({'model': {'a': array}}, protocol=5))
    read = read_checkpoint(tmp_path / 'zoo.pkl')['model']['a']
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_arrays_pickled_by_python_2_come_back(tmp_path):
    """The dialect of Detectron2's older files: protocol 2, array bytes as a latin-1 string."""
    values = np.array([1., -2.], '<f4')
    code = (b'\x80\x02}U\x06weightcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n'
            b'K\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R'
            b'(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08'
            + values.tobytes() + b'tbs.')
    (tmp_path / 'old.pkl').write_bytes(code)
    np.testing.assert_array_equal(read_checkpoint(tmp_path / 'old.pkl')['weight'], values)


def test_what_runs_save_beside_weights_comes_back(tmp_path):
    history = HistoryBuffer()
    history.update(1.)
    history.update(3.)
    state = {'message_hub': {'log_scalars': {'loss': history}}, 'python': random.getstate(),
             'numpy': np.random.get_state(), 'step': np.int64(3), 'slice': slice(1, 2)}
    torch.save({'state_dict': OrderedDict(a=torch.ones(2)), **state}, tmp_path / 'epoch_1.pth')
    read = read_checkpoint(tmp_path / 'epoch_1.pth')
    assert read['message_hub']['log_scalars']['loss'].mean() == 2.
    assert read['python'] == state['python']
    np.testing.assert_array_equal(read['numpy'][1], state['numpy'][1])
    torch.save(read, tmp_path / 'epoch_2.pth')  # as the next checkpoint of a run that goes on
    again = read_checkpoint(tmp_path / 'epoch_2.pth')
    np.testing.assert_array_equal(again['numpy'][1], state['numpy'][1])
    assert type(read['step']) is np.int64


@pytest.mark.parametrize('dtype', ['?', 'i1', 'u1', '<i2', '>u2', '<i4', '<u8', '<f2', '>f4', 'f8'])
@pytest.mark.parametrize('suffix', ['pkl', 'pth'])
def test_every_number_comes_back(dtype, suffix, tmp_path):
    array = np.arange(6).astype(dtype).reshape(2, 3)
    content = {'rows': array, 'columns': np.asfortranarray(array), 'one': array[1, 1],
               'empty': array[:0], 'bare': np.array(3, dtype)}
    path = tmp_path / f'file.{suffix}'
    if suffix == 'pth':
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    read = read_checkpoint(path)
    for name, value in content.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype.newbyteorder('=') == value.dtype.newbyteorder('=')
        assert read[name].shape == value.shape


def test_config_text_of_a_checkpoint_does_not_reach_mmengine(tmp_path):
    """mmengine runs ``meta['config']`` as Python when it resumes."""
    torch.save({'state_dict': {'a': torch.ones(1)}, 'meta': {'config': 'import os', 'epoch': 3}},
               tmp_path / 'epoch_3.pth')
    checkpoint = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_3.pth'), 'cpu')
    assert checkpoint['meta'] == {'epoch': 3}
