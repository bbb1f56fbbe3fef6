"""`PRESETS`: the name that people say of every published system, and the function that makes it.

The functions are in `model_zoo/published/`, one module per family, with sources and counts in their docstrings. Counts
are of the encoder with embeddings, without pooler and masked-language head; `tests/model_zoo/test_presets.py` checks
them.
The one system of the paper's tables that is no encoder, the BiLSTM of Tang et al., is in `model_zoo/bilstm_config.py`.
"""

from collections.abc import Callable

from model_zoo.config import EncoderConfig
from model_zoo.published.bert import (
    bert_base,
    bert_large,
    bert_medium,
    bert_mini,
    bert_pkd_3,
    bert_pkd_4,
    bert_pkd_6,
    bert_small,
    bert_tiny,
    distilbert_4,
    distilbert_6,
    tinybert_4,
    tinybert_6,
)
from model_zoo.published.ib_bert import (
    ib_bert_large,
    teacher_a,
    teacher_b,
    teacher_c,
    teacher_d,
    teacher_e,
    teacher_f,
    teacher_g,
    teacher_h,
    teacher_i,
)
from model_zoo.published.mobilebert import (
    mobilebert,
    mobilebert_released,
    mobilebert_released_without_opt,
    mobilebert_tiny,
    mobilebert_without_opt,
    student_96,
    student_128,
    student_160,
    student_192,
)

__all__ = ["PRESETS", "bert_base", "bert_large", "ib_bert_large", "mobilebert", "mobilebert_tiny"]

PRESETS: dict[str, Callable[[], EncoderConfig]] = {
    "bert-base": bert_base,
    "bert-large": bert_large,
    "bert-pkd-6": bert_pkd_6,
    "bert-pkd-4": bert_pkd_4,
    "bert-pkd-3": bert_pkd_3,
    "distilbert-6": distilbert_6,
    "distilbert-4": distilbert_4,
    "tinybert-6": tinybert_6,
    "tinybert-4": tinybert_4,
    "bert-medium": bert_medium,
    "bert-small": bert_small,
    "bert-mini": bert_mini,
    "bert-tiny": bert_tiny,
    "ib-bert-large": ib_bert_large,
    "teacher-a": teacher_a,
    "teacher-b": teacher_b,
    "teacher-c": teacher_c,
    "teacher-d": teacher_d,
    "teacher-e": teacher_e,
    "teacher-f": teacher_f,
    "teacher-g": teacher_g,
    "teacher-h": teacher_h,
    "teacher-i": teacher_i,
    "student-192": student_192,
    "student-160": student_160,
    "student-128": student_128,
    "student-96": student_96,
    "mobilebert": mobilebert,
    "mobilebert-without-opt": mobilebert_without_opt,
    "mobilebert-released": mobilebert_released,
    "mobilebert-released-without-opt": mobilebert_released_without_opt,
    "mobilebert-tiny": mobilebert_tiny,
}
