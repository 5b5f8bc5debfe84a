"""Call a tool as the command line does, without the seconds of a new process."""
import contextlib
import importlib.util
import io
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_tool(name, *arguments, cwd=ROOT):
    """Run ``tools/<name>.py`` and return its exit code, stdout and stderr."""
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = [str(ROOT / each) if each.startswith('configs/') and (ROOT / each).exists()
                 else each for each in map(str, arguments)]
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(cwd)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = module.main(arguments)
    finally:
        os.chdir(before)
    return code, out.getvalue(), err.getvalue()
