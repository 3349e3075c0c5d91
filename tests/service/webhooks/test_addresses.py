"""Where webhooks may go."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import InvalidJob
from batchpredict.service.settings import Settings
from batchpredict.service.webhooks import webhook_check
from batchpredict.service.webhooks.addresses import address_fault, url_fault
from batchpredict.service.webhooks.posting import is_own

HOSTS = ("hooks.x.org", "*.y.org", "[::1]", "127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.x.org",
        "https://HOOKS.X.org./path?query=1",
        "http://hooks.x.org:8080/a",
        "https://a.y.org/",
        "https://a.b.y.org/",
        "http://[::1]:9/x",
        "http://127.0.0.1/x",
    ],
)
def test_urls_that_may_be_named(url):
    assert url_fault(url, HOSTS) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.x.org",
        "ftp://hooks.x.org/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://x.org/",
        "https://y.org/",
        "https://.y.org/",
        "https://evily.org/",
        "https://hooks.x.org.evil.org/",
        "https://evil.org/hooks.x.org",
        "https://hooks.x.org@evil.org/",
        "https://evil.org\\@hooks.x.org/",
        "https://evil.org#@hooks.x.org/",
        "https://user@hooks.x.org/",
        "https://:word@hooks.x.org/",
        "https://hooks.x.org/#part",
        "https://hooks.x.org:0/",
        "https://hooks.x.org:99999/",
        "https://hooks.x.org:x/",
        "https://[::1/",
        "https://hooks.x.org/\r\nhost: evil",
        "https://hooks.x.org/ x",
        "https://h\u043eoks.x.org/",
        "https://hooks.x.org/" + "a" * 2048,
        "https://127.1/",
        "https://2130706433/",
    ],
)
def test_urls_that_may_not_be_named(url):
    assert url_fault(url, HOSTS)


def test_a_star_is_every_host():
    assert url_fault("https://anything.example", ("*",)) is None


def test_without_hosts_there_are_no_webhooks():
    assert url_fault("https://hooks.x.org", ()) == "This service sends no webhooks."


def test_a_job_is_refused_for_its_field():
    check = webhook_check(Settings(webhook_hosts=("hooks.x.org",)))
    assert check("https://hooks.x.org/a") == "https://hooks.x.org/a"
    with pytest.raises(InvalidJob) as caught:
        check("https://evil.org/")
    (violation,) = caught.value.violations
    assert violation.field == "job.webhook"
    assert violation.description == 'Webhooks may not be sent to "evil.org"; they may be sent to hooks.x.org.'


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
PRIVATE = """
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
    169.254.170.2 100.64.0.1 100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1
    192.88.99.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1 ::ffff:0:0 64:ff9b::127.0.0.1
    64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 2002:7f00:1::1 2002:a9fe:a9fe:: 2002:c0a8:101::1 2001::1 2001:db8::1
    3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 100::1
"""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert address_fault(address) is None


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_public(address):
    assert address_fault(address) == "is not a public address"


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "127.0.0.1 ", "1.2.3.4/32"])
def test_what_is_no_address(text):
    assert address_fault(text) == "is no address"


def test_a_network_may_be_allowed():
    networks = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
    assert address_fault("10.1.2.3", networks) is None
    assert address_fault("::ffff:10.1.2.3", networks) is None
    assert address_fault("64:ff9b::10.1.2.3", networks) is None
    assert address_fault("fd12::1", networks) is None
    assert address_fault("10.2.0.1", networks)


def test_a_public_address_of_this_machine_is_not_public_to_it():
    assert address_fault("8.8.8.8", own=True) == "is an address of the service itself"
    assert address_fault("8.8.8.8", [ipaddress.ip_network("8.8.8.0/24")], own=True) is None


def test_addresses_of_this_machine_are_known():
    assert is_own("127.0.0.1")
    # Nobody's: for documentation.
    assert not is_own("192.0.2.1")
    assert not is_own("no address")


@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_the_same_in_every_spelling(address):
    plain = address_fault(str(address))
    assert address_fault(f"::ffff:{address}") == plain
    assert address_fault(f"64:ff9b::{address}") == plain
    assert address_fault(str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80)))) == plain


@given(st.ip_addresses())
def test_what_python_calls_private_is_refused(address):
    if not address.is_global or address.is_loopback or address.is_multicast or address.is_link_local:
        mapped = isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.sixtofour)
        assert mapped or address_fault(str(address))


@given(st.text(max_size=50))
def test_any_text_is_a_url_or_a_fault(text):
    for url in (text, f"https://{text}", f"https://hooks.x.org{text}"):
        if url_fault(url, ("hooks.x.org",)) is None:
            assert url.lower().startswith(("https://hooks.x.org", "http://hooks.x.org"))
