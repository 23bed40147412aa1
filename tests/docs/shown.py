"""What a document shows against what was answered: ids stand for others, and times and durations pass."""

import re
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+09:00")
_REST = "…"
"""Where a document leaves the end of a text out."""


class Examples:
    """The ids of a document and what stands behind them: each is bound by the first answer that shows it."""

    def __init__(self, names: list[str]) -> None:
        self._unbound = set(names)
        self._values: dict[str, str] = {}

    def bind(self, name: str, value: str) -> None:
        """Say what an id of the document stands for; an app's name has it without its `-`."""
        self._unbound.discard(name)
        self._values[name] = value
        self._values[name.replace("-", "")] = value.replace("-", "")

    def fill_in(self, text: str) -> str:
        """A text of the document with the ids that exist; AssertionError where one is not known yet."""
        missing = [name for name in self._unbound if name in text]
        assert not missing, f"no answer has shown yet what {', '.join(missing)} is"
        return self._replace(text)

    def compare(self, shown: Any, answered: Any, path: str = "") -> None:
        """AssertionError where an answer is not what the document shows; binds the ids it shows first."""
        where = path or "the answer"
        if isinstance(shown, dict) and isinstance(answered, dict):
            assert list(shown) == list(answered), f"{where} has {list(answered)}; shown are {list(shown)}"
            for key in shown:
                self.compare(shown[key], answered[key], f"{path}.{key}".lstrip("."))
        elif isinstance(shown, list) and isinstance(answered, list):
            assert len(shown) == len(answered), f"{where} has {len(answered)} items; shown are {len(shown)}"
            for index, (one, other) in enumerate(zip(shown, answered, strict=True)):
                self.compare(one, other, f"{path}.{index}")
        elif isinstance(shown, float):
            assert isinstance(answered, float), f"{where} is {answered!r}; shown is {shown!r}"
        elif isinstance(shown, str) and isinstance(answered, str):
            self.compare_text(shown, answered, where)
        else:
            assert (type(shown), shown) == (type(answered), answered), f"{where} is {answered!r}, not {shown!r}"

    def compare_text(self, shown: str, answered: str, where: str) -> None:
        """Compare texts: times are equal, `…` at the end is any rest, an id alone may be bound by it."""
        if shown in self._unbound:
            self.bind(shown, answered)
            return
        wanted = _TIME.sub("TIME", self._replace(shown))
        found = _TIME.sub("TIME", answered)
        if wanted.endswith(_REST):
            found = found[: len(wanted) - len(_REST)] + _REST
        assert wanted == found, f"{where} is\n{answered}\nand shown is\n{self._replace(shown)}"

    def _replace(self, text: str) -> str:
        for name, value in self._values.items():
            text = text.replace(name, value)
        return text
