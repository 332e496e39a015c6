"""How runs are called: a template of parameters, and a few words for what is not as usual."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from experiments.plan_file import refuse
from experiments.reading import FILE_NAME_RULE, is_file_name
from experiments.spec import ConfigurationError, Scalar

VARIANT = "variant"  # in the template: where the words for unusual parameters go
PERCENT = "percent"  # in a template or a variant's text: `{fraction:percent}`


@dataclass(frozen=True)
class Naming:
    """The plan's `name` and `variant`.

    `variants` holds for a parameter its usual value and the text that stands in the name where a run has another one:
    most runs then have short names, and those that differ in something rare can still be told apart.
    """

    template: str
    variants: Mapping[str, Mapping[str, Any]]
    place: str

    def __post_init__(self) -> None:
        for template in (self.template, *(variant["text"] for variant in self.variants.values())):
            _refuse_formats(template, self.place)
        if drop_seed(self.template) == self.template:
            refuse(self.place, "name", self.template, "a template that holds {seed}")
        if bool(self.variants) != (f"{{{VARIANT}}}" in self.template):
            wanted = f"a template that holds {{{VARIANT}}}" if self.variants else f"a section {VARIANT!r} beside it"
            refuse(self.place, "name", self.template, wanted)

    @property
    def named(self) -> frozenset[str]:
        """The parameters that stand in every run's name, less the seed."""
        names = {name for _, name, _, _ in _parse(self.template) if name is not None}
        return frozenset(names - {VARIANT, "seed"})

    @property
    def usual(self) -> dict[str, Any]:
        """What a parameter is where a name says nothing of it."""
        return {name: variant["usual"] for name, variant in self.variants.items()}

    def name_run(self, parameters: Mapping[str, Scalar], place: str | None = None) -> str:
        """The name of the run with these parameters; PLACE is where an error says they stand, else the plan."""
        return self._fill(self.template, parameters, place or self.place)

    def name_cell(self, parameters: Mapping[str, Scalar]) -> str:
        """The name that the runs of a cell share, whatever their seed."""
        return self._fill(drop_seed(self.template), parameters, self.place)

    def _fill(self, template: str, parameters: Mapping[str, Scalar], place: str) -> str:
        """Refused where the template names an unknown parameter, or the name would not suit a file."""
        try:
            name = _fill_in(template, {**parameters, VARIANT: self._describe(parameters)})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{place}: name: {template!r} cannot be filled ({error}); the parameters are "
                f"{', '.join(sorted(parameters))}"
            ) from error
        if not is_file_name(name):
            raise ConfigurationError(f"{place}: name: {name!r:.200}; expected {FILE_NAME_RULE}")
        return name

    def _describe(self, parameters: Mapping[str, Scalar]) -> str:
        """The texts of the parameters that are not as usual, in the plan's order; a missing one counts as usual."""
        return "".join(
            _fill_in(variant["text"], parameters)
            for name, variant in self.variants.items()
            if parameters.get(name, variant["usual"]) != variant["usual"]
        )


def _refuse_formats(template: str, place: str) -> None:
    """Only `{name}`: an attribute reaches into Python, and a width of a thousand million fills the memory."""
    try:
        parts = _parse(template)
    except ValueError as error:
        raise ConfigurationError(f"{place}: name: {template!r} is no template: {error}") from error
    for _, name, format_spec, conversion in parts:
        if name is not None and (not name.isidentifier() or conversion or format_spec not in ("", PERCENT)):
            refuse(place, "name", template, f"fields such as {{seed}} or {{share:{PERCENT}}} only")


@cache  # One of ten thousand runs costs a fifth of what the standard library's formatter takes to read it each time.
def _parse(template: str) -> Sequence[tuple[str, str | None, str | None, str | None]]:
    return tuple(string.Formatter().parse(template))


def _fill_in(template: str, values: Mapping[str, Any]) -> str:
    """As `str.format` does it, and `{share:percent}`: 25 for 0.25, since no name may hold a % sign."""
    return "".join(
        text if name is None else f"{text}{values[name] * 100:g}" if form == PERCENT else f"{text}{values[name]}"
        for text, name, form, _ in _parse(template)
    )


@cache
def drop_seed(template: str) -> str:
    """The template of a cell's name: the run's without `{seed}` and the text before it, as in `-s{seed}`."""
    parts = [part for part in _parse(template) if part[1] != "seed"]
    return "".join(text + _spell_field(name, form) for text, name, form, _ in parts)


def _spell_field(name: str | None, form: str | None) -> str:
    return "" if name is None else f"{{{name}:{form}}}" if form else f"{{{name}}}"
