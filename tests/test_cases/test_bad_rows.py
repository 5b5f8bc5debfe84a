"""The row that is named is the row that is wrong, in train.csv and in a submission."""
import gzip

import pytest

from mmsart.cli.check_submission import main as check_tool
from mmsart.datasets.train_csv import read_train_csv
from mmsart.formats.submission import read_submission
from mmsart.formats.submission_check import check_submission
from mmsart.utils import UserError
from tools.score_submission import main as score_tool

HEADER = 'id,annotation,width,height,cell_type,sample_id\n'
GOOD = ['1 3', '5 2', '20 4 30 1']
BAD = [
    ('1\xa03', r"'\xa0'"),  # a no-break space, as word processors and web pages put it
    ('1\u20093', r"'\u2009'"),  # a thin space
    ('"1 3\n5 2"', r"'\n'"),  # a line break inside a quoted field
    ('"1 3\r\n5 2"', r"'\r'"),
    ('"1 3', 'unexpected end of data'),  # a quote that is never closed
    ('1 "3', "'\"3'"),
    ('1 3\x005 2', 'found'),  # a NUL, at which a parser written in C would end the text
    ('1 3\ufeff', "'3\\ufeff'"),
    ('1_0 3', "'1_0'"),
    ('\u0661 3', "'\u0661'"),  # a digit, but not one of Kaggle's
    ('1 3 5', '3 run values'),
    ('1 3 2 2', 'run 2 2 begins before the end'),
    ('79 3', 'run 79 3 ends past the image'),
]


@pytest.mark.parametrize('place', [0, 1, 3])
@pytest.mark.parametrize(('text', 'words'), BAD)
def test_a_bad_code_in_the_table_names_its_own_row(tmp_path, text, words, place):
    codes = [*GOOD[:place], text, *GOOD[place:]]
    path = tmp_path / 'train.csv'
    path.write_bytes((HEADER + ''.join(f'a,{code},10,8,cort,s\n' for code in codes)).encode())
    with pytest.raises(UserError) as caught:
        read_train_csv(path)
    assert str(caught.value).startswith(f'{path}: row {place + 2}')
    assert words in str(caught.value)


@pytest.mark.parametrize('place', [0, 1, 3])
@pytest.mark.parametrize(('text', 'words'), BAD)
def test_a_bad_code_in_a_submission_names_its_own_line(tmp_path, capsys, text, words, place):
    codes = [*GOOD[:place], text, *GOOD[place:]]
    path = tmp_path / 's.csv'
    path.write_bytes(('id,predicted\n' + ''.join(f'a,{code}\n' for code in codes)).encode())
    assert check_tool([str(path), '--size', '8', '10']) == 2
    error = capsys.readouterr().err
    assert f'line {place + 2}' in error
    assert words in error or 'line contains NUL' in error  # as Python 3.10's csv says it
    assert error.count('\n') == 1


def test_rows_behind_a_line_break_keep_their_line(tmp_path):
    """The number is the editor's, also below a field that goes over two lines."""
    path = tmp_path / 'train.csv'
    path.write_text('note,' + HEADER + '"two\nlines",a,1 3,10,8,cort,s\nx,a,5 x,10,8,cort,s\n')
    with pytest.raises(UserError, match=r"row 4, column annotation: found 'x'"):
        read_train_csv(path)
    path = tmp_path / 's.csv'
    path.write_text('id,predicted\n"a\nb",1 3\nc,5 x\n')
    problems = check_submission(read_submission(path), (8, 10))
    assert [problem.line for problem in problems] == [4]


def test_every_bad_row_is_named(tmp_path):
    path = tmp_path / 'train.csv'
    path.write_text(HEADER + ''.join(
        f'a,{code},10,8,cort,s\n' for code in ['1 3', '1 x', '9 1', '80 2', '5 5 5']))
    with pytest.raises(UserError) as caught:
        read_train_csv(path)
    assert [line.split(':')[1] for line in caught.value.problems] == [
        ' row 3, column annotation', ' row 5, column annotation', ' row 6, column annotation']


@pytest.mark.parametrize(('content', 'row'), [
    (HEADER.encode() + b'a,1 3,10,8,cort,s\nb\xe9,1 3,10,8,cort,s\n', 3),  # Latin-1
    (HEADER.encode('utf-16'), 1),
    (HEADER.encode() + b'a,1 3,10,8,cort,s\na,5 3,10,8\n', 3),  # cut at the end
    (b'id,id,' + HEADER.encode() + b'a,b,a,1 3,10,8,cort,s\n', 1),  # which id would count?
])
def test_a_table_that_is_none_names_the_row(tmp_path, content, row):
    path = tmp_path / 'train.csv'
    path.write_bytes(content)
    with pytest.raises(UserError, match=f'row {row}: '):
        read_train_csv(path)


@pytest.mark.parametrize('change', [
    lambda text: b'\xef\xbb\xbf' + text, lambda text: text.replace(b'\n', b'\r\n'), gzip.compress,
    lambda text: text.replace(b'1 3', b'"1 3"'), lambda text: text + b'\n\n  \n',
    lambda text: text.replace(b'id,annotation,', b'id, annotation ,'),
    lambda text: text.rstrip(b'\n'), lambda text: text.replace(b'1 3', b' 1  3\t')])
def test_other_spellings_of_a_table_are_read(tmp_path, change):
    """A byte-order mark, CRLF, gzip, quotes, blank lines: what Excel and scripts write."""
    path = tmp_path / 'train.csv'
    path.write_bytes(change((HEADER + 'a,1 3,10,8,cort,s\na,9 3,10,8,cort,s\n').encode()))
    table = read_train_csv(path)
    assert table.bboxes.tolist() == [[0, 0, 3, 1], [0, 0, 10, 2]]
    assert table.areas.tolist() == [3, 3]


def test_a_compressed_submission_is_read_and_what_is_no_text_is_named(tmp_path):
    path = tmp_path / 's.csv'
    text = 'id,predicted\na,1 3\n'
    path.write_bytes(gzip.compress(text.encode()))
    assert read_submission(path).predicted == ['1 3']
    for content, line in ((text.encode('utf-16'), 1), (text.encode() + b'\xe9,1 3\n', 3)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf's\.csv: line {line}: .*expected UTF-8 text'):
            read_submission(path)


def test_gzip_that_is_cut_is_refused(tmp_path):
    path = tmp_path / 'train.csv.gz'
    path.write_bytes(gzip.compress((HEADER + 'a,1 3,10,8,cort,s\n' * 50).encode())[:-9])
    with pytest.raises(UserError, match='not a gzip file'):
        read_train_csv(path)


@pytest.mark.parametrize('end', ['\n', '\n\n\n', '\r\n', '  \n'])
def test_blank_lines_of_a_submission_are_passed_over(tmp_path, capsys, end):
    """pandas and Kaggle skip them too."""
    path = tmp_path / 's.csv'
    path.write_text('id,predicted\na,1 2\n' + end + 'a,5 1\nb,1 3\n' + end)
    assert check_tool([str(path), '--size', '10', '10']) == 0
    assert '3 instances in 2 images' in capsys.readouterr().out


def test_the_score_names_the_submissions_line(tmp_path, capsys):
    (tmp_path / 'train.csv').write_text(HEADER + 'a,1 3,10,8,cort,s\n')
    (tmp_path / 's.csv').write_text('id,predicted\na,1 2\na,4\xa03\n')
    assert score_tool(['--truth', str(tmp_path / 'train.csv'),
                       '--submission', str(tmp_path / 's.csv')]) == 2
    assert 'line 3' in capsys.readouterr().err
