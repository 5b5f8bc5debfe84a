"""Generated images of tools/dataset_converters/make_sample_dataset.py, at their own size."""
import os

_base_ = './sartorius_native.py'
data_root = os.environ.get('SARTORIUS_SAMPLE') or 'data/sample/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
