"""Write the README's tables of measured speeds from ``benchmarks/results/peers.json``.

With ``--check`` nothing is written and the exit code is 1 if the README's table is not what it would be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from groundup.bench import alone, peers

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def block(about: dict[str, Any]) -> str:
    """The tables with a line on the machine that it was measured on."""
    machine = about["machine"]
    where = (
        f"{machine['processor'] or 'one machine'}, level {machine['isa']}, {about['threads']} threads, float32, "
        f"{about['gf_per_s']:.0f} GF/s in matrix products, {about['gb_per_s']:.0f} GB/s to memory; {about['when']}."
    )
    tables = f"{peers.table(about['results'])}\n\n{alone.table(about['alone'])}"
    return f"{BEGIN}\n{tables}\n\nMeasured on {where}\n{END}"


def main() -> int:
    """Write or check the table."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    new = before + block(json.loads(RESULTS.read_text(encoding="utf-8"))) + after
    if "--check" in sys.argv[1:]:
        if new != text:
            print("README's tables are not those of benchmarks/results: run tools/readme.py")
        return int(new != text)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
