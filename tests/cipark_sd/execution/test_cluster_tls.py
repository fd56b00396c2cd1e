"""A scheduler that is spoken to by TLS, with certificates that an authority of our own has signed."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import worker_tasks
from schedulers import environment, listening_at, started

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from cipark_sd.base.errors import InvalidValue
from cipark_sd.execution import cluster as cluster_module
from cipark_sd.execution.cluster import Cluster, ClusterFailed

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl"),
]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path) -> Path:
    """An authority and a node's certificate, made as docs/how-to/reliability.md says, for a day."""
    folder.mkdir()
    key = ("-newkey", "rsa:2048", "-nodes")
    openssl(folder, "req", "-x509", *key, "-days", "1", "-subj", "/CN=runs", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", *key, "-subj", "/CN=node", "-keyout", "node.key", "-out", "node.csr")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-out", "node.pem")
    openssl(folder, "x509", "-req", "-in", "node.csr", *signed)
    return folder


def settings(folder: Path) -> dict[str, str]:
    """What dask reads of the certificates, as variables of the environment."""
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    found = {f"{tls}CA_FILE": str(folder / "ca.pem")}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {f"{tls}{role}__CERT": str(folder / "node.pem"), f"{tls}{role}__KEY": str(folder / "node.key")}
    return found


@contextmanager
def configured(folder: Path) -> Iterator[None]:
    """This process as a client with certificates."""
    import dask

    own = {"ca-file": "ca.pem", "client.cert": "node.pem", "client.key": "node.key"}
    with dask.config.set({f"distributed.comm.tls.{name}": str(folder / file) for name, file in own.items()}):
        yield


def test_tasks_go_to_another_machine_by_tls_and_to_nobody_without_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = authority(tmp_path / "ours"), authority(tmp_path / "theirs")
    environ = {**environment(), **settings(ours)}
    with ExitStack() as stack:
        own = ("--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = listening_at(stack.enter_context(started("dask_scheduler", *own, environ=environ)), "tls")
        worker = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        stack.enter_context(started("dask_worker", address, *worker, environ=environ))
        with configured(ours), Cluster(address) as cluster:
            answers, _ = cluster.run([worker_tasks.Square(i) for i in range(5)])
        assert [int(answer["value"]) for answer in answers if answer is not None] == [0, 1, 4, 9, 16]
        monkeypatch.setattr(cluster_module, "CONNECT", 2.0)
        # one whom another authority knows, one without any, and one who does not speak TLS
        with configured(theirs), pytest.raises(ClusterFailed, match="no scheduler answers at tls://"):
            Cluster(address).run([worker_tasks.Square(1)])
        with pytest.raises(
            InvalidValue, match=r"lacks distributed\.comm\.tls\.ca-file, .* \(docs/how-to/reliability.md\)"
        ):
            Cluster(address)
        with pytest.raises(ClusterFailed, match="no scheduler answers at tcp://"):
            Cluster(address.replace("tls://", "tcp://")).run([worker_tasks.Square(1)])
