"""Configurations of secure connections: what is taken, in which form it is kept, and what is refused."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioreply import Certificate
from trioreply._model.ssl_configuration import (
    DEFAULT_CONFIGURATION,
    SslConfiguration,
    SslConfigurationChanges,
    TlsVersion,
    VerifyMode,
)

PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
DIGEST = bytes(range(32))
PIN = "sha256/" + base64.b64encode(DIGEST).decode()


def test_default() -> None:
    """Without arguments: the system's authorities, everything verified, and nothing that a repr would show."""
    configuration = SslConfiguration()
    assert configuration == DEFAULT_CONFIGURATION
    assert configuration.use_system_ca
    assert configuration.session_reuse
    assert configuration.verify is VerifyMode.AUTO
    assert repr(configuration) == "SslConfiguration()"


def test_numbers() -> None:
    """Modes have Qt's numbers, versions those of the standard library."""
    assert {mode.name: mode.value for mode in VerifyMode} == {"NONE": 0, "QUERY": 1, "PEER": 2, "AUTO": 3}
    names = {"TLS_1_0": "TLSv1", "TLS_1_1": "TLSv1_1", "TLS_1_2": "TLSv1_2", "TLS_1_3": "TLSv1_3"}
    assert {version.name: ssl.TLSVersion[names[version.name]].value for version in TlsVersion} == {
        version.name: version.value for version in TlsVersion
    }


def psk_of(hint: str | None) -> tuple[str, bytes]:
    """A key for every server."""
    return (hint or "nobody", b"hush")


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"ca_certificates": []}, ()),
        ({"ca_certificates": "/etc/ca.pem"}, (Path("/etc/ca.pem"),)),
        ({"ca_certificates": Path("ca.pem")}, (Path("ca.pem"),)),
        ({"ca_certificates": PEM}, (PEM.encode(),)),
        ({"ca_certificates": Certificate(b"der")}, (b"der",)),
        ({"ca_certificates": bytearray(b"der")}, (b"der",)),
        ({"ca_certificates": [PEM, "ca.pem", b"der"]}, (PEM.encode(), Path("ca.pem"), b"der")),
        ({"ca_certificates": iter(["ca.pem"])}, (Path("ca.pem"),)),
        ({"certificate": "own.pem"}, Path("own.pem")),
        ({"certificate": Certificate(b"der")}, b"der"),
        ({"private_key": "own.key", "certificate": b"der"}, Path("own.key")),
        ({"password": "hüsh"}, "hüsh".encode()),
        ({"password": b"hush"}, b"hush"),
        ({"minimum_version": "TLSv1.3"}, TlsVersion.TLS_1_3),
        ({"minimum_version": ssl.TLSVersion.TLSv1_2}, TlsVersion.TLS_1_2),
        ({"maximum_version": TlsVersion.TLS_1_1}, TlsVersion.TLS_1_1),
        ({"maximum_version": "TLSv1"}, TlsVersion.TLS_1_0),
        ({"ciphers": "HIGH:!aNULL"}, "HIGH:!aNULL"),
        ({"alpn": ["h2", "http/1.1"]}, ("h2", "http/1.1")),
        ({"alpn": ()}, ()),
        ({"alpn": ["x", "y" * 255]}, ("x", "y" * 255)),
        ({"psk": ("me", b"hush")}, ("me", b"hush")),
        ({"psk": ("", b"x")}, ("", b"x")),
        ({"psk": ("ä" * 128, bytes(256))}, ("ä" * 128, bytes(256))),
        ({"psk": psk_of}, psk_of),
        ({"pins": DIGEST}, (PIN,)),
        ({"key_log": "keys.log"}, Path("keys.log")),
    ],
)
def test_values_are_brought_into_one_form(changes: SslConfigurationChanges, kept: object) -> None:
    """However a value is given, it is kept in one form, under which configurations are equal; hashing works."""
    configuration = SslConfiguration().replace(**changes)
    name = next(iter(changes))
    assert getattr(configuration, name) == kept
    again = configuration.replace()
    assert configuration == again
    assert hash(configuration) == hash(again)
    assert len({configuration, again, DEFAULT_CONFIGURATION}) == 1 + (configuration != DEFAULT_CONFIGURATION)


@pytest.mark.parametrize(
    "pin",
    [
        PIN,
        PIN.replace("/", "//", 1),
        PIN.removeprefix("sha256/"),
        f" {PIN}\n",
        DIGEST.hex(),
        DIGEST.hex(":").upper(),
        "sha256/" + DIGEST.hex(),
        DIGEST,
    ],
)
def test_pins_in_any_spelling(pin: str | bytes) -> None:
    """A pin is the same in base64, hexadecimal and bytes; of a list neither order nor repeats matter."""
    other = "sha256/" + base64.b64encode(bytes(32)).decode()
    assert SslConfiguration(pins=pin).pins == (PIN,)
    assert SslConfiguration(pins=[pin, other, PIN]) == SslConfiguration(pins=(other, PIN))


@given(st.binary(min_size=32, max_size=32))
@example(b"\xfc" + bytes(31))  # its base64 begins with a slash
def test_any_digest_is_a_pin(digest: bytes) -> None:
    """Any 32 bytes are a pin, and every text that they become stands for the same pin."""
    (pin,) = SslConfiguration(pins=digest).pins
    text = base64.b64encode(digest).decode()
    assert SslConfiguration(pins=[text, f"sha256/{text}", f"sha256//{text}"]).pins == (pin,)
    assert base64.b64decode(pin.removeprefix("sha256/")) == digest
    assert SslConfiguration(pins=pin).pins == SslConfiguration(pins=digest.hex()).pins == (pin,)


BAD_VALUES: list[tuple[Callable[[], SslConfiguration], str]] = [
    (lambda: SslConfiguration(ca_certificates=b""), "ca_certificates: nothing is in it; give PEM or DER, or a path"),
    (lambda: SslConfiguration(ca_certificates=[""]), "ca_certificates: '' is no path"),
    (lambda: SslConfiguration(certificate="a\0b"), "certificate: 'a\\\\x00b' is no path"),
    (lambda: SslConfiguration(private_key="own.key"), "private_key: there is no certificate that it is for; give"),
    (lambda: SslConfiguration(minimum_version="1.2"), "minimum_version: '1.2' is no version of TLS; give a TlsVersion"),
    (lambda: SslConfiguration(maximum_version=0x0300), "maximum_version: 768 is no version of TLS"),
    (lambda: SslConfiguration(maximum_version=ssl.TLSVersion.MAXIMUM_SUPPORTED), "maximum_version: .* is no version"),
    (lambda: SslConfiguration(ciphers=""), "ciphers: '' names none; give OpenSSL's names"),
    (lambda: SslConfiguration(ciphers="HIGH\n"), "ciphers: 'HIGH.n' names none"),
    (lambda: SslConfiguration(ciphers="Ä"), "ciphers: 'Ä' names none"),
    (lambda: SslConfiguration(alpn=[""]), "alpn: '' is no protocol's name; give 1 to 255 ASCII characters"),
    (lambda: SslConfiguration(alpn=["x" * 256]), "alpn: 'x+' is no protocol's name"),
    (lambda: SslConfiguration(alpn=["ä"]), "alpn: 'ä' is no protocol's name"),
    (lambda: SslConfiguration(psk=("me", b"")), "psk: a key of 0 bytes; give 1 to 256"),
    (lambda: SslConfiguration(psk=("me", bytes(257))), "psk: a key of 257 bytes"),
    (lambda: SslConfiguration(psk=("m\0e", b"hush")), "psk: an identity has no NUL"),
    (lambda: SslConfiguration(psk=("ä" * 129, b"hush")), "psk: an identity has no NUL in it, and in UTF-8 at most 256"),
    (lambda: SslConfiguration(pins=["sha256/abc"]), "pins: 'sha256/abc' is none; give 'sha256/' and the base64"),
    (lambda: SslConfiguration(pins=DIGEST[1:]), "pins: .* is none; give"),
    (lambda: SslConfiguration(pins="sha1/" + PIN[7:]), "pins: 'sha1/.*' is none"),
    (lambda: SslConfiguration(pins=["zz" * 32]), "pins: 'z+' is none"),
    (lambda: SslConfiguration(pins=["é"]), "pins: 'é' is none"),
    (lambda: SslConfiguration(key_log=""), "key_log: '' is no path; give the path of a file"),
]


@pytest.mark.parametrize(("make", "complaint"), BAD_VALUES)
def test_impossible_values(make: Callable[[], SslConfiguration], complaint: str) -> None:
    """A value that cannot be meant is refused at once, by a text that starts with the field and says what to do."""
    with pytest.raises(ValueError, match=f"^{complaint}"):
        make()


@attrs.define(eq=True, unsafe_hash=False)
class Finder:
    """Something that finds keys, and that cannot be hashed."""

    def __call__(self, hint: str | None) -> tuple[str, bytes]:
        """Nobody's key."""
        return psk_of(hint)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ca_certificates", None, "None is neither one nor several; give a list, which may be empty"),
        ("ca_certificates", [None], "NoneType is neither a path nor PEM nor DER; give one of these"),
        ("certificate", ["own.pem"], "list is neither a path nor PEM nor DER"),
        ("private_key", Certificate(b"der"), "a certificate holds no key; give the key"),
        ("password", ["hush"], "list is none; give text or bytes"),
        ("ciphers", ["HIGH"], ".* is no text; give OpenSSL's names"),
        ("alpn", "h2", "'h2' is no list; give several names"),
        ("alpn", 2, "2 is no list"),
        ("alpn", [b"h2"], "b'h2' is no text; give names such as 'http/1.1'"),
        ("psk", "hush", "give an identity .text. and a key .bytes., or a function of the hint"),
        ("psk", ("me", "hush"), "give an identity"),
        ("psk", ("me",), "give an identity"),
        ("psk", Finder(), "unhashable type: 'Finder', and connections are kept under it; give a plain function"),
        ("pins", 7, "7 is neither one nor several"),
        ("pins", [7], "7 is none; give text such as Certificate.pin, or 32 bytes"),
        ("key_log", 7, "int is neither a path"),
        ("key_log", b"keys.log", "bytes is neither a path"),
        ("verify", 2, "2 is no way to verify; give a member of VerifyMode"),
        ("use_system_ca", None, "None is neither; give True or False"),
        ("session_reuse", 1, "1 is neither; give True or False"),
    ],
)
def test_wrong_types(name: str, value: object, complaint: str) -> None:
    """A value of a wrong type is refused at once, by a text that starts with the field; secrets are not in it."""
    wrong: SslConfigurationChanges = {name: value}  # type: ignore[misc]  # the checker sees that it is wrong
    with pytest.raises(TypeError, match=f"^{name}: {complaint}") as caught:
        SslConfiguration().replace(**wrong)
    assert "hush" not in str(caught.value)


def test_repr_has_no_secrets() -> None:
    """The repr shows what differs from the default, and neither passwords nor keys, nor what may hold keys."""
    configuration = SslConfiguration(
        ca_certificates=["ca.pem", b"hush"],
        certificate=PEM + "hush",
        private_key=b"hush",
        password="hush",
        psk=("me", b"hush"),
        verify=VerifyMode.QUERY,
        use_system_ca=False,
    )
    assert repr(configuration) == (
        f"SslConfiguration(ca_certificates=({Path('ca.pem')!r}, <4 bytes>), use_system_ca=False, "
        f"certificate=<{len(PEM) + 4} bytes>, private_key=<4 bytes>, password=<hidden>, "
        "verify=<VerifyMode.QUERY: 1>, psk=<hidden>)"
    )


def test_values_stay_as_they_are() -> None:
    """A configuration cannot be changed, only copied with changes, which are checked too."""
    configuration = SslConfiguration(pins=PIN)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        configuration.pins = ()  # type: ignore[misc]  # that is the point
    assert configuration.replace(pins=[]) == DEFAULT_CONFIGURATION
    with pytest.raises(ValueError, match=r"^pins: "):
        configuration.replace(pins="x")
    with pytest.raises(TypeError, match="nonsense"):
        configuration.replace(nonsense=1)  # type: ignore[call-arg]  # that is the point
