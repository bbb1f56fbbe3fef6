"""Texts without what names a person or a place on a disk: absolute paths are shortened."""

import re
from typing import Any


def clean(value: Any) -> Any:
    """The value with every absolute path in its texts shortened to its last part and home folders to `~`.

    >>> clean("thinbert run --corpus /home/ada/data/corpus")
    'thinbert run --corpus ~/data/corpus'
    >>> clean({"reason": "cannot read /data/a/b.json"})
    {'reason': 'cannot read .../b.json'}
    """
    if isinstance(value, str):
        return _ABSOLUTE.sub(r".../\1", _HOME.sub("~", value))
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


_SEPARATOR = r"[/\\]+"
_NAME = r"[^/\\\s'\"<>|:;,]+"
_HOME = re.compile(
    rf"(?:file:/*)?(?:(?<![\w.])[A-Za-z]:)?(?<![\w.~])(?:{_SEPARATOR}root\b"
    rf"|{_SEPARATOR}(?:home|Users){_SEPARATOR}{_NAME}(?: {_NAME}(?={_SEPARATOR}))?)"
)
_ABSOLUTE = re.compile(
    rf"(?:file:/+|(?<![\w.~:/\\])[A-Za-z]:[/\\]+|(?<![\w.~:/\\)\]>])/(?![\s/]))(?:{_NAME}{_SEPARATOR})*({_NAME})?"
)
