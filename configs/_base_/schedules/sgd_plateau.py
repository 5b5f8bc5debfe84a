"""Twenty epochs by SGD, the rate a tenth when the validation loss stays: the first experiment too.

The rate falls after the fourth epoch in a row (patience 3) without a validation loss lower by a
ten-thousandth than the best one. The report gives no patience; with PyTorch's default of 10 the
rate could not fall before epoch 12, and the report's runs stopped to improve at about epoch 10.
"""
_base_ = './sgd_steplr.py'

train_cfg = dict(max_epochs=20)
param_scheduler = [dict(
    type='ReduceOnPlateauLR', monitor='val_loss/loss', rule='less', factor=0.1, patience=3)]
