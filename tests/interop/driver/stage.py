"""Where scenarios play: a folder, certificates, ports, processes, and what arrived at the far end.

Everything listens on loopback only. Every wait has a deadline.
"""

import dataclasses
import functools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import pki
from sink import Sink

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = HERE / ".cache"
COLLECTOR = CACHE / "collector"
START_SECONDS = 30
STOP_SECONDS = 20


class Failure(Exception):
    """A scenario did not show what it is there to show."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    run: Callable
    # Shows something that is not the Collector's behaviour.
    ours_only: bool = False


@dataclasses.dataclass(frozen=True)
class Explained:
    """A failure, its stable reason, and who, why and what next in the log (and for the sender, if it is told)."""
    name: str
    reason: str
    texts: tuple


def check(condition, text):
    if not condition:
        raise Failure(text)


def eventually(what, probe, seconds=10):
    """The first true answer of probe."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Program:
    """A running process whose output goes to one file."""

    def __init__(self, name, command, folder, ports, env=None):
        self.name, self.ports = name, ports
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )
        try:
            for port in ports:
                eventually(f"{name} listens on {port}", functools.partial(self._listens, port), START_SECONDS)
        except Failure:
            self.stop()
            raise

    def _listens(self, port):
        check(self.process.poll() is None, f"{self.name} ended with {self.process.poll()}: {self.text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def text(self, offset=0):
        return self.log.read_bytes()[offset:].decode(errors="replace")

    def mark(self):
        """Where the log ends now."""
        return self.log.stat().st_size

    def wait_for_line(self, *texts, since=0):
        """The first line behind `since` that holds all texts."""
        def probe():
            return next((l for l in self.text(since).splitlines() if all(t in l for t in texts)), None)
        try:
            return eventually(f"a log line with {texts}", probe, 5)
        except Failure as failure:
            raise Failure(f"{failure}; the log says: {self.text(since)[-3000:] or 'nothing'}") from None

    def freeze(self):
        """From now on it stands still."""
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Stage:
    def __init__(self, folder, gateway, certs):
        self.folder, self.gateway_program, self.certs_program = folder, gateway, certs
        self.programs, self.shared = [], {}
        self._next_port = random.randrange(14_000, 24_000)

    def __enter__(self):
        self.sink = Sink()
        self.pki = pki.make(self.folder / "pki", self.certs_program)
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.stop()
        self.sink.close()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self):
        for program in self.programs:
            print(f"--- end of {program.log.name}\n{program.text()[-3000:]}")

    def port(self):
        """A port that is free, never handed out twice, and below those of outgoing connections."""
        while True:
            self._next_port += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self._next_port))
                    return self._next_port
                except OSError:
                    continue

    def start(self, name, program, config, ports, args=(), env=None):
        """Runs `program --config` on a text (written to a file) or on a file."""
        if isinstance(config, str):
            path = self.folder / f"{name}.yaml"
            path.write_text(config)
            config = path
        running = Program(name, [program, f"--config={config}", *args], self.folder, ports, env)
        self.programs.append(running)
        return running

    def once(self, key, make):
        """What `make(stage)` gave the first time: programs that several scenarios use."""
        if key not in self.shared:
            try:
                self.shared[key] = make(self)
            except Failure:
                self.shared[key] = Failure(f"{key} could not be set up, as above")
                raise
        if isinstance(self.shared[key], Failure):
            raise self.shared[key]
        return self.shared[key]


def command(args, env=None, seconds=60, text=""):
    """Runs a command to its end."""
    return subprocess.run(
        [str(a) for a in args], input=text, capture_output=True, text=True, errors="replace",
        timeout=seconds, env={**os.environ, **(env or {})}, check=False,
    )
