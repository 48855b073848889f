"""Run a page top to bottom in a fresh kernel that knows nothing of this machine's owner.

The kernel runs in an empty folder, with its own IPython profile, so that neither files beside the page nor a startup
script can help it.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tools.press import notebook
from tools.press.page import Page, PageError
from traitlets import default

#: A page takes under a minute; a cell that takes longer than two hangs.
CELL_SECONDS = 120

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"Cell In\[\d+\], line (\d+)")


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs the press, whatever kernels are installed beside it."""

    @default("kernel_spec_manager")
    def _no_folders_to_look_in(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


def environment(scratch: str) -> dict[str, str]:
    """The kernel's environment: this process's, with absolute paths and settings of nobody."""
    env = dict(os.environ, IPYTHONDIR=scratch, PYTHONWARNINGS="default")
    if "PYTHONPATH" in env:
        env["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, env["PYTHONPATH"].split(os.pathsep)))
    for name in ("MPLBACKEND", "GROUNDUP_BACKEND", "GROUNDUP_ISA"):
        env.pop(name, None)
    return env


def execute(page: Page) -> Any:
    """The page's notebook with its outputs; a :class:`PageError` names the cell and line that failed."""
    try:
        return _execute(page)
    except RuntimeError as error:  # the kernel did not start: under load that happens once in a while
        if isinstance(error, DeadKernelError):
            raise
    return _execute(page)


def _execute(page: Page) -> Any:
    made = notebook.build(page)
    begun = [1]

    def on_cell_execute(cell: Any, cell_index: int) -> None:  # noqa: ARG001
        begun.append(cell_index + 1)

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch, "work")
        work.mkdir()
        client = NotebookClient(
            made,
            kernel_name="python3",
            kernel_manager_class=OwnKernel,
            timeout=CELL_SECONDS,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--HistoryManager.enabled=False", "--log-level=ERROR"],
            resources={"metadata": {"path": str(work)}},
            on_cell_execute=on_cell_execute,
        )
        try:
            client.execute(env=environment(scratch))
        except CellExecutionError as error:
            raise failure(page, begun[-1], error) from None
        except CellTimeoutError:
            raise PageError(f"{page.where(begun[-1])}: ran longer than {CELL_SECONDS} s") from None
        except DeadKernelError:
            raise PageError(f"{page.where(begun[-1])}: the kernel died") from None
    return notebook.settle(made, page)


def failure(page: Page, number: int, error: CellExecutionError) -> PageError:
    """One line for a cell that raised."""
    cell = page.cells[number - 1].text.splitlines()
    frames = FRAME.findall(ANSI.sub("", error.traceback))
    line = min(int(frames[-1]), len(cell)) if frames else 1
    message = " ".join(f"{error.ename}: {error.evalue}".split())
    return PageError(f"{page.where(number, line)}: {message}  (in: {cell[line - 1].strip()})")
