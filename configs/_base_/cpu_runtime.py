"""default_runtime.py for training on a CPU: in bfloat16 where it has the instructions."""
_base_ = './default_runtime.py'
custom_hooks = [*_base_.custom_hooks, dict(type='CpuTrainingHook')]
