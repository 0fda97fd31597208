"""Writes a root and a device of it for each size of ML-DSA: python3 make.py. README.md says what with."""
import base64
import hashlib
import pathlib

from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FOLDER = pathlib.Path(__file__).parent
SIZES = {44: 17, 65: 18, 87: 19}


def tlv(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def seq(*parts):
    return tlv(0x30, *parts)


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytearray([40 * first + second])
    for arc in rest:
        piece = [arc & 0x7F]
        while arc := arc >> 7:
            piece.append(0x80 | arc & 0x7F)
        out += bytes(reversed(piece))
    return tlv(6, bytes(out))


def name(kind, text):
    return seq(tlv(0x31, seq(oid(kind), tlv(0x13 if kind == "2.5.4.5" else 0x0C, text.encode()))))


def extension(kind, value, critical=False):
    return seq(oid(kind), tlv(1, b"\xff") if critical else b"", tlv(4, value))


def certificate(number, serial, issuer, signer, subject, spki, extensions):
    algorithm = seq(oid(f"2.16.840.1.101.3.4.3.{number}"))
    validity = seq(tlv(0x17, b"260101000000Z"), tlv(0x18, b"20560101000000Z"))
    tbs = seq(
        tlv(0xA0, tlv(2, b"\x02")), tlv(2, serial), algorithm, issuer, validity, subject, spki,
        tlv(0xA3, seq(*extensions)),
    )
    return seq(tbs, algorithm, tlv(3, b"\x00", signer.sign(tbs)))


def write(path, der):
    text = base64.encodebytes(der).decode()
    (FOLDER / path).write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")


for size, number in SIZES.items():
    kind = getattr(mldsa, f"MLDSA{size}PrivateKey")
    keys = [kind.from_seed_bytes(hashlib.sha256(f"{who} {size}".encode()).digest()) for who in ("root", "device")]
    root_spki, device_spki = (key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys)
    # The octets of the BIT STRING are what is at the end: 1312, 1952 or 2592 of them.
    key_id = hashlib.sha1(root_spki[-{44: 1312, 65: 1952, 87: 2592}[size]:]).digest()
    root_name, device_name = name("2.5.4.3", f"ML-DSA-{size} root"), name("2.5.4.5", f"SN-{size}")
    root_extensions = [
        extension("2.5.29.19", seq(tlv(1, b"\xff")), True),
        extension("2.5.29.15", tlv(3, b"\x01\x06"), True),
        extension("2.5.29.14", tlv(4, key_id)),
    ]
    device_extensions = [
        extension("2.5.29.15", tlv(3, b"\x07\x80"), True),
        extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.2"))),
        extension("2.5.29.35", seq(tlv(0x80, key_id))),
    ]
    write(f"root-{size}.pem", certificate(number, b"\x01", root_name, keys[0], root_name, root_spki, root_extensions))
    write(f"device-{size}.pem", certificate(number, b"\x02", root_name, keys[0], device_name, device_spki, device_extensions))
