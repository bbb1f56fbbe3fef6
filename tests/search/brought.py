"""Folders of tiny BERTs as transformers writes them, and English for them to read."""

import json
import random
from pathlib import Path
from typing import Any

TEXT = "the ship storm harbour crew sang waved left reached calm wild good bad film story it was not very"
WORDS = TEXT.split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz."]
PIECES += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
TASK = "name=stars,file=reviews.csv,text=text,label=label,metric=accuracy"


def write_bert(folder: Path, kind: str, **fields: Any) -> Path:
    """A random BERT of transformers' class `Bert<kind>` with its vocab.txt."""
    import torch
    import transformers

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
    known = {"vocab_size": len(PIECES), "max_position_embeddings": 80, "initializer_range": 0.2}
    torch.manual_seed(0)
    config = transformers.BertConfig(**(shape | known | fields))
    getattr(transformers, f"Bert{kind}")(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def edit_config(folder: Path, **fields: Any) -> None:
    """Change fields of config.json; None removes one."""
    path = folder / "config.json"
    document = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


def write_text(folder: Path) -> None:
    """A corpus book.txt and a task reviews.csv."""
    draw = random.Random(0)

    def sentence() -> str:
        return " ".join(draw.choices(WORDS, k=6)) + "."

    documents = ["\n".join(sentence() for _ in range(6)) for _ in range(40)]
    (folder / "book.txt").write_text("\n\n".join(documents) + "\n")
    rows = [f"{sentence()},{draw.choice(('positive', 'negative'))}" for _ in range(160)]
    (folder / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
