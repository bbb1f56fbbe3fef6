"""Code of the user's own as part of a value: `module:name@hash`, the hash being that of its source.

A value never runs code: it is loaded where the user's own file calls `own`, and in the worker processes of that run
(`load`). Everything else (reports, comparisons, exports of a run folder that somebody sent) finds it missing and says
so. Imports nothing heavy.
"""

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from model_zoo.own_source import is_users_own, place_of, source_files, source_hash, told

if TYPE_CHECKING:
    from model_zoo.config import EncoderConfig

_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_HASH = r"[0-9a-f]{16}"
_loaded: dict[str, Callable[..., Any]] = {}
"""What `load` has loaded, by `module:name@hash`, as sys.modules has modules: what a name stands for never changes."""


class Counted(NamedTuple):
    """What one feed-forward of one's own costs for one sequence."""

    parameters: int
    flops: int
    """2 x multiply-adds of the forward pass."""
    kept: int
    """Numbers that the backward pass may need: the results of all operations but views."""


def own(import_path: str) -> str:
    """Name a function or class of one's own so that a config or a recipe can hold it: its path and its source's hash.

    Its module is a file beside the study, or in an installed package; it must not be the study's own file, of which
    every edit would make new trials. The hash covers that file and what it imports from beside it.

    Args:
        import_path: `module:name`, such as `my_ffn:GatedFeedForward`.

    Raises:
        ValueError: a path of another form, no such module or name, or an error inside, by file and line.
    """
    if not re.fullmatch(_PATH, import_path):
        raise ValueError(f"code of one's own is named module:name, such as my_ffn:Gated; got {import_path!r}")
    named = f"{import_path}@{_hash_now(import_path)}"
    load(named)
    return named


def is_own(text: object) -> bool:
    """Whether a text has the form that `own` gives.

    >>> is_own("my_ffn:Gated@0123456789abcdef"), is_own("my_ffn:Gated")
    (True, False)
    """
    return isinstance(text, str) and re.fullmatch(f"{_PATH}@{_HASH}", text) is not None


def load(named: str) -> None:
    """Import code of one's own, unless it is loaded.

    Raises:
        ValueError: the source has changed, or what `own` raises.
    """
    if named in _loaded:
        return
    path, _, wanted = named.partition("@")
    found = _hash_now(path)
    if found != wanted:
        raise ValueError(
            f"{path} must be the code that this trial names ({wanted}), got another source ({found}): it was changed "
            "meanwhile; run the same command again, which plans with the code as it is now"
        )
    module, _, name = path.partition(":")
    _loaded[named] = _import(module, name)


def loaded(named: str) -> Callable[..., Any]:
    """The code of a name.

    Raises:
        ValueError: it is not loaded here.
    """
    if named not in _loaded:
        raise ValueError(
            f"code of one's own must be loaded to be run or counted, got {named!r}, which is not: only `thinbert run` "
            "and `thinbert show` of the study file that names it load it"
        )
    return _loaded[named]


def count(config: "EncoderConfig", length: int) -> Counted:
    """What one feed-forward of one's own costs, counted by building and running it without memory for its numbers.

    Raises:
        ValueError: it is not loaded, is not a feed-forward, or has operations whose cost is not known.
    """
    loaded(config.feed_forward)
    # By name, because values import no torch. Whoever gets here has loaded code that does.
    counted: Counted = importlib.import_module("model_zoo.own_feed_forward").count(config, length)
    return counted


@contextlib.contextmanager
def running(named: str, doing: str) -> Iterator[None]:
    """Errors inside code of one's own become one line that names the code, the place and what it was asked to do."""
    try:
        yield
    except Exception as error:
        path = named.partition("@")[0]
        place = "" if place_of(error) is None else f" ({place_of(error)})"
        raise ValueError(
            f"{path}{place} must {doing}, got {type(error).__name__}: {' '.join(str(error).split())}; mend it there"
        ) from error


def _hash_now(path: str) -> str:
    try:
        return source_hash(source_files(path.partition(":")[0]))
    except SyntaxError as error:
        raise ValueError(f"{told(error)}; mend that line and run the same command again") from error


def _import(module: str, name: str) -> Callable[..., Any]:
    """A name of a module, freshly imported; an older source that this process has loaded is forgotten."""
    for known, path in source_files(module).items():
        if is_users_own(path):
            sys.modules.pop(known, None)
    try:
        with _no_bytecode():
            found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        if isinstance(error, AttributeError) and place_of(error) is None:
            file = source_files(module)[module].name
            raise ValueError(f"{file} must define {name}, got no such name; check {module}:{name}") from error
        raise ValueError(f"{told(error)}; mend it and run the same command again") from error
    if not callable(found):
        raise ValueError(f"{module}:{name} must be a function or a class, got {type(found).__name__}")
    code: Callable[..., Any] = found
    return code


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no __pycache__ in the user's folder: one written in the second of an edit would be taken for the edit."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
