"""Reading of the annotation table, and everything that can be wrong with it."""
import numpy as np
import pytest

from mmsart.datasets.train_csv import read_train_csv
from mmsart.structures.mask.rle import kaggle_to_bitmap
from mmsart.utils import MissingFileError, UserError


def test_images_are_sorted_and_keep_their_instances(write_table):
    root = write_table([
        dict(id='b', annotation='1 2', cell_type='astro', sample_id='s2'),
        dict(id='a', annotation='12 3 22 3'),
        dict(id='b', annotation='11 4', cell_type='astro', sample_id='s2'),
        dict(id='a', annotation='80 1')])
    table = read_train_csv(root / 'train.csv')
    assert table.image_ids.tolist() == ['a', 'b']
    assert table.cell_types.tolist() == ['cort', 'astro']
    assert table.sample_ids.tolist() == ['s', 's2']
    assert table.sizes.tolist() == [[8, 10], [8, 10]]
    assert table.rows.tolist() == [3, 2]
    assert table.splits.tolist() == [0, 2, 4]
    assert table.annotations[table.instances(0)].tolist() == ['12 3 22 3', '80 1']
    assert table.annotations[table.instances(1)].tolist() == ['1 2', '11 4']
    assert table.sizes_by_id() == {'a': (8, 10), 'b': (8, 10)}
    for image in (0, 1):
        texts = table.annotations[table.instances(image)]
        np.testing.assert_array_equal(
            table.masks(image).to_ndarray(), [kaggle_to_bitmap(text, (8, 10)) for text in texts])
    for text, box, area in zip(table.annotations, table.bboxes, table.areas, strict=True):
        mask = kaggle_to_bitmap(text, (8, 10))
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert area == mask.sum()


def test_a_blank_sample_is_a_group_of_its_own(write_table):
    root = write_table([dict(id='a', sample_id=''), dict(id='b', sample_id=' ')])
    assert read_train_csv(root / 'train.csv').sample_ids.tolist() == ['a', 'b']


@pytest.mark.parametrize('column', ['plate_time', 'sample_date', 'elapsed_timedelta'])
def test_metadata_columns_may_be_missing(write_table, column):
    assert len(read_train_csv(write_table([{}], **{column: None}) / 'train.csv')) == 1


def test_a_blank_annotation_is_an_image_without_cells(write_table):
    table = read_train_csv(
        write_table([dict(id='a', annotation=''), dict(id='b')]) / 'train.csv')
    assert table.image_ids.tolist() == ['a', 'b']
    assert table.splits.tolist() == [0, 0, 1]


@pytest.mark.parametrize('again', ['1 3', '1 3 ', ' 1  3', '1 1 2 2', '01 3'])
def test_a_mask_that_comes_again_is_left_out_however_it_is_spelled(write_table, again):
    root = write_table([{}, dict(annotation='5 2'), dict(annotation=again)])
    with pytest.warns(UserWarning, match='1 duplicate rows left out, the first is row 4'):
        table = read_train_csv(root / 'train.csv')
    assert table.annotations.tolist() == ['1 3', '5 2']


def test_the_same_mask_in_another_image_is_another_cell(write_table):
    table = read_train_csv(write_table([{}, dict(id='b')]) / 'train.csv')
    assert table.annotations.tolist() == ['1 3', '1 3']


def test_a_changed_file_is_read_anew(write_table):
    assert len(read_train_csv(write_table([{}]) / 'train.csv')) == 1
    assert len(read_train_csv(write_table([{}, dict(id='b')]) / 'train.csv')) == 2


@pytest.mark.parametrize(('rows', 'row', 'column', 'problem'), [
    ([{}, dict(annotation='1 2 3')], 3, 'annotation', '3 run values, expected an even number'),
    ([dict(annotation='1 0')], 2, 'annotation', 'run length 0, expected at least 1'),
    ([dict(annotation='1 -4')], 2, 'annotation', 'run length -4, expected at least 1'),
    ([dict(annotation='0 4')], 2, 'annotation', 'run start 0, expected at least 1'),
    ([dict(annotation='80 2')], 2, 'annotation', 'run 80 2 ends past the image of 80 pixels'),
    ([dict(annotation='1 4 3 1')], 2, 'annotation', 'run 3 1 begins before the end'),
    ([dict(annotation='9 1 3 1')], 2, 'annotation', 'run 3 1 begins before the end'),
    ([dict(annotation='one 1')], 2, 'annotation', "found 'one', expected whole numbers"),
    ([{}, dict(id='b', cell_type='glia')], 3, 'cell_type', "found 'glia', expected one of shsy5y"),
    ([{}, dict(annotation='9 1', cell_type='astro')], 3, 'cell_type',
     "image a has 'astro' here and 'cort' in row 2"),
    ([{}, dict(annotation='9 1', width='11')], 3, 'width', "image a has '11' here and '10'"),
    ([{}, dict(annotation='9 1', height='9')], 3, 'height', "image a has '9' here and '8'"),
    ([{}, dict(annotation='9 1', sample_id='t')], 3, 'sample_id', "image a has 't' here and 's'"),
    ([{}, dict(cell_type='astro')], 3, 'cell_type', "image a has 'astro' here"),  # else equal
    ([dict(width='0')], 2, 'width', "found '0', expected a whole number of pixels"),
    ([dict(height='7.5')], 2, 'height', "found '7.5', expected a whole number of pixels"),
    ([dict(id='')], 2, 'id', 'blank, expected an image id'),
    ([{}, dict(id='a ')], 3, 'id', "found 'a ', expected no blanks at the ends"),
    ([dict(sample_id='\xa0s')], 2, 'sample_id', "found '\\xa0s', expected no blanks"),
    ([dict(id='../a')], 2, 'id', "found '../a', expected a file name"),
])
def test_a_bad_row_is_named(write_table, rows, row, column, problem):
    root = write_table(rows, images=False)
    with pytest.raises(UserError) as caught:
        read_train_csv(root / 'train.csv')
    message = str(caught.value)
    assert message.startswith(f'{root / "train.csv"}: row {row}, column {column}: ')
    assert problem in message
    assert '\n' not in message


@pytest.mark.parametrize(
    'column', ['id', 'annotation', 'width', 'height', 'cell_type', 'sample_id'])
def test_a_missing_column_is_named(write_table, column):
    root = write_table([{}], images=False, **{column: None})
    with pytest.raises(UserError, match=f'row 1: column {column} is missing'):
        read_train_csv(root / 'train.csv')


HEADER = b'id,annotation,width,height,cell_type,sample_id\n'


@pytest.mark.parametrize(('content', 'problem'), [
    (b'', 'the file is empty'),
    (b'id,annotation,width,height,cell_type,sample_id\n', 'no rows below the header'),
    (b'\xff\xfe\x00', 'not a CSV file'),
    (HEADER + b'a,1 2,10,8,cort,s,more\n', 'row 2: found 7 fields, expected 6 as in the header'),
    (HEADER + b'a,1 2,10,8,cort,s\n\na,5 x,10,8,cort,s\n', "row 4, column annotation: found 'x'"),
    (HEADER + b'a,1 2,10,8\n', 'row 2: found 4 fields, expected 6 as in the header'),
])
def test_other_files_are_refused(tmp_path, content, problem):
    (tmp_path / 'train.csv').write_bytes(content)
    with pytest.raises(UserError, match=problem):
        read_train_csv(tmp_path / 'train.csv')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'train\.csv: no such file'):
        read_train_csv(tmp_path / 'train.csv')
