"""The recipes: their sources' values, the schedule, and what is refused."""

from dataclasses import asdict, replace

import pytest

from convmixer import ConvMixerError
from convmixer.recipe import ABLATIONS, RECIPES, ablate, choose_recipe, find_batch_sizes, learning_rate

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
    "decay_vectors": True,
    "drop_last_batch": False,
    "crop_ratio": 1.0,
    "crop_interpolation": "bilinear",
    "randaugment_kind": "torchvision",
    "randaugment_probability": 1.0,
    "randaugment_deviation": 0.0,
    "erasing_fill": "zero",
    "mixup_alpha": 0.0,
    "cutmix_alpha": 0.0,
}
PAPER = AUTHORS_25 | {
    "name": "paper",
    "epochs": 200,
    "batch_size": 64,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "eps": 1e-3,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "crop_scale": 0.75,
    "randaugment_magnitude": 9,
    "erasing_probability": 0.25,
    "decay_vectors": False,
    "drop_last_batch": True,
    "crop_ratio": 4 / 3,
    "crop_interpolation": "random",
    "randaugment_kind": "timm",
    "randaugment_probability": 0.5,
    "randaugment_deviation": 0.5,
    "erasing_fill": "noise",
    "mixup_alpha": 0.5,
    "cutmix_alpha": 0.5,
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
        ("paper", None, PAPER),
        ("paper", 30, PAPER | {"epochs": 30}),
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
    assert str(caught.value) == "choose_recipe: unknown recipe 'adam'; known are keras, authors, paper, short, smoke"
    with pytest.raises(ConvMixerError) as caught:
        choose_recipe("keras", lr=0.1)
    valid = ", ".join(field for field in KERAS if field not in ("name", "epochs"))
    assert str(caught.value) == f"recipe 'keras': unknown field 'lr'; valid are {valid}"


def test_a_slip_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConvMixerError, match="known are keras, authors, paper, short, smoke; did you mean 'authors'?"):
        choose_recipe("author")
    with pytest.raises(ConvMixerError, match="cutmix_alpha; did you mean 'learning_rate'?"):
        choose_recipe("keras", learning_rat=0.1)


@pytest.mark.parametrize(
    ("what", "without"),
    [
        ("randaugment", {"randaugment_ops": 0}),
        ("scaling", {"crop_scale": 1.0, "crop_ratio": 1.0}),
        ("mixup", {"mixup_alpha": 0.0}),
        ("cutmix", {"cutmix_alpha": 0.0}),
        ("mixup-cutmix", {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}),
        ("erasing", {"erasing_probability": 0.0}),
        ("clipping", {"clip_norm": None}),
    ],
)
def test_an_ablation_takes_away_one_thing_and_only_once(what: str, without: dict[str, object]) -> None:
    recipe = choose_recipe("paper")
    ablated = ablate(recipe, what)
    assert asdict(ablated) == PAPER | without
    with pytest.raises(ConvMixerError) as caught:
        ablate(ablated, what)
    already = " and ".join(f"{field} is {value!r}" for field, value in without.items())
    assert str(caught.value) == (
        f"ablate: recipe 'paper' with 200 epochs has no {what} to take away: {already} already"
    )


def test_every_ablation_is_tested_and_others_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        ablate(choose_recipe("paper"), "mixups")
    assert str(caught.value) == (
        f"ablate: unknown ablation 'mixups'; known are {', '.join(ABLATIONS)}; did you mean 'mixup'?"
    )


@pytest.mark.parametrize(
    ("count", "drop", "sizes"),
    [(10, False, [4, 4, 2]), (10, True, [4, 4]), (8, True, [4, 4]), (8, False, [4, 4]), (3, False, [3])],
)
def test_the_last_batch_is_smaller_or_left_out(count: int, drop: bool, sizes: list[int]) -> None:
    assert find_batch_sizes(choose_recipe("keras", batch_size=4, drop_last_batch=drop), count) == sizes


def test_too_few_images_for_one_batch_are_refused() -> None:
    with pytest.raises(ConvMixerError) as caught:
        find_batch_sizes(choose_recipe("paper"), 60)
    assert str(caught.value) == (
        "recipe 'paper': 60 training images fill no batch of 64, and it leaves out what fills none; expected 64 images "
        "or more, or a smaller batch_size"
    )


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("paper", {"randaugment_magnitude": 12}, "recipe 'paper': randaugment_magnitude is 12; timm's ends at 10"),
        (
            "authors",
            {"randaugment_probability": 0.5},
            (
                "recipe 'authors': randaugment_probability is 0.5, which torchvision's RandAugment has not; "
                "expected 1, or randaugment_kind 'timm'"
            ),
        ),
        (
            "authors",
            {"randaugment_deviation": 0.5},
            (
                "recipe 'authors': randaugment_deviation is 0.5, which torchvision's RandAugment has not; "
                "expected 0, or randaugment_kind 'timm'"
            ),
        ),
        (
            "keras",
            {"crop_ratio": 2.0},
            (
                "recipe 'keras': crop_ratio is 2.0, but crop_scale 1 means no crop; expected crop_ratio 1, or a "
                "smaller crop_scale"
            ),
        ),
    ],
)
def test_values_that_another_makes_meaningless_are_refused(recipe: str, changes: dict, message: str) -> None:
    with pytest.raises(ConvMixerError) as caught:
        replace(choose_recipe(recipe), **changes)
    assert str(caught.value) == message


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
        ("randaugment_kind", "Timm", "'torchvision' or 'timm'"),
        ("decay_vectors", 1, "True or False"),
        ("mixup_alpha", -0.5, "a number from 0 to 100"),
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
