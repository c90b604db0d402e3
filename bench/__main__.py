"""``make bench``: the decide stage beside two others, webhook-to-ticket latency, the log gone through again; tables, then JSON.

``make bench ARGS='--only latency'``, ``--only decide`` or ``--only replay`` leaves the others out; ``--kills 0`` leaves out the kills.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import sys
import time

import orjson

from bench import decide, latency, replay

#: Two calls at once of 50 ms carry 40 creates a second: 20 is half of that, with one worker and with two.
LOADS = ((1, 20), (2, 20))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=("decide", "latency", "replay"))
    parser.add_argument("--seconds", type=int, default=30, help="how long each latency load lasts")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    decide.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    # Topics that were created a moment ago have no leader yet; aiokafka tries again, and says so in red.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    began = time.monotonic()
    done: dict[str, object] = {"bench": "lockstep", "machine": machine()}
    tables = []
    if args.only in (None, "decide"):
        rates = decide.run(args)
        done["decide"] = rates
        tables.append(decide.table(rates))
    if args.only in (None, "latency"):
        latencies = asyncio.run(_latencies(args.seconds))
        done["latency"] = [one.as_dict() for one in latencies]
        tables.append(latency.table(latencies))
    if args.only in (None, "replay"):
        replays = [asyncio.run(replay.measure(count, decide.say)) for count in replay.LENGTHS]
        done["replay"] = replays
        tables.append(replay.table(replays))
    done["seconds"] = round(time.monotonic() - began)
    if not args.json:
        sys.stdout.write("\n".join(["", *tables, "", ""]))
    sys.stdout.write(orjson.dumps(done).decode() + "\n")


async def _latencies(seconds: int) -> list[latency.Latency]:
    decide.say(f"latency: every vendor call takes {latency.LATENCY_MS} ms")
    loads = [latency.Load(workers, per_second, seconds) for workers, per_second in LOADS]
    return [await latency.measure(load, decide.say) for load in loads]


def machine() -> dict[str, object]:
    """What the digits belong to."""
    load = os.getloadavg()[0]
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_before": round(load, 1),
    }


if __name__ == "__main__":
    main()
