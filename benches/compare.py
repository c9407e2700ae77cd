#!/usr/bin/env python3
"""CPU time and memory of chaski's programs beside those of other projects, on loopback, in one run.

    cargo xtask bench --compare [SCENARIO...] [--rounds N] [--secs N] [--only NAME,NAME..] [--list]

builds what is needed and calls this script. The server runs on one core with one worker, the load on another. Peers take
turns, and each has the same rounds; the figure that counts is the lowest CPU time per unit of work, since what else runs on
the machine only adds to it. Figures of different runs do not compare, and less than 10% apart is a tie.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from driver import loads, requests, servers
from driver.peers import CELLS, CHASKI, FAR_CELLS, PEERS, Place

PORT, ORIGIN, TARGET, FAR = 28080, 28090, 28099, 28095
TIE = 0.10
IDLE = 10_000
# What the load keeps for each is more than what servers do.
IDLE_TLS = 2_000
# For h2c-hello and tls-h2-hello.
H2_CONNECTIONS, H2_STREAMS = 16, 32
# How often every stream of a far cell is used: often enough for windows to have grown.
FAR_TURNS = {"0": 20, "1k": 20, "64k": 20, "1m": 4}
# Inside the namespace that this script makes for itself.
INSIDE = "CHASKI_BENCH_NAMESPACE"


class Scenario:
    """A load, the unit of its work, and how much CPU time is told of it; where the way is far, how much time in all."""

    def __init__(self, unit, cost, scale, load, origin=False, far=False):
        self.unit, self.cost, self.scale, self.load, self.origin, self.far = unit, cost, scale, load, origin, far


def requests_of(load, origin=False):
    return Scenario("requests", "us per request", 1e6, load, origin)


def handshakes_of(resumed):
    return Scenario(
        "handshakes", "us per handshake", 1e6,
        lambda peer, server, seconds: loads.handshakes(PORT, resumed, seconds=seconds),
    )


def memory_of(load):
    return Scenario(None, "KiB per connection", 1, load)


def streams_of(cell):
    connections, streams, path = cell
    return requests_of(
        lambda peer, server, seconds: loads.h2load(PORT, connections, streams, f"/{path}", seconds=seconds)
    )


def far_streams_of(cell):
    connections, streams, path = cell
    count = connections * streams * FAR_TURNS[path]
    return Scenario(
        "requests", "ms of time per request", 1e3,
        lambda peer, server, seconds: loads.far_h2load(FAR, PORT, connections, streams, f"/{path}", count), far=True,
    )


# Only a script can make wrk send a target in absolute-form; Host goes with it.
ABSOLUTE = {"script": "absolute.lua", "fields": {"Host": f"127.0.0.1:{ORIGIN}"}}

# A load is told the peer, its server and the seconds.
SCENARIOS = {
    "h1-hello": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds)),
    "h1-browser": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, fields=requests.BROWSER)),
    "h1-pipelined": requests_of(lambda peer, server, seconds: loads.pipelined(PORT, seconds)),
    "h1-1k": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, "/1k")),
    "h1-64k": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, "/64k")),
    "h1-1m": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, "/1m")),
    "h1-upload": requests_of(lambda peer, server, seconds: loads.uploads(PORT, seconds)),
    "h2c-hello": requests_of(
        lambda peer, server, seconds: loads.h2load(PORT, H2_CONNECTIONS, H2_STREAMS, seconds=seconds)
    ),
    **{name: streams_of(cell) for name, cell in CELLS.items()},
    **{name: far_streams_of(cell) for name, cell in FAR_CELLS.items()},
    "tls-h1-hello": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, scheme="https")),
    "tls-h2-hello": requests_of(
        lambda peer, server, seconds: loads.h2load(PORT, H2_CONNECTIONS, H2_STREAMS, scheme="https", seconds=seconds)
    ),
    "tls-full": handshakes_of(resumed=False),
    "tls-resumed": handshakes_of(resumed=True),
    "tls-idle": memory_of(lambda peer, server, seconds: loads.idle_connections(server, PORT, IDLE_TLS, tls=True)),
    "reverse": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds), origin=True),
    "forward": requests_of(lambda peer, server, seconds: loads.wrk(PORT, seconds, **ABSOLUTE), origin=True),
    "tunnel-bulk": Scenario(
        "GiB", "s per GiB", 1,
        lambda peer, server, seconds: loads.tunnel_bulk(peer.opening, PORT, TARGET, seconds) / 2**30,
    ),
    "tunnel-rate": Scenario(
        "tunnels", "us per tunnel", 1e6,
        lambda peer, server, seconds: loads.tunnel_rate(peer.opening, PORT, TARGET, seconds),
    ),
    "tunnel-peak": memory_of(
        lambda peer, server, seconds: loads.tunnel_peak(server, peer.opening, PORT, TARGET, 2**30)
    ),
    "h1-idle": memory_of(lambda peer, server, seconds: loads.idle_connections(server, PORT, idle())),
    "tunnel-idle": memory_of(
        lambda peer, server, seconds: loads.idle_tunnels(server, peer.opening, PORT, TARGET, idle())
    ),
}


def idle():
    """How many connections are held, so that the limit on open files suffices for as many tunnels of two each."""
    return min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 250)


def measure(scenario, peer, place, cores, seconds):
    """One round of one peer."""
    origin = server = None
    others = settle()
    try:
        if scenario.origin:
            origin = servers.Server(place.fill("{peers}/limit-epoll {origin}"), cores[1], ORIGIN, "origin.log")
        server = servers.Server(place.fill(peer.command), cores[0], PORT, "server.log")
        if scenario.unit is None:
            return {"cost": scenario.load(peer, server, seconds), "others": others}
        scenario.load(peer, server, 1)
        (ticks, _), cpu, begun = server.user_share(), server.cpu(), time.monotonic()
        done = scenario.load(peer, server, seconds)
        cpu, took = server.cpu() - cpu, time.monotonic() - begun
        _, user = server.user_share(ticks)
        if not done:
            raise RuntimeError("no work was done")
        spent = took if scenario.far else cpu
        return {"cost": spent / done * scenario.scale, "rate": done / took, "user": user, "others": others}
    finally:
        for process in (server, origin):
            if process:
                process.stop()


def settle():
    """Waits a little for a quiet machine, and returns the load of others."""
    for _ in range(10):
        others = servers.load_of_others()
        if others < 0.15:
            break
    return others


def compare(name, args, place, cores):
    """Prints the table of all rounds of a scenario. False when chaski failed in it."""
    scenario = SCENARIOS[name]
    peers = [peer for peer in PEERS if name in peer.scenarios.split() and (not args.only or peer.name in args.only)]
    absent = [peer.name for peer in peers if not place.is_there(peer)]
    peers = [peer for peer in peers if place.is_there(peer)]
    results, failed = {peer.name: [] for peer in peers}, {}
    # What memory is taken does not vary.
    for _ in range(args.rounds if scenario.unit else 1):
        for peer in peers:
            if peer.name in failed:
                continue
            try:
                results[peer.name].append(measure(scenario, peer, place, cores, args.secs))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failed[peer.name] = " ".join(str(error).split())[-300:]
    notes = {peer.name: peer.note for peer in peers if peer.note}
    print(table(name, scenario, {peer: rounds for peer, rounds in results.items() if rounds}, notes))
    for peer, reason in failed.items():
        print(f"\nfailed: {peer}: {reason}")
    if absent:
        print(f"\nneither built nor installed: {', '.join(absent)}")
    sys.stdout.flush()
    return CHASKI not in failed


def table(name, scenario, results, notes):
    """Markdown, cheapest first."""
    lowest = {peer: min(round["cost"] for round in rounds) for peer, rounds in results.items()}
    ours = lowest.get(CHASKI)
    if scenario.unit:
        head = ["peer", f"{scenario.cost}, lowest", "over chaski's", "median", "user part", f"{scenario.unit}/s", "notes"]
    else:
        head = ["peer", scenario.cost, "over chaski's", "notes"]
    lines = [f"\n### {name}\n", f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 2)}---|"]
    for peer in sorted(lowest, key=lowest.get):
        rounds, remarks = results[peer], [notes[peer]] if peer in notes else []
        ratio = lowest[peer] / ours if ours else None
        if ratio and peer != CHASKI and abs(ratio - 1) < TIE:
            remarks.append("a tie")
        cells = [peer, f"{lowest[peer]:.3g}", f"{ratio:.2f}" if ratio else ""]
        if scenario.unit:
            best = min(rounds, key=lambda round: round["cost"])
            rate = statistics.median(round["rate"] for round in rounds)
            cells.append(f"{statistics.median(round['cost'] for round in rounds):.3g}")
            cells += [f"{best['user']:.0%}", f"{rate:,.0f}" if rate >= 100 else f"{rate:.2f}"]
        lines.append(f"| {' | '.join(cells)} | {'; '.join(remarks)} |")
    others = max((round["others"] for rounds in results.values() for round in rounds), default=0)
    if others >= 0.15:
        lines.append(f"\nThe machine was not idle: others took up to {others:.0%} of it. Medians and rates are noise then.")
    return "\n".join(lines)


def enter_namespace():
    """Goes on in a network namespace of its own, where ports are free and no setting of the host's network counts."""
    if INSIDE in os.environ:
        return
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        print("no permission for a network namespace: the host's settings of TCP are part of the figures")
        return
    setup = 'ip link set lo up && { echo reno > /proc/sys/net/ipv4/tcp_congestion_control || true; } && exec "$@"'
    command = ["unshare", "--net", "sh", "-c", setup, "sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})


def list_scenarios(place):
    for name in SCENARIOS:
        peers = [peer for peer in PEERS if name in peer.scenarios.split()]
        print(f"{name}: {', '.join(peer.name + ('' if place.is_there(peer) else ' (absent)') for peer in peers)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help="one of: " + ", ".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=int, default=4, help="of a round")
    parser.add_argument("--only", type=lambda names: names.split(","), help="peers, with commas between")
    parser.add_argument("--list", action="store_true", help="who takes part in what, and is there")
    parser.add_argument("--chaski", default="target/release", help="the folder of chaski's programs")
    parser.add_argument("--peers", default="benches/peers/target/release", help="the folder of the peers' programs")
    args = parser.parse_intermixed_args()
    for name in args.scenario:
        if name not in SCENARIOS:
            parser.error(f"no scenario is called {name}; there are {', '.join(SCENARIOS)}")
    return args


def main():
    args = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not args.list:
        enter_namespace()
    with tempfile.TemporaryDirectory() as work:
        folders = os.path.abspath(args.chaski), os.path.abspath(args.peers)
        place = Place(*folders, work, PORT, ORIGIN, TARGET, half_of_files=hard // 2 - 100)
        if args.list:
            return list_scenarios(place)
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise SystemExit("a comparison takes two cores: one for the server, one for the load")
        # The load, and what it starts.
        os.sched_setaffinity(0, {cores[1]})
        # Daemons that drop their rights have to find their files.
        os.chmod(work, 0o755)
        os.chdir(work)
        place.write_files()
        with open("absolute.lua", "w") as script:
            script.write(f'wrk.path = "http://127.0.0.1:{ORIGIN}/"\n')
        names = args.scenario or list(SCENARIOS)
        if idle() < IDLE and any(name.endswith("idle") for name in names):
            print(f"the limit on open files allows {idle():,} idle connections, not {IDLE:,}")
        measured = [compare(name, args, place, cores) for name in names]
    return 0 if all(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
