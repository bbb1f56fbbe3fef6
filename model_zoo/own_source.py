"""Where code of the user's own lies, which files belong to it, and a hash of them; runs none of it.

Knows nothing of encoders. A module belongs to code that names it where it lies in the same package, or, for a file
outside any installed package, in the same folder or below.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path

OUR_PACKAGES = ("model_zoo", "search", "reports", "studies")
_INSTALLED = ("site-packages", "dist-packages")


def source_files(module: str) -> dict[str, Path]:
    """The files that a module's answers can depend on, by module name: its own and those that it imports from beside.

    Imports are read from the text, those inside functions too; what is imported by a computed name is not seen.

    Args:
        module: as in an import statement.

    Raises:
        ValueError: no such module, one without Python source, or a syntax error in one of the files.
    """
    importlib.invalidate_caches()
    first = _source_of(module)
    if first is None:
        raise ValueError(
            f"the module of code of one's own must be a Python file beside the study or in an installed package, got "
            f"{module!r}, which is none; put {module.split('.')[0]}.py beside the study"
        )
    top = module.partition(".")[0]
    root = first.parents[module.count(".") + (first.name == "__init__.py")]
    found: dict[str, Path] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = _source_of(name)
        if path is None or name in found or not _belongs(name, path, top, root):
            continue
        found[name] = path
        is_package = path.name == "__init__.py"
        pending += _parents(name)
        pending += _imports(path, name if is_package else name.rpartition(".")[0])
    return found


def source_hash(files: Mapping[str, Path]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of some files by module name, whatever the ends of their lines."""
    hashed = hashlib.sha256()
    for name in sorted(files):
        text = files[name].read_bytes().replace(b"\r\n", b"\n")
        hashed.update(f"{name} {len(text)}\n".encode() + text)
    return hashed.hexdigest()[:16]


def place_of(error: BaseException) -> str | None:
    """The last line of a user's own file that an error passed through, `my_ffn.py, line 12`; None for none."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}, line {error.lineno}"
    place, step = None, error.__traceback__
    while step is not None:
        path = Path(step.tb_frame.f_code.co_filename)
        if is_users_own(path):
            place = f"{path.name}, line {step.tb_lineno}"
        step = step.tb_next
    return place


def told(error: BaseException) -> str:
    """An error in one line: its place in the user's file, and what it says."""
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    place = place_of(error)
    return f"{place}: {kind}{text}" if place else f"{kind}{text}"


def is_users_own(path: Path) -> bool:
    """Whether a source file is neither ours nor Python's nor an installed package's."""
    if path.suffix != ".py" or any(part in _INSTALLED for part in path.parts):
        return False
    ours = [Path(__file__).resolve().parents[1] / name for name in OUR_PACKAGES]
    standard = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "platstdlib")]
    return not any(path.resolve().is_relative_to(folder) for folder in (*ours, *standard))


def _source_of(module: str) -> Path | None:
    """The Python file of a module, found without running anything; None where it has none."""
    places, spec = None, None
    for depth in range(1, module.count(".") + 2):
        spec = _spec_of(".".join(module.split(".")[:depth]), places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.has_location or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _spec_of(name: str, places: object) -> ModuleSpec | None:
    """As Python's import finds it, but never what an earlier import left behind."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, places)
        if spec is not None:
            return spec
    return None


def _belongs(name: str, path: Path, top: str, root: Path) -> bool:
    own_top = name.partition(".")[0]
    if own_top == top:
        return True
    if own_top in OUR_PACKAGES or own_top in sys.stdlib_module_names or root.name in _INSTALLED:
        return False
    return path.is_relative_to(root) and not any(part in _INSTALLED for part in path.parts)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _imports(path: Path, package: str) -> Iterator[str]:
    """Every module that a file may import, by full name; `from a import b` may mean a module a.b."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                yield from _parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _resolved(node, package)
            yield base
            yield from _parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _resolved(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])
