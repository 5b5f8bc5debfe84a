"""Configs as text that is read and not run."""
from __future__ import annotations

import ast
import math
from typing import Any

from mmengine.config import Config

from mmsart.utils import UserError

NAMES = {'inf': math.inf, 'nan': math.nan}


def read_literal_config(text: str, name: str) -> Config:
    """Read a config that mmengine has written out.

    Checkpoints carry the config of their run as Python text. mmengine would run it; a checkpoint
    from somebody else could do anything that way. What mmengine writes is assignments of literals
    and of ``dict(...)``, and nothing else is accepted.

    Args:
        text: as of ``Config.pretty_text``.
        name: where it comes from, for messages.

    Returns:
        The config.

    Raises:
        UserError: the text is something else.

    Example:
        >>> read_literal_config('model = dict(type="MaskRCNN")', 'a.py').model.type
        'MaskRCNN'
    """
    try:
        statements = ast.parse(text).body
        values = {}
        for statement in statements:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 \
                    or not isinstance(statement.targets[0], ast.Name):
                raise ValueError(f'line {statement.lineno} is not an assignment')
            values[statement.targets[0].id] = _value(statement.value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f'{name}: expected a config as mmengine writes it, found: {error}; '
                        'it was not run') from error
    return Config(values, cfg_text=text, filename=name)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        return {_value(key) if key is not None else _refuse(node): _value(value)
                for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Call):
        return _dict(node)
    if isinstance(node, ast.Name) and node.id in NAMES:
        return NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) \
            and isinstance(node.operand, ast.Name):
        return -_value(node.operand)
    return ast.literal_eval(node)  # constants, negative numbers, sets


def _dict(node: ast.Call) -> dict:
    """Evaluate ``dict(a=1)`` or ``dict({'a.b': 1})``, which stands for keys that are no names."""
    if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or len(node.args) > 1:
        _refuse(node)
    values = {}
    for argument in node.args:
        values.update(_value(argument) if isinstance(argument, ast.Dict) else _refuse(argument))
    for keyword in node.keywords:
        values[keyword.arg or _refuse(node)] = _value(keyword.value)
    return values


def _refuse(node: ast.expr) -> Any:
    raise ValueError(f'line {node.lineno} is not a literal')
