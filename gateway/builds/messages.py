"""A failed build's words, made fit for people: places as `path:line:column` without temporary paths, no secrets, a
hint where one is known, a bounded length. It takes milliseconds, whatever the words are.
"""

import re

from gateway.builds.hints import IRSA, find_hint
from gateway.errors import BuilderError

MAX_ERROR_CHARACTERS = 16_000
"""Of `Build.error`: about 200 lines, and far below the 400 KB that its row may have."""
READ_CHARACTERS = 4 * MAX_ERROR_CHARACTERS
"""Of a longer error only its ends are looked at: a megabyte would stop the process for half a second."""
MIN_SECRET_CHARACTERS = 3
"""A shorter one is part of too many words to be cut out of them."""

_ESCAPES = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and what else is no text; line ends are made one kind before."""
_FOLDER = re.compile(r"/(?:spin_build_[^/\s:'\"()]{1,100}|tmp[A-Za-z0-9_]{6,32})(?P<inside>/?)")
"""The last part of the folder that a build ran in."""
_PATH_ENDS = frozenset(" \t\n:'\"()=,")
_SECRETS = (
    (re.compile(r"((?:--password|--token|-p) ['\"]?)[^\s'\"]{3,}"), r"\1***"),
    (re.compile(r"((?:password|passwd|token|secret)['\"]?\s?[=:]\s?['\"]?)[^\s'\"]{3,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:basic|bearer) )[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"(://[^\s/:@]{1,200}:)[^\s/@]{1,2000}@"), r"\1***@"),
)  # fmt: skip
_FRAME = re.compile(
    r'^ *File "(?P<path>[^/"\n<][^"\n]{0,255})", line (?P<line>\d{1,9})(?P<scope>, in [^\n]{1,200})?$'
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]{0,100}(?:Error|Exception|Exit|Interrupt|Warning|Group)\b(?::.*)?$")
_CARET = re.compile(r"^ *[~^]+ *$")


def explain_failure(error: str | None, *, pushing: bool = False) -> str:
    """What `Build.error` says of the builder's words; `pushing` says that it failed while it pushed."""
    words = error or ""
    omitted = max(len(words) - READ_CHARACTERS, 0)
    if omitted:
        words = words[: READ_CHARACTERS // 2] + words[-READ_CHARACTERS // 2 :]
    words = _clean(words) or "The Builder Service gave no reason."
    place = _find_place(words)
    if place is not None and not words.startswith(place):
        words = f"{place}\n\n{words}"
    hint = find_hint(words, pushing=pushing)
    words = cut_middle(words, omitted=omitted)
    return words if hint is None else f"{words}\n{hint}"


def explain_timeout(timeout_s: float, *, pushing: bool) -> str:
    """What is said of a build whose time is up; a push that hangs is most often one that nobody allowed."""
    words = f"timed out after {name_duration(timeout_s)}"
    return f"{words} while the image was pushed\n{IRSA}" if pushing else words


def conceal(error: BuilderError, secret: str) -> BuilderError:
    """The builder's refusal without the caller's password, which it may have repeated, and with a hint."""
    words = error.message
    if len(secret) >= MIN_SECRET_CHARACTERS:
        words = words.replace(secret, "***")
    return type(error)(explain_failure(words), retryable=error.retryable)


def cut_middle(text: str, maximum: int = MAX_ERROR_CHARACTERS, *, omitted: int = 0) -> str:
    """Keep both ends of a text that is too long: what failed first, and how it ended.

    `omitted` characters are missing in its middle already.
    """
    if len(text) <= maximum:
        return text
    half = maximum // 2
    return f"{text[:half]}\n… {len(text) + omitted - 2 * half:,} characters left out …\n{text[-half:]}"


def name_duration(seconds: float) -> str:
    """A time limit in words, such as `10 minutes`."""
    if seconds >= 60 and seconds % 60 == 0:
        minutes = int(seconds // 60)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"


def _clean(error: str) -> str:
    words = _ESCAPES.sub("", error.replace("\r\n", "\n").replace("\r", "\n")).strip()
    for pattern, replacement in _SECRETS:
        words = pattern.sub(replacement, words)
    return _strip_folders(words)


def _strip_folders(words: str) -> str:
    """Take the builder's folder off every path; where nothing follows it, it is called what it is."""
    kept: list[str] = []
    done = looked_at = 0
    for found in _FOLDER.finditer(words):
        start = found.start()
        while start > looked_at and words[start - 1] not in _PATH_ENDS:
            start -= 1
        looked_at = found.end()
        if words.startswith("//", start) or words[start] != "/":
            continue  # a part of an address, such as s3://
        inside = found["inside"] and found.end() < len(words) and words[found.end()] not in _PATH_ENDS
        kept += [words[done:start], "" if inside else "the source folder"]
        done = found.end()
    return "".join([*kept, words[done:]])


def _find_place(words: str) -> str | None:
    """Where a Python error is and what it says, as `path:line:column: error`; None where there is no traceback.

    Tracebacks leave a line's indentation out, so that the column is known on the module's own level only.
    """
    lines = words[-MAX_ERROR_CHARACTERS:].split("\n")
    at = next((number for number in reversed(range(len(lines))) if _FRAME.match(lines[number])), None)
    if at is None:
        return None
    frame = _FRAME.match(lines[at])
    exception = next((line for line in lines[at + 1 :] if _EXCEPTION.match(line)), None)
    if frame is None or exception is None:
        return None
    column = ""
    if frame["scope"] in {None, ", in <module>"}:
        marked = next((line for line in lines[at + 1 : at + 4] if _CARET.match(line)), None)
        indentation = len(lines[at + 1]) - len(lines[at + 1].lstrip())
        column = f":{marked.index(marked.strip()[0]) - indentation + 1 if marked else 1}"
    return f"{frame['path']}:{frame['line']}{column}: {exception}"
