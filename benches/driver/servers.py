"""Servers as processes: started on one core, asked what they have used, stopped."""

import glob
import os
import re
import shlex
import signal
import socket
import subprocess
import time


class Server:
    """A program that listens on a port of loopback."""

    def __init__(self, command, core, port, log):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SystemExit(f"port {port} is in use")
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *shlex.split(command)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )
        try:
            self.wait_for(port)
        except BaseException:
            self.stop()
            raise

    def wait_for(self, port):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.03)
        with open(self.log, errors="replace") as output:
            raise RuntimeError(f"does not listen: {output.read()[-300:]}")

    def stop(self):
        """Ends the program, and whatever it has started."""
        processes = tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in processes[1:]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def cpu(self):
        """Seconds of CPU time that all its processes have used so far.

        The scheduler's figures are exact, but those of threads that have ended are gone. Where the coarse ones of whole
        processes are clearly higher, threads have come and gone, and they are the truth.
        """
        exact = coarse = 0
        for process in tree(self.process.pid):
            user, system = ticks(process)
            coarse += user + system
            for path in glob.glob(f"/proc/{process}/task/*/schedstat"):
                exact += int((read(path) or "0").split()[0])
        exact, coarse = exact / 1e9, coarse / os.sysconf("SC_CLK_TCK")
        return coarse if coarse > exact * 1.02 + 0.02 else exact

    def user_share(self, since=(0, 0)):
        """User and system time so far, in ticks, and the share of user time after `since`."""
        user = sum(ticks(process)[0] for process in tree(self.process.pid))
        system = sum(ticks(process)[1] for process in tree(self.process.pid))
        spent = user - since[0] + system - since[1]
        return (user, system), (user - since[0]) / spent if spent else 0

    def memory(self):
        """KiB of resident memory, what several processes share counted once."""
        sizes = (read(f"/proc/{process}/smaps_rollup") for process in tree(self.process.pid))
        return sum(int(re.search(r"^Pss:\s+(\d+)", size, re.M)[1]) for size in sizes if size)


def tree(process):
    """A process and all that it has started, however deep."""
    processes = [process]
    for path in glob.glob(f"/proc/{process}/task/*/children"):
        for child in (read(path) or "").split():
            processes += tree(int(child))
    return processes


def ticks(process):
    """User and system time of a process and of its children that have ended."""
    fields = (read(f"/proc/{process}/stat") or ") " + "0 " * 20).rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[13]), int(fields[12]) + int(fields[14])


def read(path):
    """The text of a file of /proc, nothing when the process has gone."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def load_of_others(seconds=0.3):
    """The share of all cores that is in use while nothing is measured."""
    def sample():
        fields = [int(field) for field in read("/proc/stat").split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle = sample()
    time.sleep(seconds)
    total_later, idle_later = sample()
    return 1 - (idle_later - idle) / max(1, total_later - total)
