"""Runs notebooks by `nbdev_test`, each in a process of its own.

Loading PyTorch and what else every notebook imports takes longer than most notebooks themselves. So one process, which
runs no cell, loads that once, and a copy of it (a fork) is made for each notebook: it starts at once, and what a
notebook changes goes with its process. Where processes cannot be copied safely (macOS, Windows), each loads for itself.

As a program, this file reads lines of JSON, `[notebook, file for what is printed, seconds]`, and answers each with the
exit status.
"""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from project import ROOT

CAN_FORK = sys.platform == 'linux'


class NotebookServer:
    "The process that is copied; started with the first notebook, ended by `close`."

    def __init__(self):
        self.process = None

    def run(self, notebook: Path, printed: Path, limit: int) -> int:
        "Run one notebook, and write what it prints into a file; the exit status, negative if a signal ended it."
        if not CAN_FORK:
            return run_alone(notebook, printed, limit)
        if self.process is None:
            command, pipe = [sys.executable, __file__], subprocess.PIPE
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        print(json.dumps([str(notebook), str(printed), limit]), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def run_alone(notebook: Path, printed: Path, limit: int) -> int:
    "The same in a new process, which loads everything."
    command = [str(Path(sys.executable).parent / 'nbdev_test'), '--path', str(notebook), '--n_workers', '0']
    with open(printed, 'w', encoding='utf-8') as file:
        return subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=limit).returncode


def run_in_copy(notebook: str, printed: str, limit: int) -> int:
    "Run one notebook in a copy of this process, which a signal ends after `limit` seconds."
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, to in enumerate((nothing, file, file)):
        os.dup2(to, number)
    signal.alarm(limit)
    nbdev_test(path=notebook, n_workers=0)  # exits with 1 if a cell fails
    sys.exit(0)


if __name__ == '__main__':
    for name in ('torch', 'torchvision', 'matplotlib.pyplot'):
        import_module(name)
    from nbdev.test import nbdev_test

    for line in sys.stdin:
        print(run_in_copy(*json.loads(line)), flush=True)
