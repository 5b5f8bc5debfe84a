"""Start the processes of a training as torchrun does; tools/dist_train.sh calls it.

Ctrl-C and SIGTERM are handed on to the processes, which then end with a checkpoint; they get
30 seconds for it.
"""
import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun


def main(again: str, *arguments: str) -> int:
    """Run the processes and return the exit code of all.

    Args:
        again: the command to tell the user to go on with.
        *arguments: of torchrun.
    """
    try:
        torchrun(list(arguments))
    except SignalException as stop:
        print(f'stopped; go on with: {again}', file=sys.stderr)
        return 128 + stop.sigval
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        print('error: a process of the training ended with an error (see above), the others were '
              f'stopped. After fixing the cause, go on with: {again}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(main(*sys.argv[1:]))
