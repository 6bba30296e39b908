"""A Slurm of two nodes on one machine: munge, a controller, two node daemons."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import BIN

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
NODES = ("n1", "n2")
CPUS = 4

_CONFIG = """\
ClusterName=test
FirstJobId={first_job}
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=1,sched_interval=1,requeue_setup_env_fail
MinJobAge=3600
KillWait=5
OverTimeLimit=0
ReturnToService=2
MpiDefault=none
JobRequeue=1
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Programs of Slurm that are not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


@dataclass
class Cluster:
    """A running Slurm; `environment` leads its commands to it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        """Start all daemons and wait until both nodes are idle."""
        host = socket.gethostname()
        ports = _free_ports(3)
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
            "RealMemory=4000 State=UNKNOWN"
            for node, port in zip(NODES, ports[1:], strict=True)
        )
        config = self.folder / "slurm.conf"
        config.write_text(
            _CONFIG.format(
                host=host,
                folder=self.folder,
                ports=ports,
                nodes=nodes,
                names=",".join(NODES),
                # MPICH names shared memory by the job: no other Slurm of this machine has it.
                first_job=1000 + secrets.randbelow(60_000_000),
            )
        )
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI"))},
            "SLURM_CONF": str(config),
            "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._spawn(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munge.seed",
        )
        self._await(lambda: (self.folder / "munge.socket").exists(), "munge's socket")
        self._spawn("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        self._await(lambda: self("sinfo", "-h", "-o", "%T").split() == ["idle"], "two idle nodes")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._spawn(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node and all it has started, as a loss of power would."""
        self._daemons.pop(node).kill()
        # All at once: a step daemon that saw its script die would report the job as failed.
        processes = sorted(self.processes_on(node), key=lambda p: "slurmstepd" not in p.name())
        for end in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(process)
        self("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed")

    def revive_node(self, node: str) -> None:
        """Start the daemon of a killed node and wait until the node is idle."""
        self.start_node(node)
        # Refused if the daemon has registered, and so brought its node back, before.
        self("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
        self._await(lambda: self("sinfo", "-h", "-n", node, "-o", "%T").split() == ["idle"], node)

    def take_back_drained_nodes(self) -> None:
        """Resume nodes that Slurm has drained: on a slow machine it takes ends for failures."""
        for line in self("sinfo", "-h", "-N", "-o", "%N %t %E").splitlines():
            node, state, reason = line.split(maxsplit=2)
            if state.startswith("drain"):
                warnings.warn(f"node {node} was drained: {reason}", stacklevel=2)
                self("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)

    def processes_on(self, node: str) -> list[psutil.Process]:
        """What jobs have running on a node, and the step daemons over it."""
        processes: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if (
                    environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                    and environment.get("SLURMD_NODENAME") == node
                ):
                    daemons = (p for p in process.parents() if "slurmstepd" in p.name())
                    processes |= {p.pid: p for p in (process, *daemons)}
            except psutil.Error:
                continue
        return list(processes.values())

    def stop(self) -> None:
        """Cancel all jobs and end all daemons."""
        self("scancel", "--full", "--user=root", check=False)
        for name in (*NODES, "slurmctld", "munged"):
            if name in self._daemons:
                self._daemons[name].terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def __call__(self, *command: str | Path, check: bool = True, cwd: Path | None = None) -> str:
        """Run a command against this Slurm; its standard output."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def _spawn(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        self._daemons[name] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )

    def _await(self, condition: object, what: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if condition():  # type: ignore[operator]
                    return
            except AssertionError:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"no {what} within {seconds} s; see {self.folder}")
            time.sleep(0.1)


def make_folder() -> Path:
    """A folder for a cluster; short, because a socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    folder.chmod(0o755)  # munge wants its socket to be reachable
    return folder


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
