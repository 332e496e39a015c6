"""The benchmark of the GPU kernels is rehearsed where there is no GPU, and what it compares agrees."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch


def rehearse(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/kernels.py", *arguments]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)


def test_the_rehearsal_measures_every_kernel_path_and_tile(root: Path) -> None:
    run = rehearse(root, "--rehearse", "--tune", "--models", "p4k9")
    assert run.returncode == 0, run.stderr
    tables = [section.splitlines() for section in run.stdout.split("\n## ")[1:]]
    assert [lines[0] for lines in tables] == ["Kernels", "Training steps", "Tiles"]
    kernels, steps, tiles = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| p4k9")]
        for lines in tables
    )
    assert (len(kernels), len(steps), len(tiles)) == (6, 5, 4)
    errors = [float(row[6]) for row in kernels]
    assert max(errors) < 5e-6
    assert len({row[5] for row in steps}) == 1  # the same loss after two steps on every path


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_the_rehearsal_is_offered(root: Path) -> None:
    run = rehearse(root)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "path 'triton' cannot be measured here: it needs an NVIDIA GPU; --rehearse tries the code on a CPU\n"
    )
