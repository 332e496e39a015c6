"""How runs are run: kernels and their watch, what a run keeps while it is not done, Slurm and Ray."""
