"""Names of the built-in data at every scale, known without generating them, so that `show` answers at once.

data_specs.json is written by `python -m studies.data_specs` and compared with freshly generated data by a test.
"""

import json
from pathlib import Path

from search.data.source import DataSources
from search.data.spec import DataSpec
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.study import SCALES
from search.values import from_json, to_json

FILE = Path(__file__).with_name("data_specs.json")


def known_data_spec(sources: DataSources, folder: Path) -> DataSpec:
    """What the sources are prepared to: from data_specs.json, else by reading them.

    Args:
        folder: of prepared data, which remembers what was read before.
    """
    shipped = read_json(FILE)
    key = fingerprint(sources)
    if key in shipped:
        return from_json(DataSpec, shipped[key], FILE.name)
    from search.data.prepare import data_spec

    return data_spec(sources, folder if folder.exists() else None)


def main() -> None:
    """Write data_specs.json anew."""
    from search.data.prepare import data_spec
    from studies.catalogue import all_studies

    every = [study.sources(scale) for study in all_studies() for scale in SCALES]
    specs = {fingerprint(sources): to_json(data_spec(sources)) for sources in every}
    write_whole(FILE, json.dumps(specs, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
