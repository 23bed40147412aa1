"""Where functions may be called, by URL and by address."""

import asyncio
import ipaddress

import pytest

from gateway.records.hosts import Address, HostPattern
from gateway.settings import SettingsError, load_settings
from gateway.upstream.functions import AllowedHosts, HostNotAllowedError
from gateway.upstream.functions.addresses import Resolve, is_safe
from gateway.upstream.functions.known_addresses import REFRESH_S, RETRY_S

DEFAULT = "*.default.svc.cluster.local:80"


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        (DEFAULT, "http://hello.default.svc.cluster.local"),
        (DEFAULT, "http://HELLO.Default.svc.cluster.local.:80/base/"),
        (DEFAULT, "http://a.b.default.svc.cluster.local/"),
        ("*.example.com", "https://fn.example.com:8443"),
        ("fn-*.example.com:443", "https://fn-1.example.com"),
        ("one.example.com", "http://one.example.com:1"),
        ("10.1.2.3:8080", "http://10.1.2.3:8080"),
        ("127.0.0.1", "http://127.0.0.1:9"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]:9"),
        ("[::1]:80", "http://[::1]"),
        ("::1", "http://[0:0:0:0:0:0:0:1]:7"),
        ("xn--bcher-kva.example", "http://xn--bcher-kva.example"),
    ],
)
def test_check_when_a_pattern_matches(pattern: str, url: str) -> None:
    """Hosts that are listed can be called, in whatever spelling that means the same."""
    AllowedHosts([pattern]).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hello.default.svc.cluster.local:8080",
        "https://hello.default.svc.cluster.local",
        "http://default.svc.cluster.local",
        "http://hello.other.svc.cluster.local",
        "http://hello.default.svc.cluster.local.evil.com",
        "http://evil.com/.default.svc.cluster.local",
        "http://evil.com?.default.svc.cluster.local",
        "http://evil.com#.default.svc.cluster.local",
        "http://evil.com\\.default.svc.cluster.local",
        "http://user@hello.default.svc.cluster.local",
        "http://user:secret@hello.default.svc.cluster.local",
        "http://evil.com%2f.default.svc.cluster.local",
        "http://evil.com%00.default.svc.cluster.local",
        "http://evil.com\t.default.svc.cluster.local",
        "http://-.default.svc.cluster.local",
        "http://..default.svc.cluster.local",
        "http://hello.default.svc.cluster.local..",
        "http://hello.default.svc.cluster.local:0",
        "http://hello.default.svc.cluster.local:65616",
        "http://hello.default.svc.cluster.local:\uff18\uff10",
        "http://h\u00e9llo.default.svc.cluster.local",
        "http://hello.default.svc.cluster.loca\u2113",
        "http://hello.default.svc.clu\u017fter.local",
        "http://hello\u3002default.svc.cluster.local",
        "ftp://hello.default.svc.cluster.local",
        "file:///etc/passwd",
        "//hello.default.svc.cluster.local",
        "http://",
        "http:///path",
        "",
    ],
)
def test_check_when_no_pattern_matches(url: str) -> None:
    """Everything else is refused: other hosts and ports, and every way to dress one up as an allowed one."""
    with pytest.raises(HostNotAllowedError):
        AllowedHosts([DEFAULT]).check(url)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[fe80::1%25eth0]",
        "[127.0.0.1]",
        "[v1.x]",
        "169.254.169.254",
        "127.0.0.0x1",
    ],
)
def test_check_when_an_address_is_spelt_in_another_way(host: str) -> None:
    """A pattern of any name never means an address, in whatever spelling the C library would understand."""
    with pytest.raises(HostNotAllowedError):
        AllowedHosts(["*"]).check(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://loki.default:3100",
        "http://LOKI.default.:3100/loki",
        "http://loki.default.svc.cluster.local:3100",
        "https://kubernetes.default.svc.cluster.local",
        "http://localhost:8001",
    ],
)
def test_check_when_it_is_an_upstream(url: str) -> None:
    """The gateway's own upstreams are refused, whatever the patterns say."""
    upstreams = [
        "http://loki.default:3100",
        "http://loki.default.svc:3100",
        "https://kubernetes.default.svc",
        "http://builder:secret@localhost:8001/base",
    ]
    with pytest.raises(HostNotAllowedError, match="upstreams"):
        AllowedHosts(["*"], upstreams).check(url)


async def test_addresses_when_a_name_leads_to_this_machine() -> None:
    """A name that is allowed may not lead to loopback, unless that address is listed with that port."""
    by_name = AllowedHosts(["localhost"])
    with pytest.raises(HostNotAllowedError, match="an address that is not allowed"):
        await by_name.addresses(by_name.check("http://localhost:4711"))
    listed = AllowedHosts(["localhost", "127.0.0.1:4711"])
    assert await listed.addresses(listed.check("http://localhost:4711")) == [ipaddress.ip_address("127.0.0.1")]
    with pytest.raises(HostNotAllowedError):
        await listed.addresses(listed.check("http://localhost:4712"))


async def test_addresses_when_a_name_leads_to_an_upstream() -> None:
    """Another name of an upstream's address is refused as well."""
    allowed = AllowedHosts(["localhost", "127.0.0.1"], ["http://127.0.0.1:3100"])
    with pytest.raises(HostNotAllowedError):
        await allowed.addresses(allowed.check("http://localhost:3100"))
    assert await allowed.addresses(allowed.check("http://localhost:3101"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", True),
        ("172.20.3.4", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("8.8.8.8", True),
        ("fd12:3456::1", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("169.254.169.254", False),
        ("169.254.170.2", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("fe80::1", False),
        ("ff02::1", False),
        ("fd00:ec2::254", False),
        ("fd00:ec2::23", False),
        ("fd20:ce::254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2001:0:1:2::", False),
    ],
)
def test_is_safe(address: str, expected: bool) -> None:
    """Private addresses are fine, those of this machine and of the cloud's own services are not."""
    assert is_safe(ipaddress.ip_address(address)) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "http://x",
        "a:0",
        "a:65536",
        "a:",
        "a b",
        "[::1",
        "[1.2.3.4]:80",
        "a..b",
        "1.2.3",
        "*.b\u00fccher.de",
        "a/b",
        "",
    ],
)
def test_settings_when_a_pattern_is_malformed(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    """A pattern that means nothing ends the start with one line that names the setting."""
    with pytest.raises(ValueError, match=r".+"):
        HostPattern.parse(pattern)
    monkeypatch.setenv("INVOCATION_ALLOWED_HOSTS", f'["ok.example.com", "{pattern}"]')
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith("INVOCATION_ALLOWED_HOSTS: ")
    assert "\n" not in str(raised.value)


Answers = dict[str, list[str] | OSError]


def resolver(answers: Answers) -> Resolve:
    """DNS with these names, which tests may change."""

    async def resolve(host: str | Address, _port: int) -> tuple[Address, ...]:
        answer = answers[str(host)]
        if isinstance(answer, OSError):
            raise answer
        return tuple(map(ipaddress.ip_address, answer))

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "http://loki.default.svc.cluster.local",
        "http://loki.default:8080",
        "http://10-244-1-5.loki.default.svc.cluster.local:3100",
    ],
)
def test_check_when_it_is_at_another_port_of_an_upstream_or_below_it(url: str) -> None:
    """An upstream's name has no functions at any port, and neither have its pods'; a namesake's namespace may."""
    allowed = AllowedHosts(["*"], ["http://loki.default.svc.cluster.local:3100", "http://builder:8000"])
    with pytest.raises(HostNotAllowedError, match="upstreams"):
        allowed.check(url)
    allowed.check("http://hello.builder.svc.cluster.local")
    allowed.check("http://myloki.default.svc.cluster.local")


async def test_addresses_when_one_of_them_is_bad() -> None:
    """Of a name's addresses only those that may be connected to are left."""
    answers: Answers = {
        "fn.example": ["127.0.0.1", "10.0.0.1", "169.254.169.254", "10.0.0.7"],
        "loki": ["10.0.0.7"],
    }
    allowed = AllowedHosts(["*"], ["http://loki"], resolver(answers))
    assert await allowed.addresses(allowed.check("http://fn.example")) == [ipaddress.ip_address("10.0.0.1")]


async def test_addresses_when_an_upstream_does_not_resolve_any_more() -> None:
    """Its last addresses stay refused."""
    now = 0.0
    answers: Answers = {"loki": ["10.0.0.7"], "fn.example": ["10.0.0.7"]}
    allowed = AllowedHosts(["*"], ["http://loki"], resolver(answers), lambda: now)
    for later, answer in ((0.0, answers["loki"]), (REFRESH_S + 1, OSError()), (2 * REFRESH_S + 2, OSError())):
        now, answers["loki"] = later, answer
        with pytest.raises(HostNotAllowedError):
            await allowed.addresses(allowed.check("http://fn.example"))
        await asyncio.sleep(0.01)


async def test_addresses_when_an_upstream_resolves_late() -> None:
    """A failure is not remembered: the upstream is known soon after its name resolves."""
    now = 0.0
    answers: Answers = {"loki": OSError(), "fn.example": ["10.0.0.7"]}
    allowed = AllowedHosts(["*"], ["http://loki"], resolver(answers), lambda: now)
    assert await allowed.addresses(allowed.check("http://fn.example"))
    now, answers["loki"] = RETRY_S, ["10.0.0.7"]
    with pytest.raises(HostNotAllowedError):
        await allowed.addresses(allowed.check("http://fn.example"))
