"""default_runtime.py for training on a CPU: in bfloat16 where it has the instructions."""
_base_ = './default_runtime.py'
custom_hooks = [
    dict(type='FiniteLossHook'), dict(type='RunScalarsHook'), dict(type='ValLossHook'),
    dict(type='CurvesHook'), dict(type='SyncBuffersHook'), dict(type='CpuTrainingHook')]
