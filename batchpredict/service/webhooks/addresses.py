"""Where webhooks may go: hosts by their names when a job is created, addresses when one is called. Pure.

A name is no protection: whoever owns it says where it leads, another place at each question. So the address that a
name has led to is looked at, and that very address is connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

MAX_URL = 2048

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Not public, though Python's own list does not say so, or not in each of its versions.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # between a carrier and its customers; metadata of one cloud (100.100.100.200)
        "168.63.129.16/32",  # metadata of another cloud, at a public address
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4 in IPv6 without a mark
        "64:ff9b:1::/48",  # NAT64 of a site
        "100::/64",
        "2001::/23",  # Teredo and other tunnels
        "2001:db8::/32",
        "3fff::/20",  # documentation
        "fc00::/7",  # with the metadata of a third cloud (fd00:ec2::254)
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")


def url_fault(url: str, hosts: Sequence[str]) -> str | None:
    """What is wrong with the URL of a webhook; None if nothing is.

    Args:
      hosts: names that are allowed; "*.x.org" for all below x.org, "*" for all.
    """
    if not hosts:
        return "This service sends no webhooks."
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return f"The URL of a webhook has at most {MAX_URL} visible ASCII characters."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "This is not the URL of a web server."
    if parts.scheme not in ("https", "http") or not host or port == 0:
        return "The URL of a webhook begins with https:// or http:// and the name of a host."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "The URL of a webhook holds no user, no password and no fragment."
    if not any(_matches(pattern, host) for pattern in hosts):
        return f'Webhooks may not be sent to "{host}"; they may be sent to {", ".join(hosts)}.'
    return None


def _matches(pattern: str, host: str) -> bool:
    name = host.lower().rstrip(".")
    if pattern.startswith("*"):
        return name.endswith(pattern[1:]) and name != pattern[1:]
    return name == pattern.strip("[]").rstrip(".")


def address_fault(text: str, private: Sequence[Network] = (), *, own: bool = False) -> str | None:
    """Why an address must not be connected to; None if it may be.

    Args:
      private: networks that are allowed although they are not public.
      own: it is one of this machine's, which may be public and lead behind its firewall all the same.
    """
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return "is no address"
    for each in _meanings(address):
        if any(each.version == network.version and each in network for network in private):
            continue
        refused = any(each.version == network.version and each in network for network in _REFUSED)
        if own:
            return "is an address of the service itself"
        if refused or not each.is_global or each.is_multicast or each.is_reserved:
            return "is not a public address"
    return None


def _meanings(address: Address) -> list[Address]:
    """An address, or the one of IPv4 that packets to it come to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return [address.ipv4_mapped]
        if address in _NAT64:
            return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
        if address in _6TO4:
            return [ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF)]
        # A scope says through which of our own interfaces; what is public has none.
        return [ipaddress.IPv6Address(int(address))]
    return [address]
