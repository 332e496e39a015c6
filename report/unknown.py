"""Names that do not exist: the messages name those that do."""

from experiments.spec import ReproductionError


class UnknownName(ReproductionError):
    """A group, cell, metric, claim or setting that does not exist; the message names those that do."""


class UnknownParameter(UnknownName, KeyError):
    """A parameter that a cell does not have: a mapping's missing key, told as the author's mistake that it is."""

    def __str__(self) -> str:
        """The message itself; KeyError would quote it."""
        return str(self.args[0])
