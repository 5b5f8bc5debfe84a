"""Where the processes of a test meet."""
import contextlib

from torch.distributed import TCPStore


@contextlib.contextmanager
def rendezvous(count=2):
    """Give the variables by which so many processes find each other; add RANK and LOCAL_RANK.

    As under torchrun, this process holds the store: a port that was only looked up before the
    start may be another's by then, and a store of rank 0 ends with it.
    """
    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    yield dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(store.port), WORLD_SIZE=str(count),
               TORCHELASTIC_USE_AGENT_STORE='True')
