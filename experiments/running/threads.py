"""The environment variables by which a kernel's libraries learn how to use the cores."""

from collections.abc import Mapping

from experiments.spec import ConfigurationError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# GNU's OpenMP, which PyTorch ships, lets a thread that waits for another one spin on its core. Where a third process has
# that core, the thread that all wait for does not run meanwhile, and training takes thirty times as long. After so many
# turns it sleeps instead, which costs an idle machine nothing that could be measured; sleeping at once costs a third.
_TURNS = "1000"


def limit_threads(threads: int | None) -> dict[str, str]:
    """Variables that let the libraries compute with so many threads; none for None, which leaves it to them."""
    return {} if threads is None else {name: str(threads) for name in THREAD_VARIABLES}


def refuse_surplus_threads(environment: Mapping[str, str], cores: int) -> None:
    """Checks the number that a user has set, where the libraries are left to it.

    Raises:
        ConfigurationError: it is greater than CORES. Not every library limits itself: threads that share a core wait for
            each other.
    """
    for name in THREAD_VARIABLES:
        number = environment.get(name, "").partition(",")[0].strip()  # OpenMP takes a list, one for each nesting
        if number.isdecimal() and int(number) > cores:
            raise ConfigurationError(
                f"${name} is {environment[name]!r}, and this process may use {cores} cores: set it to at most {cores}, "
                "or leave it unset, which takes them all"
            )


def limit_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that let a thread that waits give way to other processes, unless the environment says how it waits."""
    said = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys()
    return {} if said else {"GOMP_SPINCOUNT": _TURNS}
