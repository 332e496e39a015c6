"""The recipes: their sources' values, the schedule, and what is refused."""

from dataclasses import asdict

import pytest

from convmixer import ConvMixerError
from convmixer.recipe import RECIPES, choose_recipe, learning_rate

AUTHORS_25 = {
    "name": "authors",
    "epochs": 25,
    "batch_size": 512,
    "learning_rate": 0.05,
    "schedule": "triangular",
    "weight_decay": 0.005,
    "validation_size": 0,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "clip_norm": None,
    "label_smoothing": 0.0,
    "crop_scale": 1.0,
    "flip_probability": 0.5,
    "randaugment_ops": 2,
    "randaugment_magnitude": 12,
    "color_jitter": 0.0,
    "erasing_probability": 0.0,
}
KERAS = AUTHORS_25 | {
    "name": "keras",
    "epochs": 10,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 1e-4,
    "validation_size": 5000,
    "eps": 1e-7,
    "randaugment_ops": 0,
    "randaugment_magnitude": 0,
}


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("authors", None, AUTHORS_25),
        ("authors", 25, AUTHORS_25),
        ("authors", 100, AUTHORS_25 | {"epochs": 100, "color_jitter": 0.2, "erasing_probability": 0.2}),
        ("keras", None, KERAS),
        ("keras", 5, KERAS | {"epochs": 5}),
    ],
)
def test_recipes_hold_the_values_of_their_sources(name: str, epochs: int | None, expected: dict) -> None:
    assert asdict(choose_recipe(name, epochs)) == expected


def test_every_variant_can_be_chosen() -> None:
    assert all(choose_recipe(name, v.epochs) == v for name, variants in RECIPES.items() for v in variants)


def test_the_authors_recipe_has_only_two_lengths() -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_recipe("authors", 5, color_jitter=0.1)
    assert str(caught.value) == (
        "recipe 'authors': epochs is 5, but its source gives commands for 25 and 100 epochs only, which differ in "
        "color_jitter and erasing_probability; take one of these, or also give erasing_probability"
    )


def test_another_length_of_the_authors_recipe_is_taken_once_all_is_decided() -> None:
    recipe = choose_recipe("authors", 5, color_jitter=0.1, erasing_probability=0.25)
    assert asdict(recipe) == AUTHORS_25 | {"epochs": 5, "color_jitter": 0.1, "erasing_probability": 0.25}


def test_overrides_take_the_place_of_values() -> None:
    assert asdict(choose_recipe("keras", batch_size=64)) == KERAS | {"batch_size": 64}


def test_unknown_recipes_and_fields_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_recipe("adam")
    assert str(caught.value) == "choose_recipe: unknown recipe 'adam'; known are keras, authors, smoke"
    with pytest.raises(ConvMixerError) as caught:
        choose_recipe("keras", lr=0.1)
    valid = ", ".join(field for field in KERAS if field not in ("name", "epochs"))
    assert str(caught.value) == f"recipe 'keras': unknown field 'lr'; valid are {valid}"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", 0, "an integer from 1 to 100000"),
        ("epochs", 2.0, "an integer from 1 to 100000"),
        ("batch_size", True, "an integer from 2 to 1e+06"),
        ("learning_rate", float("nan"), "a number from 0 to 100"),
        ("learning_rate", "0.1", "a number from 0 to 100"),
        ("crop_scale", 1.5, "a number from 0.001 to 1"),
        ("randaugment_magnitude", 31, "an integer from 0 to 30"),
        ("clip_norm", 0, "a number from 1e-09 to 1e+09"),
        ("schedule", "cosine", "'constant' or 'triangular'"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_recipe("keras", **{field: value})
    assert str(caught.value) == f"recipe 'keras': {field} is {value!r}; expected {expected}"


@pytest.mark.parametrize("epochs", [25, 100])
def test_the_triangular_schedule_passes_through_its_knots_at_the_end_of_a_step(epochs: int) -> None:
    recipe, steps = choose_recipe("authors", epochs), 98
    knots = {epochs * 2 // 5: 0.05, epochs * 4 // 5: 0.0025, epochs: 0.0}
    found = {epoch: learning_rate(recipe, epoch * steps - 1, steps) for epoch in knots}
    assert found == pytest.approx(knots, abs=1e-15)
    assert learning_rate(recipe, 0, steps) == pytest.approx(0.05 / (epochs * 2 / 5) / steps)


def test_a_short_triangle_still_ends_at_zero() -> None:
    recipe = choose_recipe("authors", 1, color_jitter=0, erasing_probability=0)
    assert learning_rate(recipe, 9, 10) == 0


def test_the_constant_schedule_is_constant() -> None:
    assert {learning_rate(choose_recipe("keras"), step, 10) for step in (0, 50, 99)} == {1e-3}
