"""Every value of every recipe says where it comes from."""

from dataclasses import fields, replace

import pytest

from convmixer.recipe import ABLATIONS, RECIPES, Recipe, ablate, choose_recipe
from convmixer.recipe_sources import _TABLES, OURS, SECONDARY, Certainty, Source, find_sources

NAMES = [field.name for field in fields(Recipe) if field.name != "name"]
VARIANTS = [recipe for variants in RECIPES.values() for recipe in variants]


@pytest.mark.parametrize("recipe", VARIANTS, ids=lambda recipe: f"{recipe.name}-{recipe.epochs}")
def test_every_field_of_every_recipe_has_a_source(recipe: Recipe) -> None:
    found = find_sources(recipe)
    assert list(found) == NAMES
    assert all(source.text and source.certainty in Certainty.__args__ for source in found.values())
    assert Source("set for this run", OURS) not in found.values()


@pytest.mark.parametrize("name", RECIPES)
def test_no_field_has_two_sources_and_none_is_misspelt(name: str) -> None:
    assert sorted(field for text in _TABLES[name].values() for field in text.split()) == sorted(NAMES)


def test_what_is_overridden_is_ours() -> None:
    found = find_sources(choose_recipe("paper", 30, batch_size=128))
    assert [name for name, source in found.items() if source.certainty == OURS] == ["epochs", "batch_size"]


@pytest.mark.parametrize("what", ABLATIONS)
def test_what_is_ablated_is_ours(what: str) -> None:
    found = find_sources(ablate(choose_recipe("paper"), what))
    assert {name for name, source in found.items() if source.certainty == OURS} == set(ABLATIONS[what])


def test_a_recipe_of_ones_own_is_ours_altogether() -> None:
    assert {source.certainty for source in find_sources(replace(choose_recipe("keras"), name="mine")).values()} == {
        OURS
    }


def test_the_papers_command_is_second_hand() -> None:
    found = find_sources(choose_recipe("paper"))
    assert found["epochs"].certainty == found["mixup_alpha"].certainty == SECONDARY
