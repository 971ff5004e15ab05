"""Scripts in processes of their own, without the seconds that PyTorch takes to load.

One process, the *original*, loads the large packages and runs nothing else. For each script a copy of it is made (a
fork): it starts at once, what it changes goes with its process, and it may be killed. Where processes cannot be copied
safely (macOS, Windows), each script is an ordinary new process.

As a program, this file is the original. It reads lines of JSON and answers each with one.
"""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

LARGE = ('torch', 'torchvision', 'matplotlib.pyplot', 'nbdev.test')
CAN_FORK = sys.platform == 'linux'


class Copy:
    "A running script."

    def __init__(self, originals: 'Originals', pid: int, printed: Path):
        self.originals = originals
        self.pid = pid
        self.printed = printed
        self.status = None

    def poll(self, how: str = 'poll') -> int | None:
        "The exit status, negative if a signal ended it; None while it runs."
        if self.status is None:
            self.status = self.originals.ask(how, self.pid)
        return self.status

    def wait(self) -> int:
        "The exit status, when there is one."
        return self.poll('wait')

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def text(self) -> str:
        "What it has printed."
        return self.printed.read_text(encoding='utf-8', errors='replace')


class NewProcess(subprocess.Popen):
    "The same where nothing can be copied."

    def __init__(self, command: list[str], cwd: Path, printed: Path):
        self.printed = printed
        with open(printed, 'w', encoding='utf-8') as file:
            super().__init__(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)

    text = Copy.text


class Originals:
    "Starts scripts; the process that is copied begins with the first of them, and ends with `close`."

    def __init__(self):
        self.process = None

    def ask(self, *question) -> int | None:
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, 'the process that is copied has died'
        return json.loads(answer)

    def start(self, code: str, *args, printed: Path, cwd: Path, limit: int = 900) -> 'Copy | NewProcess':
        "Run `code` with `sys.argv[1:] = args` for at most `limit` seconds; what it prints goes into a file."
        args = [str(o) for o in args]
        if not CAN_FORK:
            return NewProcess([sys.executable, '-c', code, *args], cwd, printed)
        if self.process is None:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True)
        return Copy(self, self.ask('start', code, args, str(printed), str(cwd), limit), printed)

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()


def finish(processes: list['Copy | NewProcess']) -> None:
    "Waits for processes; all have to end well."
    try:
        ends = [p.wait() for p in processes]
    finally:
        for p in processes:
            p.kill()
    assert not any(ends), '\n'.join(p.text() for p in processes)


def begin(code: str, args: list[str], printed: str, cwd: str, limit: int) -> int:
    "Runs the script in a copy of this process; returns its number in this process, and never in the copy."
    pid = os.fork()
    if pid:
        return pid
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number, to in enumerate((nothing, file, file)):
        os.dup2(to, number)
    signal.alarm(limit)  # ends it
    os.chdir(cwd)
    sys.argv[1:] = args
    exec(compile(code, '<script>', 'exec'), {'__name__': '__main__'})
    sys.exit()


def status(pid: int, options: int) -> int | None:
    "The exit status; None while it runs."
    done, how = os.waitpid(pid, options)
    return os.waitstatus_to_exitcode(how) if done else None


if __name__ == '__main__':
    for name in LARGE:
        import_module(name)
    do = {'start': begin, 'poll': lambda pid: status(pid, os.WNOHANG), 'wait': lambda pid: status(pid, 0)}
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(do[what](*arguments)), flush=True)
