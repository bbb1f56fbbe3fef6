"""Small corpora and tasks on disk, and the real data where they are."""

import json
from pathlib import Path

import pytest

SENTENCES = [
    "The old ship left the harbour before dawn.",
    "Its captain had not slept.",
    "Nobody on the pier waved.",
    "A cold wind came from the north.",
    "The crew sang all the same.",
    "By noon the coast was gone.",
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with a .txt file of twelve documents and a .jsonl file of two."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    documents = [
        " ".join(SENTENCES[start % 6 :] + SENTENCES[: start % 6]) + f" Day {start} ended." for start in range(12)
    ]
    (folder / "log.txt").write_text("\n\n".join(documents))
    rows = [{"doc_id": row // 2, "text": " ".join(SENTENCES[row : row + 2])} for row in range(4)]
    (folder / "more.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A csv file of 60 rows with stars 1 to 3, 30 of them 3, and columns review and title."""
    lines = ["review,title,stars"]
    lines += [f"The ship number {row} was fine,Title {row % 7},{(1, 2, 3, 3)[row % 4]}" for row in range(60)]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data (a folder shared/data beside the checkout) are not here")
    return folder
