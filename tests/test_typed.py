"""No expression of the prose prints a result that was typed; what the vocabulary makes is left alone."""

import pytest

from report.checking.typed import typed_results


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('<< "99.9 %" >>', "the text '99.9 %' is typed by hand"),
        ('<% set x = "99.9" %><< x >>', "the text '99.9' is typed by hand"),
        ('<< "71 percent" if ours.is_measured else "" >>', "the text '71 percent' is typed by hand"),
        ('<< 0.7123 ~ "" >>', "an operator makes a text or number of its own; print quantities one by one"),
        ('<< "%.2f" % ours.value >>', "an operator makes a text or number of its own; print quantities one by one"),
        ('<< "%.2f" | format(x.value) >>', "the filter 'format' makes a text of a value; print the quantity itself"),
        ('<< "{}".format(0.7) >>', "format() makes a text of its arguments; print the quantity itself"),
        ("<< ours.value | string >>", "the filter 'string' makes a text of a value; print the quantity itself"),
        ("<< ours.value.hex() >>", "the attribute 'value' is a raw number; print the quantity itself"),
        ("<< ours.parts.text >>", "the attribute 'parts' is a text of a number; print the quantity itself"),
        ("<< original('a').quoted >>", "the attribute 'quoted' is a text of a number; print the quantity itself"),
        (
            "<% set a = ours.details %><< a[0][1] >>",
            "the attribute 'details' is a text of a number; print the quantity itself",
        ),
        ("<< ours.aggregate >>", "the attribute 'aggregate' is a text of a number; print the quantity itself"),
        ("<< ours.__str__() >>", "the attribute '__str__' is a raw number; print the quantity itself"),
        ('<< "NOT REPRODUCED" >>', "the text 'NOT REPRODUCED' is typed by hand"),
        ('<< ["71.2 %"] | join >>', "the text '71.2 %' is typed by hand"),
        ('<% for x in ["71.2 per", "cent"] %><< x >><% endfor %>', "the text '71.2 per' is typed by hand"),
    ],
)
def test_a_typed_result_is_found_at_its_line(expression: str, message: str) -> None:
    assert list(typed_results(f"one\n\n{expression}\n")) == [(3, message)]


@pytest.mark.parametrize(
    "text",
    [
        "In 2022, 71 of << count('runs') >>",
        "<< accuracy('earlier-5', patch_size=4) >> << difference('k', {'kernel_size': 9}, {'kernel_size': 3}) >>",
        '<% if count("runs").value > 0.5 %><< verdict("kernel-size").reasons | join("; ") >><% endif %>',
        '<% for id in ["earlier-p4-k9"] %><< id >>: << claim(id).sentence >><% endfor %>',
        '<% for size in [3, 9] %><< accuracy("g", kernel_size=size) >><% endfor %>',
        '<% set ours = accuracy("g", kernel_size=9) %><< ours if ours.value > 0.5 else "no" >><< "p4-k9" >>',
        "<< unfinished",
    ],
)
def test_what_the_vocabulary_makes_is_left_alone(text: str) -> None:
    assert list(typed_results(text)) == []
