"""Splits: grouped, stratified, the same everywhere."""
import hashlib

import numpy as np
import pytest

from mmsart.datasets.splits import holdout, kfold
from mmsart.utils import UserError


def make(fields=60, seed=0):
    """Draw fields of 1 to 4 images of one type; types in shares of about 50, 30 and 20 %."""
    rng = np.random.default_rng(seed)
    ids, types, groups = [], [], []
    for field in range(fields):
        kind = ('cort', 'astro', 'shsy5y')[min(int(rng.random() * 10) // 5 + (
            rng.random() < 0.4), 2)]
        for image in range(rng.integers(1, 5)):
            ids.append(f'{field:03d}{image}')
            types.append(kind)
            groups.append(f'field{field}')
    return ids, types, groups


@pytest.mark.parametrize('fraction', [0.1, 0.2, 0.3])
def test_holdout_keeps_its_share_of_each_type_and_no_field_on_both_sides(fraction):
    ids, types, groups = make(200)
    train, val = holdout(ids, types, groups, fraction, seed=1)
    assert sorted([*train, *val]) == list(range(len(ids)))
    groups, types = np.array(groups), np.array(types)
    assert not set(groups[train]) & set(groups[val])
    assert len(val) / len(ids) == pytest.approx(fraction, abs=0.03)
    for kind in set(types):
        share = (types[val] == kind).sum() / (types == kind).sum()
        assert share == pytest.approx(fraction, abs=0.02)


def test_folds_part_the_images():
    ids, types, groups = make()
    vals = [kfold(ids, types, groups, 5, fold, seed=3) for fold in range(5)]
    assert sorted(np.concatenate([val for _, val in vals])) == list(range(len(ids)))
    for train, val in vals:
        assert sorted([*train, *val]) == list(range(len(ids)))
        assert not {groups[i] for i in train} & {groups[i] for i in val}


def test_the_order_of_the_images_does_not_matter():
    ids, types, groups = make()
    _, val = holdout(ids, types, groups)
    order = np.random.default_rng(0).permutation(len(ids))
    _, shuffled = holdout(*([values[i] for i in order] for values in (ids, types, groups)))
    assert {ids[i] for i in val} == {ids[order[i]] for i in shuffled}


def test_the_split_is_the_same_on_every_machine():
    ids, types, groups = make()
    _, val = holdout(ids, types, groups, 0.2, seed=0)
    digest = hashlib.sha256(','.join(ids[i] for i in val).encode()).hexdigest()[:16]
    assert digest == '898c2f164fd2eda8'
    assert len(val) != len(ids)


def test_the_seed_matters():
    ids, types, groups = make()
    assert holdout(ids, types, groups, seed=0)[1].tolist() != holdout(
        ids, types, groups, seed=1)[1].tolist()


def test_types_that_are_all_rarer_than_the_folds_are_allowed():
    """Six images of three fields, two of each type: there is no way to stratify."""
    types = [each for each in ('astro', 'cort', 'shsy5y') for _ in range(2)]
    train, val = holdout([str(number) for number in range(6)], types, types, 0.333)
    assert len(val) == 2
    assert types[val[0]] == types[val[1]]
    assert sorted([*train, *val]) == list(range(6))


def test_a_type_rarer_than_the_folds_is_allowed():
    ids, types, groups = make(20)
    _, val = holdout([*ids, 'x'], [*types[:-1], types[-1], 'rare'], [*groups, 'own'])
    assert 0 < len(val) < len(ids)


@pytest.mark.parametrize(('arguments', 'problem'), [
    (dict(val_fraction=0.0), 'val_fraction: found 0.0'),
    (dict(val_fraction=1.0), 'val_fraction: found 1.0'),
])
def test_bad_holdout(arguments, problem):
    with pytest.raises(UserError, match=problem):
        holdout(*make(), **arguments)


@pytest.mark.parametrize(('images', 'fields', 'fraction', 'cure'), [
    (3, 3, 0.2, r"expected val_fraction=0\.333 of these, or subset='all' and other images for"),
    (4, 2, 0.2, r'expected val_fraction=0\.500 of these'),
    (4, 4, 0.2, r'expected val_fraction=0\.250'),
    (7, 7, 0.3, r'expected val_fraction=0\.286'),  # 0.29 is 5 of 17
    (10, 1, 0.2, "expected subset='all' and other images for the validation")])
def test_too_few_fields_for_a_share_are_told_which_would_do(images, fields, fraction, cure):
    ids = [str(number) for number in range(images)]
    groups = [str(number % fields) for number in range(images)]
    with pytest.raises(UserError, match=(
            rf'val_fraction: found {fraction}, . of 1?. parts, and {images} images of {fields} '
            rf'fields of view, .*{cure}')) as caught:
        holdout(ids, ['cort'] * images, groups, fraction)
    if fields > 1:
        share = float(str(caught.value).split('val_fraction=')[1].split()[0])
        expected = max(1, round(fraction * fields)) * images // fields
        assert len(holdout(ids, ['cort'] * images, groups, share)[1]) == expected


@pytest.mark.parametrize(('n', 'fold', 'problem'), [
    (1, 0, 'found 1 folds'), (5, 5, 'fold: found 5'), (5, -1, 'fold: found -1'),
    (100, 0, 'expected at least 100 fields'),
])
def test_bad_folds(n, fold, problem):
    with pytest.raises(UserError, match=problem):
        kfold(*make(), n=n, fold=fold)
