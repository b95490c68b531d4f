"""Start, stop and resume the training process. Names `train` on a command line and never imports it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from medqa import lock_holder, runs
from medqa.runs import RESERVE_BYTES, EventWriter, Run, RunError
from medqa.settings import ROOT
from medqa.spec import RunSpec, checked
from medqa.standby import Standby

# The page's threads sleep while they wait (see app.py) and leave the cores to the trainer, whose threads spin:
# measured on two cores, a training step takes 480 ms beside such a page, 1,360 ms beside one that spins too.
PAGE_ONLY = "OMP_WAIT_POLICY"
# glibc gives large blocks back to the kernel, which then hands over every small page anew. The first 160 MedMCQA rows
# take medqa-nano 7.2 s with the heap kept alone, 3.8 s in large pages too. Other systems ignore these names.
KEEP_HEAP = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**28),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_standby = Standby()
_keeps_ready = threading.Event()
BUSY = "The device is busy with the run “{holder}”. Wait until it ends, or stop it first."


def start(spec: RunSpec, folder: Path, by_visitor: bool = False) -> Run:
    """Make the run's folder, start its process. Raises SpecError, or RunError when name or device is taken."""
    checked(spec)
    run = Run(folder / spec.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"The folder of runs {folder} can't be made: {error.strerror}. Set MEDQA_RUNS.") from error
    with runs.holding(folder / ".device.lock", BUSY) as device_lock:
        try:
            run.folder.mkdir()
            if by_visitor:
                run.visitor_file.touch()
            run.write_spec(spec)
        except FileExistsError:
            raise RunError(f"There is a run “{spec.name}” already. Choose another name, or resume that one.") from None
        except OSError as error:
            shutil.rmtree(run.folder, ignore_errors=True)
            raise RunError(f"The run's folder {run.folder} can't be written: {error.strerror}.") from error
        try:
            _spawn(run, device_lock, spec.devices)
        except RunError:
            # Nothing has begun: the name stays free.
            shutil.rmtree(run.folder, ignore_errors=True)
            raise
    return run


def resume(run: Run, devices: int | None = None) -> None:
    """Go on from the newest whole checkpoint, on as many devices as its settings say or on another number.

    Raises RunError when there is no checkpoint or the run is alive, SpecError when so many can't share the batch.
    """
    if not run.checkpoints():
        raise RunError(f"The run {run.name} has no checkpoint to go on from. Start it again under another name.")
    if devices is None:
        devices = run.spec.devices
    else:
        # One device holds the base whole, also when several shared it before.
        alone = {"base_weights": "auto"} if devices == 1 else {}
        checked(replace(run.spec, devices=devices, **alone))
    with runs.holding(run.folder.parent / ".device.lock", BUSY) as device_lock:
        _spawn(run, device_lock, devices, again=True)


def stop(run: Run, at_once: bool = False) -> None:
    """Ask the trainer to finish its step, save and leave. Returns at once.

    Or, `at_once`, end it where it is and wait for that: what came after the last checkpoint is lost, the run shows as
    interrupted and can be resumed. Raises RunError where its process can't be ended.
    """
    if at_once:
        lock_holder.end(run)
    else:
        run.stop_file.touch()


def keep_ready() -> None:
    """From now on a process waits for the next run of one device; what it waits with, it holds in memory."""
    _keeps_ready.set()
    _standby.prepare(environment())


def free_name(prefix: str, folder: Path) -> str:
    """`quick-3`: the prefix with the first number above all that are taken."""
    taken = [path.name.removeprefix(f"{prefix}-") for path in folder.glob(f"{prefix}-*")]
    return f"{prefix}-{max((int(text) for text in taken if text.isdigit()), default=0) + 1}"


def with_free_name(spec: RunSpec, prefix: str, folder: Path) -> RunSpec:
    return spec if spec.name else replace(spec, name=free_name(prefix, folder))


def environment() -> dict[str, str]:
    """The trainer's: this process's own, but with waiting threads and freed memory handled as training likes it."""
    return KEEP_HEAP | {name: value for name, value in os.environ.items() if name != PAGE_ONLY}


def command(run: Run, devices: int) -> list[str]:
    """What trains the run: one process, or the launcher that starts one for each device and ends with them."""
    train = ["-m", "train", str(run.folder.resolve())]
    if devices == 1:
        return [sys.executable, *train]
    # --multi_gpu names the launcher, not the hardware: with --cpu accelerate starts several processes only under MPI.
    # What is not said here (hosts, addresses, ports) comes from accelerate's own config where the host has one.
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(devices)),
        *("--mixed_precision", "no", "--dynamo_backend", "no"),
        *train,
    ]


def _spawn(run: Run, device_lock: int, devices: int, again: bool = False) -> None:
    with runs.holding(run.folder / "lock", f"The run {run.name} is running already.") as run_lock:
        reserve = run.folder / "reserve"
        try:
            reserve.write_bytes(os.urandom(RESERVE_BYTES))
            run.stop_file.unlink(missing_ok=True)
            if again:
                EventWriter(run)("resumed")
            os.ftruncate(device_lock, 0)
            os.pwrite(device_lock, run.name.encode(), 0)
            with (run.folder / "process.log").open("ab") as log:
                handed_over = log.fileno(), run_lock, device_lock
                ready = _standby.take(run.folder.resolve(), *handed_over) if devices == 1 else None
                # Its own session: closing the server's terminal must not take the run with it.
                process = ready or subprocess.Popen(
                    command(run, devices),
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(run_lock, device_lock),
                    env=environment(),
                )
        except OSError as error:
            reserve.unlink(missing_ok=True)
            raise RunError(f"The run {run.name} can't be started in {run.folder}: {error.strerror}.") from error
    threading.Thread(target=_collect, args=(process,), daemon=True, name=f"wait-{run.name}").start()


def _collect(process: subprocess.Popen) -> None:
    """An uncollected child stays in the process table."""
    process.wait()
    if _keeps_ready.is_set():
        _standby.prepare(environment())
