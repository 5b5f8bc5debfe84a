"""Generated images of tools/dataset_converters/make_sample_dataset.py, at their own size."""
_base_ = './sartorius_native.py'
data_root = '{{$SARTORIUS_SAMPLE:data/sample/}}'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
