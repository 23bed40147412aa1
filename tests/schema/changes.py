"""What a client notices of a schema's changes, by coordinate such as `Function.logs(first:)`; what was announced.

What breaks clients has to be named below `### Breaking` or `### Removed` of the changelog; what may surprise them,
as a new value of an enum or another default does, anywhere in it. New optional arguments and input fields are
neither: graphql-core calls them dangerous, but nobody has to do anything about them.
"""

import re
from dataclasses import dataclass

from graphql import GraphQLSchema
from graphql.utilities import DangerousChangeType, find_breaking_changes, find_dangerous_changes

HARMLESS = {DangerousChangeType.OPTIONAL_ARG_ADDED, DangerousChangeType.OPTIONAL_INPUT_FIELD_ADDED}
BREAKING_HEADINGS = {"Breaking", "Removed"}
_COORDINATE = r"(?P<coordinate>@?\w+(?:\.\w+)?(?:\(\w+:\))?)"
_KIND = r"(?:Field|Argument|Enum value|Directive|Standard scalar|A required (?:field|argument)) "
_SUBJECTS = (
    re.compile(rf"\w+ was (?:added to union type|removed from(?: union type)?) {_COORDINATE}\.$"),
    re.compile(rf"Repeatable flag was removed from {_COORDINATE}\.$"),
    re.compile(rf"\w+ added to interfaces implemented by {_COORDINATE}\.$"),
    re.compile(rf"(?:{_KIND})?{_COORDINATE} "),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change, what it is of, and graphql-core's sentence about it."""

    coordinate: str
    description: str
    breaks: bool

    @property
    def advice(self) -> str:
        """What is to be written where."""
        place = "below `### Breaking` or `### Removed`" if self.breaks else "anywhere"
        return f"{self.description} Name `{self.coordinate}` in CHANGELOG's unreleased section, {place}."


def changes(before: GraphQLSchema, after: GraphQLSchema) -> list[Change]:
    """The changes that clients of `before` notice."""
    breaking = [_change(found.description, breaks=True) for found in find_breaking_changes(before, after)]
    dangerous = [
        # Whoever relied on a default has to send the value now.
        _change(found.description, breaks=found.description.endswith("defaultValue was removed."))
        for found in find_dangerous_changes(before, after)
        if found.type not in HARMLESS
    ]
    return breaking + dangerous


def unnamed(found: list[Change], section: str) -> list[Change]:
    """The changes that the text of a changelog does not announce; a coordinate is named as `code`."""
    parts = re.split(r"^### +(.+?) *$", section, flags=re.MULTILINE)
    named, named_as_breaking = _code_spans(section), set[str]()
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if heading in BREAKING_HEADINGS:
            named_as_breaking |= _code_spans(text)
    return [change for change in found if change.coordinate not in (named_as_breaking if change.breaks else named)]


def unreleased(changelog: str, version: str) -> str:
    """What the changelog has above the section of a version."""
    heading = re.search(rf"^## \[?{re.escape(version)}(?=[\] \n])", changelog, re.MULTILINE)
    assert heading, f"the changelog has no section {version}"
    above = changelog[: heading.start()]
    start = above.find("\n## ")
    return above[start:] if start >= 0 else ""


def _change(description: str, *, breaks: bool) -> Change:
    subject = next(filter(None, (pattern.match(description) for pattern in _SUBJECTS)))
    return Change(subject["coordinate"], description, breaks)


def _code_spans(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))
