"""The proxies of `deploy/`, each with its example file, in which only addresses and certificates are replaced."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.channel import PATIENCE_S, wait_for
from tests.support.running.ports import free_port

DEPLOY = Path(__file__).parents[3] / "deploy"
NGINX = """daemon off; pid nginx.pid; error_log stderr; events {{}}
{user}
http {{
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
    uwsgi_temp_path u; scgi_temp_path s;
    include site.conf;
}}
"""
CADDY = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"


def program(name: str) -> str | None:
    """Return the path of a proxy that is installed; Debian installs them outside of a user's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def edited(name: str, changes: Mapping[str, str]) -> str:
    """Return an example file with these replacements, each of which must apply."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} has no {old}"
        text = text.replace(old, new)
    return text


def certificate(folder: Path) -> Path:
    """Make a key and a certificate for localhost, in one file."""
    key, made, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    both.write_bytes(made.read_bytes() + key.read_bytes())
    return both


@contextmanager
def proxy(name: str, folder: Path, studio: str, token: str) -> Iterator[str]:
    """Run a proxy with TLS in front of the studio at this address; yields the proxy's address, without a prefix."""
    pem, port = certificate(folder), free_port()
    command = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}[name](folder, pem, port, studio)
    path = program(name)
    assert path is not None
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "STUDIO_TOKEN": token}
    with subprocess.Popen([path, *command], env=environment, stdout=sys.stderr, cwd=folder) as process:
        try:
            listening(port, process)
            yield f"https://localhost:{port}"
        finally:
            process.terminate()


def nginx(folder: Path, pem: Path, port: int, studio: str) -> list[str]:
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "server_name studio.example.com": "server_name localhost",
        "/etc/ssl/studio.pem": str(pem), "/etc/ssl/studio.key": str(pem), "127.0.0.1:8750": studio,
    }  # fmt: skip
    (folder / "site.conf").write_text(edited("nginx.conf", changes), encoding="utf-8")
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user), encoding="utf-8")
    return ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, pem: Path, port: int, studio: str) -> list[str]:
    changes = {
        "\nstudio.example.com {": f"\nhttps://localhost:{port} {{\n\ttls {pem} {pem}", "127.0.0.1:8750": studio,
    }  # fmt: skip
    (folder / "Caddyfile").write_text(CADDY + edited("Caddyfile", changes), encoding="utf-8")
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def haproxy(folder: Path, pem: Path, port: int, studio: str) -> list[str]:
    changes = {
        "bind :8443 ssl crt /etc/haproxy/studios.pem": f"bind 127.0.0.1:{port} ssl crt {pem}",
        "10.0.0.1:8750": studio, "10.0.0.2:8750": f"127.0.0.1:{free_port()}",
    }  # fmt: skip
    (folder / "haproxy.cfg").write_text(edited("haproxy.cfg", changes), encoding="utf-8")
    return ["-db", "-f", str(folder / "haproxy.cfg")]


def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the proxy accepts connections."""

    def listens() -> bool:
        assert process.poll() is None, "the proxy has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
        except OSError:
            return False
        return True

    wait_for(listens, PATIENCE_S, "the proxy listens", every=0.05)
