"""The builder's words as people get to see them."""

import time

import pytest

from gateway.builds.hints import IRSA
from gateway.builds.messages import (
    MAX_ERROR_CHARACTERS,
    conceal,
    cut_middle,
    explain_error,
    explain_failure,
    explain_timeout,
    name_duration,
)
from gateway.errors import BuilderConnectionError, BuilderError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("/tmp/a/b/spin_build_x1/app.py:10:5: error: no", "app.py:10:5: error: no"),
        ('File "/tmp/spin_build_x/pkg/mod.py", line 3', 'File "pkg/mod.py", line 3'),
        ("/var/folders/zz/T/tmpab12_cd3/app.py:1:1: error: x", "app.py:1:1: error: x"),
        ("two: /tmp/spin_build_1/a.py:1:1 /tmp/spin_build_1/b.py:2:2", "two: a.py:1:1 b.py:2:2"),
        (
            "kept: /usr/lib/python3/json.py and s3://bucket/tmp/x",
            "kept: /usr/lib/python3/json.py and s3://bucket/tmp/x",
        ),
        (
            "gone: /tmp/spin_build_1",
            "gone: the source folder",
        ),
        ("s3://bucket/spin_build_1/app.py", "s3://bucket/spin_build_1/app.py"),
        ("in `/tmp/spin_build_1/app.py`: no", "in `app.py`: no"),
        ("[/tmp/spin_build_1/app.py];/tmp/spin_build_1/b.py|", "[app.py];b.py|"),
        ("{/tmp/tmpab12_cd3/app.py} </tmp/spin_build_1>", "{app.py} <the source folder>"),
        (
            "\u201c/tmp/spin_build_1/app.py\u201d \u2018/tmp/spin_build_1\u2019",
            "\u201capp.py\u201d \u2018the source folder\u2019",
        ),
        ("see file:///tmp/spin_build_1/app.py", "see app.py"),
        ("file:///tmp/spin_build_1 https:///tmp/spin_build_1", "the source folder https:///tmp/spin_build_1"),
        ("\x1b[31;1merror\x1b[0m: no\r\nmore", "error: no\nmore"),
        ("  \n", "The Builder Service gave no reason."),
        (None, "The Builder Service gave no reason."),
    ],
)
def test_explain_failure_when_there_are_temporary_paths(words: str | None, expected: str) -> None:
    """The builder's own folder is taken off, other paths stay."""
    assert explain_failure(words) == expected


def test_explain_failure_when_the_handler_is_missing() -> None:
    """The right format is shown, once."""
    words = "AttributeError: module 'app' has no attribute 'IncomingHandler'"
    explained = explain_failure(words)
    assert explained.startswith(words + "\nhint: ")
    assert "class IncomingHandler(http.IncomingHandler):" in explained
    assert explain_failure(explained) == explained


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("spin.toml not found in /tmp/spin_build_1", "hint: a zip needs a spin.toml at its root"),
        ("Namespace 'blue' not found", "kubectl create namespace blue"),
        ('namespaces "team-1" not found', "kubectl create namespace team-1"),
        ("ImportError: cannot import name 'IncomingHandler' from 'app'", "class IncomingHandler(http.Incoming"),
        ("Failed to push r.example/f:1: 403 Forbidden", "eks.amazonaws.com/role-arn"),
        ("no basic auth credentials", "leave username and password out"),
        ("pushing the image timed out after 300 s", "eks.amazonaws.com/role-arn"),
    ],
)
def test_explain_failure_when_a_hint_is_known(words: str, hint: str) -> None:
    """What to do is said below the builder's words."""
    assert hint in explain_failure(words)


def test_explain_failure_when_the_error_is_huge() -> None:
    """A megabyte becomes both of its ends, with what was left out between them."""
    explained = explain_failure("a" * 500_000 + "b" * 500_000)
    assert explained.startswith("a" * 8000 + "\n… 984,000 characters left out …\n")
    assert explained.endswith("\n" + "b" * 8000)


def test_explain_failure_when_what_was_read_is_mostly_colours() -> None:
    """What is left is short, and its middle is missing all the same: the marker says so."""
    explained = explain_failure("first\n" + "\x1b[31m" * 40_000 + "\nlast")
    assert explained == "first\n… 136,011 characters left out …\nlast"


def test_explain_failure_when_the_end_of_a_huge_error_has_the_traceback() -> None:
    """Its place is on top of both ends."""
    explained = explain_failure("x" * 100_000 + "\n" + TRACEBACK)
    assert explained.startswith("app.py:3:5: NameError: name 'undefined_name' is not defined\n\nxxx")
    assert explained.endswith(TRACEBACK.replace("/tmp/a/spin_build_1/", ""))
    assert len(explained) < MAX_ERROR_CHARACTERS + 50


def test_cut_middle_when_the_text_just_fits() -> None:
    """Nothing is cut at the limit."""
    text = "x" * MAX_ERROR_CHARACTERS
    assert cut_middle(text) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(600, "10 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second"), (2.5, "2.5 seconds")],
)
def test_name_duration_when_it_is_a_setting(seconds: float, words: str) -> None:
    """Whole minutes are minutes."""
    assert name_duration(seconds) == words


@pytest.mark.parametrize("words", ["denied", "unexpected status: 401", "context deadline exceeded", "i/o timeout"])
def test_explain_failure_when_a_push_is_refused(words: str) -> None:
    """Such words of a failed push are the registry's; of a failed build they say nothing about a registry."""
    assert explain_failure(words, pushing=True) == f"{words}\n{IRSA}"
    assert explain_failure(words) == words


TRACEBACK = """import failed:
Traceback (most recent call last):
  File "/tmp/a/spin_build_1/app.py", line 3, in <module>
    x = undefined_name + 1
        ^^^^^^^^^^^^^^
NameError: name 'undefined_name' is not defined"""


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (TRACEBACK, "app.py:3:5: NameError: name 'undefined_name' is not defined"),
        (
            '  File "/tmp/tmpabcdef12/pkg/app.py", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax',
            "pkg/app.py:1:7: SyntaxError: invalid syntax",
        ),
        (
            'File "/tmp/spin_build_1/app.py", line 9, in <module>\n    f()\nRuntimeError',
            "app.py:9:1: RuntimeError",
        ),
        (
            'File "/tmp/spin_build_1/app.py", line 7, in f\n    return 1 / 0\nZeroDivisionError: division by zero',
            "app.py:7: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_explain_failure_when_there_is_a_traceback(words: str, place: str) -> None:
    """The place and the error stand on top as editors read them; the traceback is below."""
    assert explain_failure(words).splitlines()[:2] == [place, ""]


def test_explain_failure_when_the_traceback_is_not_the_persons() -> None:
    """A traceback of the tools' own names no place of the person's."""
    words = 'File "/usr/lib/python3/tool.py", line 1, in main\nValueError: no'
    assert explain_failure(words) == words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("docker login -u AWS -p hunter2 failed", "docker login -u AWS -p *** failed"),
        ("docker login --password hunter2", "docker login --password ***"),
        ("password='hunter2' is wrong", "password='***' is wrong"),
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("https://AWS:hunter2@r.example/v2/", "https://AWS:***@r.example/v2/"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: Basic ***"),
    ],
)
def test_explain_failure_when_the_builder_repeats_a_password(words: str, expected: str) -> None:
    """It is cut out: what is said here is stored and shown."""
    assert explain_failure(words) == expected


def test_conceal_when_the_builder_repeats_the_password() -> None:
    """Wherever it stands; what kind of error it is stays. No hint: the timeout is not the registry's."""
    error = conceal(BuilderConnectionError("no answer about hunter2!"), "hunter2")
    assert (type(error), error.message, error.retryable) == (BuilderConnectionError, "no answer about ***!", True)


@pytest.mark.parametrize("path", ["/api/v1/push", "/api/v1/build-and-push"])
def test_explain_error_when_a_push_is_not_answered(path: str) -> None:
    """A connection that timed out says nothing about the registry."""
    words = f"The Builder Service did not answer POST {path}: ReadTimeout"
    assert explain_error(BuilderConnectionError(words)) == words
    assert explain_error(BuilderError(words)) == f"{words}\n{IRSA}"


def test_explain_timeout_when_it_was_pushing() -> None:
    """A push that hangs is most often one that nobody allowed."""
    assert explain_timeout(600, pushing=False) == "timed out after 10 minutes"
    assert explain_timeout(600, pushing=True).startswith(
        "timed out after 10 minutes while the image was pushed\nhint:"
    )


@pytest.mark.parametrize(
    ("pushing", "words"),
    [
        (False, "timed out after 10 minutes: not there"),
        (True, "timed out after 10 minutes while the image was pushed: not there"),
    ],
)
def test_explain_timeout_when_there_was_trouble(pushing: bool, words: str) -> None:
    """It is the reason, and the registry is not."""
    assert explain_timeout(600, pushing=pushing, trouble="not there") == words


@pytest.mark.parametrize(
    "part", ["/a", "a", "/spin_build_x", ' File "app.py", line 3\n', "\x1b[", "password ", "://a", "namespace '"]
)
def test_explain_failure_when_the_error_is_hostile(part: str) -> None:
    """A megabyte of anything is read in a moment: the process serves others meanwhile."""
    started = time.perf_counter()
    explain_failure(part * (1_000_000 // len(part)), pushing=True)
    assert time.perf_counter() - started < 0.5
