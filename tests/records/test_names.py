"""Names as the builder cleans them up, and SpinApps as functions' URLs name them."""

import pytest

from gateway.records.builder import clean_name
from gateway.records.image_deploys import Place

NAMESPACES = ("default", "blue-1")


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [("My-Hello_App 1", "MyHelloApp1"), ("hello.v2", "hello.v2"), ("a\tb", "a\tb"), ("_ -", "")],
)
def test_clean_name(name: str, cleaned: str) -> None:
    """Spaces, `-` and `_` go, and nothing else."""
    assert clean_name(name) == cleaned


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://shop.default.svc.cluster.local", Place("default", "shop")),
        ("shop.blue-1.svc.cluster.local:8080/path", Place("blue-1", "shop")),
        ("https://Shop.Default.svc.cluster.local", Place("default", "shop")),
        ("http://shop.other.svc.cluster.local", None),
        ("http://a.shop.default.svc.cluster.local", None),
        ("http://sh_op.default.svc.cluster.local", None),
        ("http://-shop.default.svc.cluster.local", None),
        ("http://shop.default.svc.cluster.local.example.com", None),
        ("http://[shop.default.svc.cluster.local", None),
        ("", None),
    ],
)
def test_place_of_url(url: str, place: Place | None) -> None:
    """Only an address of an app in one of the namespaces names a SpinApp, with a scheme or without."""
    assert Place.of_url(url, NAMESPACES) == place
