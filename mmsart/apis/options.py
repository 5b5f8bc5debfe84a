"""Options ``KEY=VALUE`` that override a config: reading them, and where they reach."""
import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mmengine.config import Config
from mmengine.config import config as mmengine_config

from mmsart.datasets.splits import split_settings
from mmsart.utils import UserError, did_you_mean

NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)')
WORDS = {'true': True, 'false': False, 'none': None}
BRACKETS = {'(': ')', '[': ']', '{': '}'}


def split_option(option: str) -> tuple[str, str]:
    """Split ``KEY=VALUE``.

    Raises:
        UserError: there is no ``=``, or an empty name in the key.
    """
    key, equals, text = option.partition('=')
    key = key.strip()
    if not equals or not all(key.split('.')):
        raise UserError(f'--cfg-options: found {option!r}, expected KEY=VALUE')
    return key, text


def parse_value(text: str, current: Any = None) -> Any:
    """Read a value as somebody types it.

    Numbers, true, false, none, quoted text, and lists, tuples and dicts in brackets are read as
    such; elements of lists need no quotes. Any other text stays as it is, blanks and commas
    included, unless the key holds a list or tuple now, or all that the commas part are numbers.
    Where the key holds text now, a number stays text too.

    Args:
        text: what was typed.
        current: what the config has under the key.

    Returns:
        The value.

    Raises:
        ValueError: brackets or quotes do not match.
    """
    text = text.strip()
    if text[:1] in BRACKETS and (text.endswith(BRACKETS[text[0]]) or not isinstance(current, str)):
        return _parse_brackets(text)
    if len(text) > 1 and text[0] in '\'"' and text[-1] == text[0]:
        return text[1:-1]
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if isinstance(current, str):
        return text
    parts = [part.strip() for part in text.split(',')]
    if len(parts) > 1:
        if isinstance(current, list | tuple):
            return type(current)(parse_value(part) for part in _split_commas(text))
        if all(NUMBER.fullmatch(part) for part in parts):
            return [_parse_number(part) for part in parts]
    return _parse_number(text) if NUMBER.fullmatch(text) else text


def _parse_number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _parse_brackets(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        pass  # words without quotes are allowed
    if not text.endswith(BRACKETS[text[0]]) or text[0] == '{':
        raise ValueError('brackets do not match, or a dict without quotes around its words')
    values = [parse_value(part) for part in _split_commas(text[1:-1])]
    return tuple(values) if text[0] == '(' else values


def _split_commas(text: str) -> list[str]:
    """Cut a text at the commas outside of brackets and quotes; the last part may be empty."""
    parts, depth, quote, begin = [], 0, '', 0
    for at, char in enumerate(text):
        if quote:
            quote = '' if char == quote else quote
        elif char in '\'"' and not text[begin:at].strip():
            quote = char
        elif char in BRACKETS:
            depth += 1
        elif char in BRACKETS.values():
            depth -= 1
        elif char == ',' and not depth:
            parts.append(text[begin:at])
            begin = at + 1
        if depth < 0:
            break
    if depth or quote:
        raise ValueError('brackets or quotes do not match')
    last = text[begin:]
    return parts if not last.strip() else [*parts, last]


def get_value(node: Any, key: str) -> Any:
    """Return what a config has under a dotted key, in which numbers index lists.

    Raises:
        KeyError: it has no such key.
    """
    for name in key.split('.'):
        if isinstance(node, list | tuple) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, Mapping | Config) and name in node:
            node = node[name]
        else:
            raise KeyError(key)
    return node


def has_key(node: Any, key: str) -> bool:
    """Return whether a config has a dotted key."""
    try:
        get_value(node, key)
    except KeyError:
        return False
    return True


def guess_key(node: Any, key: str) -> str:
    """Guess, in the words of `did_you_mean`, what a dotted key is for that a config lacks.

    Args:
        node: the config.
        key: of which the first name that is nowhere is compared with those beside it.
    """
    for name in key.split('.'):
        if not has_key(node, name):
            return did_you_mean(name, node) if isinstance(node, Mapping | Config) else ''
        node = get_value(node, name)
    return ''


def replaced(node: Any, names: Sequence[str], value: Any) -> Any:
    """Return a copy of a part of a config with one value replaced.

    Only what lies on the way is copied, so that nothing else that shares it changes. When the type
    of a ``split`` changes, its settings for the other type go.

    Args:
        node: a dict, list or tuple.
        names: keys and positions on the way to the value; dicts that are missing are made.
        value: the new value.

    Raises:
        TypeError: something on the way is neither dict nor list.
        IndexError: a list has no such position.
    """
    if not names:
        return value
    name, rest = names[0], names[1:]
    if isinstance(node, list | tuple):
        if not name.isdigit() or int(name) >= len(node):
            raise IndexError(f'{name}: expected a position from 0 to {len(node) - 1}')
        items = list(node)
        items[int(name)] = replaced(items[int(name)], rest, value)
        return type(node)(items)
    if not isinstance(node, Mapping):
        raise TypeError(f'{name}: its parent is {node!r}')
    changed: Any = copy.copy(node)
    changed[name] = replaced(node.get(name, {}), rest, value)
    if name == 'split' and list(rest) == ['type']:
        changed[name] = {key: item for key, item in changed[name].items()
                         if key in ('type', *split_settings(value))}
    return changed


_OVERRIDES: ContextVar[Mapping[str, Any]] = ContextVar('overrides')


def overridden(variable: str, value: Any) -> Any:
    """Apply the overrides at hand to a variable of a config file, as far as they fit it.

    A file may set but a few keys of a variable that its bases complete, so what does not fit here
    is left to another file.

    Args:
        variable: its name.
        value: what the file assigns.

    Returns:
        The value that the file goes on with.
    """
    holder = {variable: value}
    for key, new in _OVERRIDES.get().items():
        first, *names = key.split('.')
        parent = key.rpartition('.')[0]
        if first == variable and (not names or has_key(holder, parent)):
            try:
                holder = replaced(holder, [first, *names], new)
            except (TypeError, IndexError):
                continue
    return holder[variable]


class _Overriding(mmengine_config.RemoveAssignFromAST):  # type: ignore[name-defined]
    """Let every assignment of a variable that an option names pass through :func:`overridden`."""

    def visit_Module(self, module: ast.Module) -> ast.Module:
        """Rewrite the statements of a config file."""
        names = {key.split('.')[0] for key in _OVERRIDES.get()}
        body: list[ast.stmt] = []
        for statement in self.generic_visit(module).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            body.append(statement)
            for target in targets:
                if isinstance(target, ast.Name) and target.id in names:
                    body += ast.parse(
                        f'{target.id} = __import__({__name__!r}, fromlist=["_"])'
                        f'.overridden({target.id!r}, {target.id})').body
        module.body = body
        return ast.fix_missing_locations(module)


@contextmanager
def files_overridden(overrides: Mapping[str, Any]) -> Iterator[None]:
    """Let config files read in this block see overrides as if they were written in them.

    A config pastes its variables into each other (``dataset=dict(split=split)``), so that
    changing one of them afterwards would leave the copies as they are. mmengine has no place to
    step in between, but for the class with which it rewrites a file's code before it runs it.

    Args:
        overrides: values by dotted key.
    """
    token = _OVERRIDES.set(overrides)
    own = mmengine_config.RemoveAssignFromAST
    mmengine_config.RemoveAssignFromAST = _Overriding
    try:
        yield
    finally:
        mmengine_config.RemoveAssignFromAST = own
        _OVERRIDES.reset(token)
