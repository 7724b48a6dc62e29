"""Every backend, opened on the same standing process: the one list that the contract suite runs over."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.core_maker import gcore
from tests.support.waiting import PATIENCE_S
from tinspect import session
from tinspect.formats.report_json import to_json
from tinspect.model.options import AltstackMode, AttachOptions, SnapshotOptions

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContractBackend:
    """``report`` gives the JSON report of a pid. ``lacks`` names the facts this way of looking cannot have, each with the reason:
    the suite checks that they are told as unknown there, and docs/reference/support-matrix lists them."""

    name: str
    report: Callable[[int], Json]
    lacks: dict[str, str]


def live(pid: int) -> Json:
    return to_json(session.attach_report(pid, AttachOptions()))


def live_injected(pid: int) -> Json:
    return to_json(session.attach_report(pid, AttachOptions(altstack=AltstackMode.INJECT)))


def passive(pid: int) -> Json:
    return to_json(session.attach_report(pid, AttachOptions(passive=True)))


def gcore_core(pid: int) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        return to_json(session.core_report(str(gcore(pid, Path(folder))), None, AttachOptions()))


def snapshot(pid: int) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/snapshot"
        session.write_snapshot(pid, path, SnapshotOptions())
        return to_json(session.core_report(path, None, AttachOptions()))


def gdb_attached(pid: int) -> Json:
    return _in_gdb("-p", str(pid))


def gdb_on_core(pid: int) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        return _in_gdb(str(Path(f"/proc/{pid}/exe").readlink()), str(gcore(pid, Path(folder))))


def _in_gdb(*target: str) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        load = ROOT / "tinspect/gdb_plugin/load.py"
        command = ["gdb", "-nx", "-batch", *target, "-x", str(load), "-ex", f"tinspect report --json {path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if not path.exists():
            raise RuntimeError(f"gdb gave no report:\n{done.stdout}{done.stderr}")
        loaded: Json = json.loads(path.read_text())
        return loaded


_CORE_LACKS = {
    "name": "a core keeps the name of the process alone",
    "guard_kind": "gcore writes pages without permissions as readable ones",
    "altstack": "no core holds sigaltstack(2); only a signal frame tells of it",
    "signal_handlers": "no core holds the actions of signals",
    "main_low": "RLIMIT_STACK is in no core",
    "exact_peak": "which pages were touched is in no core: peak is what is not zero",
}

BACKENDS = (
    ContractBackend("live", live, {}),
    ContractBackend("live-injected", live_injected, {"signal_handlers": "injection asks for alternate stacks alone"}),
    ContractBackend("passive", passive, {}),
    ContractBackend("snapshot", snapshot, {}),
    ContractBackend("gcore", gcore_core, _CORE_LACKS),
    ContractBackend("gdb", gdb_attached, {}),
    ContractBackend("gdb-core", gdb_on_core, _CORE_LACKS),
)

if __name__ == "__main__":
    print(json.dumps(live(int(sys.argv[1])), indent=1))
