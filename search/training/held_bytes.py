"""How many bytes the tensors of some work hold at once, seen from inside: what a plan of memory can be compared with.

Counts storages, each once, from when an operation makes it until nothing refers to it any more; not what lives inside
one operation, and nothing of the interpreter or of an allocator's waste. Knows nothing of training.
"""

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HeldBytes(TorchDispatchMode):
    """A context in which storages that operations make are counted, in the thread that enters it.

    Args:
        known: tensors that were there before and are not counted.

    >>> import torch
    >>> with HeldBytes() as held:
    ...     total = torch.ones(1000).square().sum()
    >>> held.peak, held.now
    (8000, 4)
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return result

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        size = storage.nbytes()
        weakref.finalize(storage, self._gone, key, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size
