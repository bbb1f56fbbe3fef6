"""Texts without what names a person or a place on a disk: absolute paths are shortened."""

import re
from functools import lru_cache
from typing import Any


def clean(value: Any) -> Any:
    """The value with every absolute path in its texts shortened to its last part and home folders to `~`.

    >>> clean("thinbert run --corpus /home/ada/data/corpus")
    'thinbert run --corpus ~/data/corpus'
    >>> clean({"reason": "cannot read /data/a/b.json"})
    {'reason': 'cannot read .../b.json'}
    """
    if isinstance(value, str):
        return _cleaned(value) if "/" in value or "\\" in value else value
    if isinstance(value, dict):
        return {
            key if type(key) is str and "/" not in key and "\\" not in key else clean(key): (
                item if type(item) in _NO_TEXT else clean(item)
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [item if type(item) in _NO_TEXT else clean(item) for item in value]
    return value


_NO_TEXT = {int, float, bool, type(None)}
"""Most of a trial: a call for each would take half of the time in which a run is read."""


@lru_cache(maxsize=4096)
def _cleaned(text: str) -> str:
    """The same few texts, names of stages and metrics, come again in every trial."""
    text = _QUOTED.sub(_unquoted, text)
    text = _NAMED_HOME.sub("~", _HOME.sub("~", text))
    return _ABSOLUTE.sub(r".../\1", text)


def _unquoted(found: re.Match[str]) -> str:
    """A quoted path, which may have spaces, without them: what follows one would stay otherwise."""
    return found[0].replace(" ", "_")


_SEPARATOR = r"[/\\]+"
_NAME = r"[^/\\\s'\"<>|:;,]+"
_START = r"(?:file:/*)?(?:(?<![\w.])[A-Za-z]:)?(?<![\w.~])"
_FOLDERS = rf"(?:{_SEPARATOR}{_NAME})*?"
_QUOTED = re.compile(r"(?<=['\"])(?:file:/*|[A-Za-z]:)?[/\\][^'\"\n]*[/\\][^'\"\n]*(?=['\"])")
_HOME = re.compile(
    rf"{_START}(?:{_SEPARATOR}root\b"
    rf"|{_FOLDERS}{_SEPARATOR}(?:home|[Uu]sers){_SEPARATOR}{_NAME}(?: {_NAME}(?={_SEPARATOR}))?)"
)
_NAMED_HOME = re.compile(r"(?<![\w/\\.~-])~[A-Za-z_][\w.-]*(?=[/\\])")
_ABSOLUTE = re.compile(
    rf"(?:file:/+|(?<![\w.~:/\\])[A-Za-z]:[/\\]+|(?<![\w.~:/\\)\]>])(?:/(?![\s/])|\\{{2,}}(?=\w)))"
    rf"(?:{_NAME}{_SEPARATOR})*({_NAME})?"
)
