"""Every number of a protocol has bounds, and what lies beyond them is a sentence at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from vitrial.protocol import Protocol
from vitrial.protocol.faults import sections
from vitrial.protocol.file import ProtocolError, load_protocol


def leaves(annotation: Any) -> Iterator[Any]:
    """The plain types within an annotation."""
    if get_origin(annotation) is Literal or not get_args(annotation):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from leaves(part)


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The JSON schemas of the numbers within a field."""
    if schema.get("type") in ("integer", "number") and "enum" not in schema:
        yield schema
    for key in ("anyOf", "prefixItems"):
        for part in schema.get(key, []):
            yield from schemas(part)
    if isinstance(schema.get("items"), dict):
        yield from schemas(schema["items"])


@pytest.mark.parametrize(
    "section", dict.fromkeys(sections().values()), ids=lambda section: section.__name__
)
def test_every_number_has_a_lower_and_an_upper_bound(section: Any) -> None:
    schema = TypeAdapter(section).json_schema()
    numeric = {
        name
        for name, field in section.model_fields.items()
        if {int, float} & {leaf for leaf in leaves(field.annotation) if isinstance(leaf, type)}
    }
    for name in numeric:
        found = list(schemas(schema["properties"][name]))
        assert found, name
        for number in found:
            lower = number.get("minimum", number.get("exclusiveMinimum", -math.inf))
            upper = number.get("maximum", number.get("exclusiveMaximum", math.inf))
            assert math.isfinite(lower), name
            assert math.isfinite(upper), name


def test_the_walk_over_the_sections_finds_the_numbers() -> None:
    names = {section.__name__ for section in sections().values()}
    assert {"Protocol", "Recipe", "Plateau", "Dino", "Byol", "LocalViews", "PhantomData"} <= names


SMALL = """\
name: trial
data: {source: phantom}
arms: [{backbone: resnet18}]
endpoint: accuracy
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("repetitions: 1000000000\n", "repetitions: must be 1000 or less"),
        ("recipe: {batch_size: 1000000000}\n", "batch_size: must be 65536 or less"),
        ("recipe: {warmup_steps: 1000000000}\n", "warmup_steps: must be 10000000 or less"),
        ("dino: {output_dim: 1000000000000}\n", "output_dim: must be 1000000 or less"),
        (
            "sources: {x: {source: phantom, patients: 1000000000}}\n",
            "sources.x.patients: must be 100000 or less",
        ),
        ("seed: 1" + 30 * "0" + "\n", "seed: must be less than 9223372036854775808"),
        ("unknown: " + 9_000_000 * "x" + "\n", "longer than the 100,000 bytes"),
    ],
)
def test_numbers_beyond_reason_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refusal(tmp_path, SMALL + text)


def test_many_arms_are_refused_before_they_are_made(tmp_path: Path) -> None:
    starts = ", ".join(f"file:{i}.pth" for i in range(200))
    backbones = ", ".join(["resnet18"] * 1000)
    arms = f"arms: [{{backbone: [{backbones}], initialization: [{starts}]}}]"
    text = SMALL.replace("arms: [{backbone: resnet18}]", arms)
    assert "arms: these are 200,000 arms, more than 200" in refusal(tmp_path, text)


def test_many_runs_are_refused() -> None:
    arms = [{"backbone": "resnet18", "initialization": f"file:{i}.pth"} for i in range(11)]
    content = {"name": "x", "data": {"source": "phantom"}, "endpoint": "accuracy", "arms": arms}
    assert len(Protocol.model_validate(content).arms) == 11
    with pytest.raises(ValidationError, match="11 arms x 1000 repetitions are 11,000 runs"):
        Protocol.model_validate(content | {"repetitions": 1000})


def test_fifty_faults_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    unknown = "".join(f"key{i}: 1\n" for i in range(3000))
    lines = refusal(tmp_path, SMALL + unknown).splitlines()
    assert len(lines) == 52
    assert lines[1] == (
        "  line 5: key0: unknown key, the keys here are " + ", ".join(Protocol.model_fields)
    )
    assert lines[-1] == "  and 2,950 more"


def test_a_long_key_is_cut(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, SMALL + "x" * 50_000 + ": 1\n")) < 1000


def refusal(folder: Path, text: str) -> str:
    (folder / "trial.yaml").write_text(text)
    with pytest.raises(ProtocolError) as caught:
        load_protocol(folder / "trial.yaml")
    return str(caught.value)
