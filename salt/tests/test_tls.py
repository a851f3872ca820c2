"""Server and client certificates: what is not trusted is refused, and is no outage."""

import datetime
import ipaddress
import json
import ssl

import pytest
from conftest import DOCUMENT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

BODY = json.dumps(DOCUMENT).encode()


class Authority:
    """A certificate authority that lives in one directory."""

    def __init__(self, directory):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, directory.name)])
        certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        self.ca = self._write("ca.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, extension):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _write(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def issue(self, name):
        """Return the files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, address)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._write(name + ".crt", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(name + ".key", pem),
        )


@pytest.fixture
def authority(tmp_path):
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture
def tls(server, authority):
    """The server asks for a client certificate; returns the settings of a client that it accepts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.answer = (200, {}, BODY)
    certificate, key = authority.issue("client")
    return {
        "url": server.url.replace("http:", "https:"),
        "ca": authority.ca,
        "cert": certificate,
        "key": key,
    }


def test_both_sides_show_a_certificate(ext_pillar, tls):
    assert ext_pillar(**tls) == DOCUMENT


def test_a_server_of_another_authority_is_refused_though_a_copy_is_kept(ext_pillar, tls, tmp_path):
    ext_pillar(**tls)
    directory = tmp_path / "stranger"
    directory.mkdir()
    with pytest.raises(Exception, match="TLS: .*CERTIFICATE_VERIFY_FAILED"):
        ext_pillar(**dict(tls, ca=Authority(directory).ca))


def test_a_server_of_another_name_is_refused(ext_pillar, tls):
    with pytest.raises(Exception, match="TLS: .*CERTIFICATE_VERIFY_FAILED"):
        ext_pillar(**dict(tls, url=tls["url"].replace("127.0.0.1", "localhost")))


def test_without_a_client_certificate_the_refusal_is_no_outage(ext_pillar, tls):
    ext_pillar(**tls)
    with pytest.raises(Exception, match="TLS: .*CERTIFICATE_REQUIRED"):
        ext_pillar(**dict(tls, cert=None, key=None))
