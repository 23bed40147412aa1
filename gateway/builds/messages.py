"""A failed build's words, made fit for people: places as `path:line:column` without temporary paths, no secrets, a
hint where one is known, a bounded length. It takes milliseconds, whatever the words are.
"""

import re
from dataclasses import dataclass

from gateway.builds.hints import IRSA, find_hint
from gateway.builds.passwords import cut_lookalikes, cut_secret, is_known
from gateway.errors import BuilderConnectionError, BuilderError

MAX_ERROR_CHARACTERS = 16_000
"""Of `Build.error`: about 200 lines, and far below the 400 KB that its row may have."""
READ_CHARACTERS = 4 * MAX_ERROR_CHARACTERS
"""Of a longer error only its ends are looked at: a megabyte would stop the process for half a second."""
WITHHELD = (
    "The build failed. What the Builder Service said is left out: it may repeat the registry's password, which is "
    "stored nowhere and can't be cut out of it here. Start the build again."
)

_ESCAPES = re.compile(r"\x1b\[[0-9;]{0,16}(?:[A-Za-z]|\Z)|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and what else is no text; line ends are made one kind before."""
_PATH_ENDS = frozenset(" \t\n:;'\"`()[]{}<>=,|\u201c\u201d\u2018\u2019\u201e\u201a\u00ab\u00bb")
"""What stands around paths, and hardly ever in one."""
_FOLDER = re.compile(
    rf"/(?:spin_build_[^/{re.escape(''.join(sorted(_PATH_ENDS)))}]{{1,100}}|tmp[A-Za-z0-9_]{{6,32}})(?P<inside>/?)"
)
"""The last part of the folder that a build ran in."""
_FRAME = re.compile(
    r'^ *File "(?P<path>[^/"\n<][^"\n]{0,255})", line (?P<line>\d{1,9})(?P<scope>, in [^\n]{1,200})?$'
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]{0,100}(?:Error|Exception|Exit|Interrupt|Warning|Group)\b(?::.*)?$")
_CARET = re.compile(r"^ *[~^]+ *$")
_SOURCE_LINE = re.compile(r"[\w./-]{1,255}\.py:\d{1,9}(?::\d{1,9})?: ")
"""What compilers say about a source."""


def explain_failure(error: str | None, *, pushing: bool = False, secret: str | None = "") -> str:
    """What `Build.error` says of the builder's words.

    `pushing` says that it failed while it pushed. `secret` is the registry's password, which they may repeat; None
    where there is one that is not known here.
    """
    if not is_known(secret):
        return _withhold(error, pushing=pushing)
    words = _clean(error, secret or "")
    return words.shown(find_hint(words.text, pushing=pushing))


def explain_error(error: BuilderError, *, secret: str | None = "") -> str:
    """What is said of a call that the builder refused, or did not answer; `secret` is as above."""
    unanswered = isinstance(error, BuilderConnectionError)
    if not is_known(secret):
        return f"The Builder Service {'did not answer' if unanswered else 'answered with an error'}."
    if unanswered:  # the words are the connection's: its `timeout` is no registry's
        return _clean(error.message, secret or "").shown(None)
    return explain_failure(error.message, secret=secret)


def explain_timeout(timeout_s: float, *, pushing: bool, trouble: str | None = None) -> str:
    """What is said of a build whose time is up; `trouble` is what kept the gateway from taking it further.

    Without any, a push that hangs is most often one that nobody allowed.
    """
    words = f"timed out after {name_duration(timeout_s)}"
    if pushing:
        words += " while the image was pushed"
    if trouble is not None:
        return f"{words}: {trouble}"
    return f"{words}\n{IRSA}" if pushing else words


def conceal(error: BuilderError, secret: str | None) -> BuilderError:
    """The builder's refusal without the caller's password, which it may have repeated, and with a hint."""
    return type(error)(explain_error(error, secret=secret), retryable=error.retryable)


@dataclass(frozen=True, slots=True)
class _Words:
    """What an error says: its beginning, and where so many characters between were not read, its end."""

    head: str
    tail: str = ""
    omitted: int = 0

    @property
    def text(self) -> str:
        """All that was read."""
        return f"{self.head}\n{self.tail}" if self.omitted else self.head

    def shown(self, hint: str | None) -> str:
        """As people get it: the place on top, a bounded length, and the hint below."""
        head, place = self.head, _find_place(self.text)
        if place is not None and not head.startswith(place):
            head = f"{place}\n\n{head}"
        words = cut_middle(head, self.tail, omitted=self.omitted)
        return words if hint is None else f"{words}\n{hint}"


def cut_middle(head: str, tail: str = "", *, omitted: int = 0, maximum: int = MAX_ERROR_CHARACTERS) -> str:
    """Keep both ends of a text that is too long: what failed first, and how it ended.

    Where its middle is missing already, it is two texts, with so many characters omitted between them.
    """
    if not omitted and len(head) <= maximum:
        return head
    half = maximum // 2
    if not omitted:
        head, tail = head[:-half], head[-half:]
    left_out = omitted + max(len(head) - half, 0) + max(len(tail) - half, 0)
    return f"{head[:half]}\n… {left_out:,} characters left out …\n{tail[-half:]}"


def name_duration(seconds: float) -> str:
    """A time limit in words, such as `10 minutes`."""
    if seconds >= 60 and seconds % 60 == 0:
        minutes = int(seconds // 60)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"


def _clean(error: str | None, secret: str) -> _Words:
    """Read an error: all of it, or its ends where it is long."""
    words = cut_secret(error or "", secret)
    omitted = max(len(words) - READ_CHARACTERS, 0)
    if not omitted:
        return _Words(_clean_part(words, secret) or "The Builder Service gave no reason.")
    half = READ_CHARACTERS // 2
    return _Words(_clean_part(words[:half], secret), _clean_part(words[-half:], secret), omitted)


def _clean_part(words: str, secret: str) -> str:
    words = _ESCAPES.sub("", words.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return _strip_folders(cut_lookalikes(cut_secret(words, secret)))


def _withhold(error: str | None, *, pushing: bool) -> str:
    """What is said where the builder's words may repeat a password that nobody here knows.

    Lines about the person's own source are kept, where it was being compiled.
    """
    words = _clean(error, "").text
    kept = [] if pushing else [line for line in words.split("\n") if _SOURCE_LINE.match(line)]
    hint = IRSA if find_hint(words, pushing=pushing) == IRSA else find_hint("\n".join(kept), pushing=False)
    return cut_middle("\n".join([WITHHELD, *kept])) + (f"\n{hint}" if hint else "")


def _strip_folders(words: str) -> str:
    """Take the builder's folder off every path; where nothing follows it, it is called what it is."""
    kept: list[str] = []
    done = looked_at = 0
    for found in _FOLDER.finditer(words):
        start = found.start()
        while start > looked_at and words[start - 1] not in _PATH_ENDS:
            start -= 1
        looked_at = found.end()
        if words.startswith("///", start) and words.endswith("file:", done, start):
            start -= len("file:")
        elif words.startswith("//", start) or words[start] != "/":
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
