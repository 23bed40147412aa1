"""What settings may be: a wrong value ends every command with one line that names it."""

import os
import subprocess
import sys

import pytest

from gateway.settings import Settings, SettingsError, load_settings

NUMBERS = {
    "PORT": ("-1", "65536", "http"),
    "BUILD_POLL_INTERVAL_S": ("0", "61", "nan", "inf"),
    "BUILD_TIMEOUT_S": ("0", "nan", "inf", "1e300"),
    "BUILD_POLL_CONCURRENCY": ("0", "1.5"),
    "BUILD_LEASE_S": ("4", "nan", "inf", "1e20"),
    "DRAIN_TIMEOUT_S": ("-1", "nan", "inf", "1e30"),
    "LOG_RETENTION_DAYS": ("0", "999999999999"),
    "MAX_CODE_BYTES": ("0", "1 MB"),
    "MAX_UPLOAD_BYTES": ("0", "x"),
}
NO_URLS = (
    "host:80",
    "ftp://host",
    "http://",
    "https:///path",
    "http://host:port",
    "http://a:b",
    "http://host:0",
    "http://host:99999",
    "http://a b",
    "http://a\tb",
    "http://[bad",
    "http://a..b",
    "http://host?a=b",
    "http://host/#",
)
FOR_PASSWORDS = {
    "BUILDER_SERVICE_URL",
    "LOKI_SERVICE_URL",
    "PROMETHEUS_SERVICE_URL",
    "KUBERNETES_API_URL",
    "INVOCATION_PROXY_URL",
}
FOR_NO_PASSWORDS = {"PUBLIC_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"}
WRONG = {
    **NUMBERS,
    **dict.fromkeys(sorted(FOR_PASSWORDS | FOR_NO_PASSWORDS), NO_URLS),
    "LOG_LEVEL": ("LOUD",),
    "CORS_ORIGINS": ("console.example.com", "[1"),
    "AWS_REGION": ("not a region", "-", "1"),
    "DYNAMODB_TABLE_NAME": ("a/b",),
    "S3_BUCKET_NAME": ("UPPER",),
    "REGISTRY_URL": ("not a url", "https://registry.example.com", "registry.example.com/", "r/" + "a" * 511),
    "FUNCTION_NAMESPACES": (",", "[]", "Team A"),
    "INVOCATION_ALLOWED_HOSTS": ("http://x", "x:y"),
    "INTROSPECTION": ("perhaps",),
    "EXPLORER": ("2",),
}
"""Wrong values of each setting that has some."""
ANYTHING = {"HOST", "ENVIRONMENT"}
"""What is none is found out when it is listened on, and the other is a text for people."""


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """The message that the settings are refused with."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    return str(refused.value)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_value_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The line begins with the setting's name."""
    said = refusal(monkeypatch, name, value)
    assert said.startswith(f"{name}: ")
    assert said.isprintable()


def test_every_setting_has_wrong_values() -> None:
    """None is forgotten above."""
    assert {name.upper() for name in Settings.model_fields} == {*WRONG, *ANYTHING}


@pytest.mark.parametrize(
    "name", ["LOKI_SERVICE_URL", "PUBLIC_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "BUILD_LEASE_S"]
)
def test_command_ends_with_the_line(name: str) -> None:
    """Exit code 2, and nothing else is printed."""
    value = WRONG[name][-1]
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "serve"],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"blue-gateway: {name}: ")


@pytest.mark.parametrize("name", sorted(FOR_PASSWORDS | FOR_NO_PASSWORDS))
@pytest.mark.parametrize("url", ["s3://user:secret@host", "http://user:secret@host:x", "http://user:secret/@host"])
def test_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """What is wrong with a URL is said without it."""
    assert "secret" not in refusal(monkeypatch, name, url)


@pytest.mark.parametrize("name", sorted(FOR_NO_PASSWORDS))
def test_password_where_none_belongs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A public address, and an endpoint that requests are signed for, have none."""
    said = refusal(monkeypatch, name, "https://user:secret@host")
    assert said == f"{name}: must have no user and no password"


@pytest.mark.parametrize("name", sorted(FOR_PASSWORDS))
def test_password_where_one_may_be(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The systems behind may ask for one; a path is kept, the slash at its end is not."""
    monkeypatch.setenv(name, "https://user:secret@[::1]:8443/base/")
    assert getattr(load_settings(), name.lower()) == "https://user:secret@[::1]:8443/base"


def test_reasons_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do about a list that is empty, or that has URLs for hosts."""
    assert refusal(monkeypatch, "FUNCTION_NAMESPACES", ",") == (
        "FUNCTION_NAMESPACES: needs at least one namespace (got ',')"
    )
    monkeypatch.delenv("FUNCTION_NAMESPACES")
    assert refusal(monkeypatch, "INVOCATION_ALLOWED_HOSTS", "http://x") == (
        "INVOCATION_ALLOWED_HOSTS: 'http://x' has a scheme: leave http:// out (got 'http://x')"
    )
