"""Plain BERTs: Devlin et al., BERT-PKD, DistilBERT, TinyBERT and the Well-read students (Turc et al.).

Counts are of the encoder with embeddings, without pooler and heads, unless said. "Published" counts of other papers are
as Sun et al. 2020 (Tables 4 and 5) print them.
"""

from dataclasses import replace

from model_zoo.config import EncoderConfig


def _bert(num_layers: int, hidden_size: int, num_heads: int) -> EncoderConfig:
    return EncoderConfig(
        num_layers=num_layers,
        hidden_size=hidden_size,
        bottleneck_size=hidden_size,
        use_bottleneck=False,
        num_heads=num_heads,
        feed_forward_size=4 * hidden_size,
        embedding_size=hidden_size,
        trigram=False,
    )


def bert_base() -> EncoderConfig:
    """BERT_BASE (Devlin et al. 2019, arXiv 1810.04805): 108.89 M.

    Published: 110 M, which is with the pooler and both pre-training heads (110.11 M); Sun et al. Table 1: 109 M, with
    the pooler (109.48 M).
    """
    return _bert(12, 768, 12)


def bert_large() -> EncoderConfig:
    """BERT_LARGE (Devlin et al. 2019, arXiv 1810.04805): 334.09 M (Sun et al. Table 1: 334 M).

    Published: 340 M, 3.8 M more than with the pooler and both pre-training heads (336.23 M): a round number.
    """
    return _bert(24, 1024, 16)


def bert_pkd_6() -> EncoderConfig:
    """BERT-PKD with 6 of BERT_BASE's layers (Sun et al. 2019, arXiv 1908.09355): 66.36 M.

    Published: 66.5 M, 0.14 M more, unexplained (a pooler would add 0.59 M); the layer itself agrees: 6 - 3 layers are
    21.26 M here and 21.2 M there.
    """
    return _bert(6, 768, 12)


def bert_pkd_4() -> EncoderConfig:
    """BERT-PKD with 4 layers (Jiao et al. 2020, arXiv 1909.10351, ran it): 52.19 M (published: 52.2 M)."""
    return _bert(4, 768, 12)


def bert_pkd_3() -> EncoderConfig:
    """BERT-PKD with 3 layers (Sun et al. 2019, arXiv 1908.09355): 45.10 M.

    Published: 45.3 M, 0.20 M more, unexplained as for 6 layers.
    """
    return _bert(3, 768, 12)


def distilbert_6() -> EncoderConfig:
    """DistilBERT (Sanh et al. 2019, arXiv 1910.01108): 6 layers of BERT_BASE without token types: 66.36 M.

    Published: 66 M; Sun et al. Table 5: 66.6 M, 0.24 M more, unexplained; their Table 4: 62.2 M, in a row that repeats
    the one of PKD cell for cell and is almost surely a slip.
    """
    return replace(_bert(6, 768, 12), num_token_types=0)


def distilbert_4() -> EncoderConfig:
    """DistilBERT with 4 layers, a re-run by the authors of TinyBERT (Jiao et al. 2020, arXiv 1909.10351): 52.19 M
    (published: 52.2 M)."""
    return replace(_bert(4, 768, 12), num_token_types=0)


def tinybert_4() -> EncoderConfig:
    """TinyBERT with 4 layers, 312 wide, feed-forward 1200 (Jiao et al. 2020, arXiv 1909.10351): 14.25 M.

    Published: 14.5 M, 0.25 M more. Two additions would explain it, the paper does not say which: the pooler and both
    pre-training heads (14.48 M), or the layer that takes its states to the teacher's width in distillation (14.49 M).
    """
    return replace(_bert(4, 312, 12), feed_forward_size=1200)


def tinybert_6() -> EncoderConfig:
    """TinyBERT with 6 layers (Jiao et al. 2020, arXiv 1909.10351): 66.36 M (published: 67 M, with the pooler:
    66.96 M)."""
    return _bert(6, 768, 12)


def bert_tiny() -> EncoderConfig:
    """BERT-Tiny of the Well-read students (Turc et al. 2019, arXiv 1908.08962): 2 layers, 128 wide: 4.37 M.

    Published: 4.4 M, with the pooler and both pre-training heads (4.43 M); so counted in all four.
    """
    return _bert(2, 128, 2)


def bert_mini() -> EncoderConfig:
    """BERT-Mini (Turc et al. 2019, arXiv 1908.08962): 4 layers, 256 wide: 11.10 M (published, with heads as for Tiny:
    11.3 M; 11.27 M here)."""
    return _bert(4, 256, 4)


def bert_small() -> EncoderConfig:
    """BERT-Small (Turc et al. 2019, arXiv 1908.08962): 4 layers, 512 wide: 28.50 M (published, with heads as for Tiny:
    29.1 M; 29.06 M here)."""
    return _bert(4, 512, 8)


def bert_medium() -> EncoderConfig:
    """BERT-Medium (Turc et al. 2019, arXiv 1908.08962): 8 layers, 512 wide: 41.11 M (published, with heads as for Tiny:
    41.7 M; 41.67 M here)."""
    return _bert(8, 512, 8)
