"""``groundup bench``: ops against their references; with --peers, whole jobs against other libraries."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from groundup.files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup bench``."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="ops to measure; with --peers, spine, tokenizers, or words of the jobs' titles",
    )
    parser.add_argument(
        "--peers", action="store_true", help="whole jobs against other libraries instead of ops"
    )
    parser.add_argument("--pairs", type=int, default=15, metavar="N", help="alternating pairs of runs")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of every side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    import groundup as gu
    from groundup.bench import alone, encode_jobs, limits, peers
    from groundup.bench import ops as bench_ops

    if args.pairs < 1:
        raise ValueError(f"[bench] pairs must be at least 1, but got {args.pairs}")
    gu.set_num_threads(args.threads)
    machine = limits.measure()
    print(
        f"this machine, {args.threads} threads: {machine.bytes_per_second / 1e9:.1f} GB/s to memory, "
        f"{machine.flops_per_second / 1e9:.0f} GF/s in matrix products\n"
    )
    more = {}
    if args.peers:
        chosen = [t for t in peers.TARGETS if all(name == t.group or name in t.title for name in args.names)]
        if not chosen:
            raise ValueError(f"[bench] no job's title holds {' and '.join(args.names)}")
        needing = [t for t in chosen if t.needs_data]
        if needing and not encode_jobs.folder().is_dir():
            if len(needing) == len(chosen):
                encode_jobs.data()  # says what is missing
            print(f"left out: {len(needing)} jobs of encoding, whose texts $GROUNDUP_TEST_DATA would hold\n")
            chosen = [t for t in chosen if not t.needs_data]
        results = []
        for target in chosen:
            result = peers.run(target, args.pairs, args.threads, machine)
            print(f"{result.title}: {result.ratio:.2f}× ({result.verdict})", file=sys.stderr, flush=True)
            results.append(result)
        rows = peers.records(results)
        print(peers.table(rows))
        if not args.names:
            more["alone"] = alone.records(alone.run(machine, args.pairs))
            print(f"\n{alone.table(more['alone'])}")
    else:
        found = bench_ops.run(args.names or None, args.pairs)
        rows = bench_ops.records(found)
        print(bench_ops.table(found))
    if args.json is not None:
        about = {"machine": peers.machine_facts(), "threads": args.threads, "when": time.strftime("%Y-%m-%d")}
        write_json(args.json, {**about, "gb_per_s": machine.bytes_per_second / 1e9,
                               "gf_per_s": machine.flops_per_second / 1e9, "results": rows, **more})  # fmt: skip
        print(f"\nwritten to {args.json}")
    return 0
