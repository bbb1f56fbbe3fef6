"""A folded encoder with its projections in the order in which this processor reads them; CPU and float32 only.

What torch.compile does when it freezes a model, without compiling: oneDNN lays every matrix out once, and bias and
activation become part of the product. Seen on 128 tokens (2 threads, AVX-512; benchmarks/deploy.py times whole
encoders): 512 to 384 channels 0.26 instead of 0.33 ms, 128 to 512 with relu 0.10 instead of 0.12. Products that
accumulate stay as they are: for them oneDNN was no faster, and a call of it costs about 0.02 ms before it computes.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model_zoo.deploy import FoldedEncoder, Product


def pack(folded: FoldedEncoder, tokens: int) -> FoldedEncoder:
    """The same encoder on packed matrices; the one given stays as it is.

    Args:
        folded: on the CPU, in float32.
        tokens: of the maps that it will mostly see, batch x length: what the layout is best for. Others work too.

    Raises:
        ValueError: another device or dtype, or a torch without oneDNN.
    """
    table = folded.embedding.tokens
    if table.device.type != "cpu" or table.dtype != torch.float32:
        raise ValueError(
            f"packed matrices are for float32 on the CPU, got {table.dtype} on {table.device}; use the folded encoder"
        )
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        raise ValueError("packed matrices need a torch built with oneDNN, this one is not; use the folded encoder")
    packed = copy.deepcopy(folded)
    for module in list(packed.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Product) and child.bias is not None:
                setattr(module, name, PackedProduct(child, tokens))
    return packed


class PackedProduct(nn.Module):
    """`Product` on a matrix that oneDNN has laid out."""

    def __init__(self, product: Product, tokens: int) -> None:
        super().__init__()
        # The attribute is no buffer: its layout is this processor's, and moving or saving it would lose that.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(product.weight.T.contiguous(), tokens)
        self.bias, self.activation = product.bias, product.activation

    def forward(self, hidden: Float[Tensor, "*tokens in"]) -> Float[Tensor, "*tokens out"]:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, self.weight, self.bias, self.activation, [], "none")
        return result
