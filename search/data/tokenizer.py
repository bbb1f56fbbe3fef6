"""BERT's uncased WordPiece: from a vocab.txt, or trained on a corpus, the same on every run.

Knows nothing of files other than vocab.txt and tokenizer.json. `tokenizers` is imported when it is needed.

The library's own trainer numbers the continuing pieces ("##x") in the order of a hash table that differs from run to
run, and breaks ties between equally frequent pairs by these numbers; two runs in one process were seen to differ. Here
all single characters and their continuing forms are numbered beforehand, in sorted order: nothing is left to chance.

Source: Devlin et al. 2019 (https://arxiv.org/abs/1810.04805) for the vocabulary's form; pieces are merged by frequency,
as the `tokenizers` library does, not by the likelihood of Schuster and Nakajima 2012.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.data.tokenizer_file import tokenizer_pieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FEWEST_CHARACTERS, MOST_CHARACTERS = 40, 1000
"""How many characters get pieces of their own: a sixth of the vocabulary, within these limits, the most frequent first.
A word with another character is [UNK]."""
MIN_COUNT = 2
"""Words and pairs seen less often make no piece."""


def build_tokenizer(pieces: Sequence[str]) -> "Tokenizer":
    """The tokenizer with these word pieces; piece i has id i. `[UNK]` in a text is kept as that piece.

    No [CLS] or [SEP] is added: what builds a sequence does that.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]"])
    return tokenizer


def read_vocabulary(path: Path) -> "Tokenizer":
    """The tokenizer of a vocab.txt (one word piece per line, the line's number its id) or of a tokenizer.json.

    Raises:
        ValueError: one line: no such file, a piece twice, an empty line, or a special piece missing.
    """
    if path.suffix == ".json":
        pieces = tokenizer_pieces(path)
        check_pieces(pieces, str(path))
        return build_tokenizer(pieces)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"a vocabulary must be a vocab.txt that can be read, got {str(path)!r}: {reason}") from error
    pieces = [line.rstrip("\r") for line in lines]
    if pieces[-1] == "":
        pieces.pop()
    check_pieces(pieces, str(path))
    return build_tokenizer(pieces)


def check_pieces(pieces: Sequence[str], place: str) -> None:
    """Refuse word pieces that cannot be a vocabulary.

    Raises:
        ValueError: one line: a piece twice, an empty piece, or a special piece missing.
    """
    missing = [piece for piece in SPECIAL_PIECES if piece not in set(pieces)]
    if missing:
        raise ValueError(f"a vocabulary must hold {' '.join(SPECIAL_PIECES)}, got {place} without {' '.join(missing)}")
    piece, count = Counter(pieces).most_common(1)[0]
    if count > 1:
        raise ValueError(f"a vocabulary must hold every piece once, got {piece!r} {count} times in {place}")
    if "" in pieces:
        raise ValueError(
            f"a vocabulary must have a piece on every line, got line {pieces.index('') + 1} empty in {place}"
        )


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
    """Train word pieces; equal texts, in any order, give equal pieces in any process.

    Args:
        texts: any text of the corpus; `[UNK]` in it is left out.
        vocab_size: most pieces, special ones included; a small corpus yields fewer.

    Raises:
        ValueError: vocab_size is too small for the characters of the corpus.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    counts = _word_counts(texts)
    alphabet = _alphabet(counts, min(max(vocab_size // 6, FEWEST_CHARACTERS), MOST_CHARACTERS))
    first = [*SPECIAL_PIECES, *alphabet, *(f"##{letter}" for letter in alphabet)]
    if vocab_size < len(first):
        raise ValueError(
            f"vocab_size must be at least {len(first)} for the {len(alphabet)} characters of this corpus "
            f"(each as a first and as a continuing piece, and five special pieces), got {vocab_size}"
        )
    kept, known = sorted(counts), set(alphabet)
    words = [word for word in kept if counts[word] >= MIN_COUNT and known.issuperset(word)]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=MIN_COUNT, special_tokens=first, show_progress=False
    )
    tokenizer.train_from_iterator(_repeated(words, counts), trainer)
    return build_tokenizer(pieces_of(tokenizer))


def pieces_of(tokenizer: "Tokenizer") -> list[str]:
    """Word pieces in the order of their ids."""
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def vocabulary_identity(pieces: Sequence[str]) -> str:
    """SHA-256 of the word pieces in the order of their ids."""
    return hashlib.sha256("\n".join(pieces).encode("utf-8")).hexdigest()


def _word_counts(texts: Iterable[str]) -> Counter[str]:
    """How often each word (as BERT cuts text into words) occurs. Each distinct string between spaces is cut once."""
    from tokenizers import normalizers, pre_tokenizers

    normalizer, cutter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    strings: Counter[str] = Counter()
    for text in texts:
        strings.update(text.replace("[UNK]", " ").split())
    words: Counter[str] = Counter()
    for string, count in strings.items():
        for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(string)):
            words[word] += count
    return words


def _alphabet(counts: Counter[str], limit: int) -> list[str]:
    letters: Counter[str] = Counter()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
    frequent = sorted(letters, key=lambda letter: (-letters[letter], letter))
    return sorted(letter for letter in frequent[:limit] if letters[letter] >= MIN_COUNT)


def _repeated(words: list[str], counts: Counter[str]) -> Iterator[str]:
    for word in words:
        yield " ".join([word] * counts[word])
