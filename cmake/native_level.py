"""Print the micro-architecture level of this machine: compile cpp/cpu.c as a program and run it."""

import pathlib
import subprocess
import sys

compiler, source, folder = sys.argv[1:]
program = pathlib.Path(folder) / "native_level"
subprocess.run([compiler, "-DGROUNDUP_PRINT_LEVEL", source, "-o", program], check=True)
print(subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip())
