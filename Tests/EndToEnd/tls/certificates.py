"""Certificates in a folder, made by `shunt cert`; revocation lists by openssl."""

import socket
import ssl
import subprocess
from pathlib import Path

from exchange import parse_address
from processes import PATIENCE, run


class Certificates:
    """An authority, and what it has signed: a server's certificate in server.pem, clients' by their names."""

    def __init__(self, folder: Path, authority="Our-CA"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.make("--ca", authority)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def make(self, *arguments):
        made = run("cert", *arguments, "--out", self.folder)
        assert made.returncode == 0, made.stderr

    def server(self, name="localhost", file="server"):
        """The files appear under their names whole, the key first."""
        draft = self.folder / "draft"
        draft.mkdir(exist_ok=True)
        for authority in ("ca.pem", "ca.key"):
            (draft / authority).write_bytes((self.folder / authority).read_bytes())
        made = run("cert", "--server", name, "--also", "127.0.0.1", "--out", draft)
        assert made.returncode == 0, made.stderr
        for kind in ("key", "pem"):
            (draft / f"server.{kind}").replace(self.folder / f"{file}.{kind}")

    def client(self, name: str):
        self.make("--client", name)

    def revoke(self, *names: str, seconds: int | None = None):
        """Writes crl.pem, a list of these clients alone, which holds for 30 days, or so many seconds."""
        (self.folder / "index").write_text("")
        (self.folder / "crlnumber").write_text("01\n")
        (self.folder / "openssl.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self['index']}\ncrlnumber={self['crlnumber']}\ndefault_md=sha256\ndefault_crl_days=30\n")
        base = ["openssl", "ca", "-config", self["openssl.cnf"], "-keyfile", self["ca.key"], "-cert", self["ca.pem"]]
        for name in names:
            subprocess.run([*base, "-revoke", self[f"{name}.pem"]], check=True, capture_output=True)
        period = ["-crlsec", str(seconds)] if seconds else []
        subprocess.run([*base, "-gencrl", "-out", self["crl.new"], *period], check=True, capture_output=True)
        (self.folder / "crl.new").replace(self.folder / "crl.pem")

    def context(self, client: str | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client's, who trusts the authority."""
        context = ssl.create_default_context(cafile=self["ca.pem"])
        if client:
            context.load_cert_chain(self[f"{client}.pem"], self[f"{client}.key"])
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def connect(self, address: str, client: str | None = None, name="localhost", version=None, session=None, context=None) -> ssl.SSLSocket:
        context = context or self.context(client, version)
        plain = socket.create_connection(parse_address(address), timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise


def is_closed(client) -> bool:
    """Waits for the other side to close; fails where it does not in time."""
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
