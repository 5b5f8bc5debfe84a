"""Generated data in Kaggle's layout, for tests that only need some."""
from tests.run_tool import run_tool


def write_sample(root, images, side=96, seed=1):
    """Write images of side x side pixels with the tool that users have; return their folder."""
    code, out, _ = run_tool(
        'dataset_converters/make_sample_dataset', str(root), '--images', str(images),
        '--size', str(side), str(side), '--seed', str(seed))
    assert code == 0, out
    return root
