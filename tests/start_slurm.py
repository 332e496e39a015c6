"""A Slurm of one node in a folder: munged, slurmctld and slurmd, with ports and sockets of their own.

For tests, and by hand: `python tests/start_slurm.py FOLDER` keeps it up until Ctrl-C and says what to export. Needs
Debian's `slurm-wlm` and `munge`; neither root, systemd nor control groups.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# Ends all that is left of a cluster, jobs too, when the process that holds the other end of its input is gone, however that
# ended: a test run that is killed clears nothing up. All of the cluster is known by its configuration. `done`: nothing is left.
_WATCH = """
import glob, os, signal, sys, time
if sys.stdin.read() == "done":
    sys.exit()
for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(folder + "/environ", "rb") as file:
                is_ours = b"SLURM_CONF=" + os.fsencode(sys.argv[1]) in file.read().split(b"\\0")
            if is_ours and int(folder[6:]) != os.getpid():
                os.kill(int(folder[6:]), how)
        except OSError:  # It has ended, or is another user's.
            pass
    time.sleep(2)
"""
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo")
_START_SECONDS = 60
_CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A job that is put back into the queue waits until its credential has expired, two minutes by default. With 6 seconds, the
# least, a step fails where slurmd is late by as many: on a busy machine, or one that was paused.
AuthInfo=socket={folder}/munge.socket,cred_expire=30
MessageTimeout=60
BatchStartTimeout=60
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0,defer_batch=no
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
InactiveLimit=0
KillWait={kill_wait_seconds}
MinJobAge=300
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/node
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mib} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES PriorityTier=1 State=UP
PartitionName=urgent Nodes={host} PriorityTier=2 State=UP
"""


def list_missing_programs() -> list[str]:
    """What of Slurm and munge is not installed here."""
    return [name for name in _PROGRAMS if find_program(name) is None]


def find_program(name: str) -> str | None:
    """The program's path; daemons often lie where only root's PATH leads."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


@contextlib.contextmanager
def start_slurm(
    folder: Path, cpus: int = 2, memory_mib: int = 4096, kill_wait_seconds: int = 5
) -> Iterator[dict[str, str]]:
    """Gives the variables by which Slurm's commands find the cluster; its daemons and their jobs end with the block.

    Raises:
        RuntimeError: the node is not up within a minute; with the ends of the logs.
    """
    for name in ("node", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    control_port, node_port = _find_free_ports(2)
    text = _CONFIGURATION.format(
        folder=folder,
        host=host,
        user=getpass.getuser(),
        control_port=control_port,
        node_port=node_port,
        cpus=cpus,
        memory_mib=memory_mib,
        kill_wait_seconds=kill_wait_seconds,
    )
    (folder / "slurm.conf").write_text(text)
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_watch(variables))
        munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
        munge += [f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed"]
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            stack.enter_context(_daemon(command, folder / f"{command[0]}.out", variables))
            if command is munge:
                _wait_until((folder / "munge.socket").is_socket, folder)
        _wait_until(lambda: _ask(["sinfo", "-h", "-o", "%T"], variables) == "idle", folder)
        stack.callback(_ask, ["scancel", "--signal=KILL", "--user", getpass.getuser()], variables)
        yield variables


@contextlib.contextmanager
def _watch(variables: dict[str, str]) -> Iterator[None]:
    """Lets the cluster end with this process, even where that is killed within the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WATCH, variables["SLURM_CONF"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate("done")


@contextlib.contextmanager
def _daemon(command: Sequence[str], log: Path, variables: dict[str, str]) -> Iterator[None]:
    """Runs a daemon in a session of its own; ends it with what it has started."""
    program = find_program(command[0])
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program or command[0], *command[1:]],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ask(command: Sequence[str], variables: dict[str, str]) -> str:
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.strip()


def _wait_until(condition, folder: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > end:
            ends = (
                f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(folder.glob("*.log"))
            )
            raise RuntimeError("Slurm did not come up\n" + "\n".join(ends))
        time.sleep(0.1)


def _find_free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def main(folder: Path) -> None:
    """Keeps a cluster up until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A background job of a shell would ignore it.
    with start_slurm(folder.resolve()) as variables, contextlib.suppress(KeyboardInterrupt):
        print("\n".join(f"export {name}={value}" for name, value in variables.items()), flush=True)
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
