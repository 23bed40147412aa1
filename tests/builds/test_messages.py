"""The builder's words as people get to see them."""

import pytest

from gateway.builds.messages import MAX_ERROR_CHARACTERS, cut_middle, explain_failure, name_duration


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
