"""The other servers of the same run: nginx (what the machine can do) and the media repository of Synapse (Python, of the same shape)."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes
from benchmarks.node import PASSWORD, Server
from benchmarks.processes import CannotRun

NGINX_CONF = Path(__file__).with_name("nginx.conf.in")
SYNAPSE_EXTRA = """
listeners:
  - {{port: {port}, type: http, bind_addresses: ['127.0.0.1'], x_forwarded: false, resources: [{{names: [client], compress: false}}]}}
max_upload_size: 200M
trusted_key_servers: []
url_preview_enabled: false
presence: {{enabled: false}}
"""


def nginx_program() -> str:
    """The path of an nginx with WebDAV; installed where we may."""
    if (found := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "nginx-extras"]):
            subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise CannotRun("nginx is missing: install it as root with apt-get install nginx-extras.")
    return found


def synapse_python(cache: Path) -> str:
    """The Python of a virtual environment with Synapse, made in the cache folder at first use (a minute)."""
    venv = cache / "synapse"
    python = venv / "bin/python"
    if not (venv / "bin/register_new_matrix_user").exists():
        print("Installing Synapse as a peer; this takes a minute, once.", file=sys.stderr)
        steps = ([sys.executable, "-m", "venv", str(venv)], [str(python), "-m", "pip", "install", "-q", "matrix-synapse"])
        for step in steps:
            if subprocess.run(step, stdout=sys.stderr, check=False).returncode:
                raise CannotRun(f"Synapse could not be installed: {' '.join(step)} failed. Go on without it: --peers nginx.")
    return str(python)


@contextlib.contextmanager
def nginx(folder: Path, sizes: dict[str, int]) -> Iterator[Server]:
    """nginx with one worker: PUT /dav/… and GET /files/… by sendfile. `sizes`: the files to offer, by id."""
    for name in ("vol/.parts", "files", "tmp"):
        (folder / name).mkdir(parents=True)
    for name, size in sizes.items():
        (folder / "files" / name).write_bytes(os.urandom(min(size, 1 << 20)) * (-(-size // (1 << 20))))
        os.truncate(folder / "files" / name, size)
    port = processes.free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    text = NGINX_CONF.read_text().replace("@DIR@", str(folder)).replace("@PORT@", str(port))
    (folder / "nginx.conf").write_text(user + text)
    with processes.running([nginx_program(), "-p", str(folder), "-c", str(folder / "nginx.conf")], folder) as pid:
        processes.wait_for(port, "/", pid, folder / "server.log")
        yield Server("nginx", port, pid, "", folder / "vol", "PUT /dav/{n}.bin", "GET /files/{id}")


@contextlib.contextmanager
def synapse(folder: Path, cache: Path) -> Iterator[Server]:
    """Synapse with one user; the media repository answers under /_matrix."""
    python, port = synapse_python(cache), processes.free_port()
    config, extra = folder / "hs.yaml", folder / "extra.yaml"
    module = [python, "-m", "synapse.app.homeserver"]
    generate = ["--generate-config", "--report-stats=no", "--server-name", "localhost", "--config-path", str(config)]
    subprocess.run([*module, *generate, "--data-directory", str(folder)], cwd=folder, check=True, stdout=sys.stderr)
    extra.write_text(SYNAPSE_EXTRA.format(port=port))
    for log in folder.glob("*.log.config"):
        log.write_text(log.read_text().replace("level: INFO", "level: WARNING"))
    with processes.running([*module, "-c", str(config), "-c", str(extra)], folder) as pid:
        processes.wait_for(port, "/_matrix/client/versions", pid, folder / "server.log")
        token = _synapse_token(python, port, config)
        lines = ("POST /_matrix/media/v3/upload?filename=f.bin", "GET /_matrix/client/v1/media/download/{id}")
        yield Server("synapse", port, pid, token, folder / "media_store/local_content", *lines)


def _synapse_token(python: str, port: int, config: Path) -> str:
    secret = re.search(r'registration_shared_secret: "(.+)"', config.read_text())
    assert secret
    base = f"http://127.0.0.1:{port}"
    register = Path(python).with_name("register_new_matrix_user")
    names = ["-u", "bench", "-p", PASSWORD, "--no-admin", "-k", secret[1], base]
    subprocess.run([str(register), *names], check=True, stdout=sys.stderr)
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bench"}, "password": PASSWORD}
    with urllib.request.urlopen(f"{base}/_matrix/client/v3/login", json.dumps(login).encode()) as answer:
        return str(json.load(answer)["access_token"])
