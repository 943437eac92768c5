import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.compare.pareto import not_dominated
from vitrial.protocol.file import load_protocol
from vitrial.report.cost import RATIO, cost_words, device_sentence
from vitrial.study.cost import measure_costs, size


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("resnet50", 25.56, 4.1), ("deit_small_patch16_224", 22.05, 4.6)],
)
def test_sizes_are_those_of_the_papers(name, parameters, macs):
    """He et al. 2016 and Touvron et al. 2021, for 1,000 classes; the head here has two."""
    features = {"resnet50": 2048, "deit_small_patch16_224": 384}[name]
    found = size(name, 3, 224)
    assert (found[0] + 998 * (features + 1)) / 1e6 == pytest.approx(parameters, abs=0.01)
    assert found[1] / 1e9 == pytest.approx(macs, abs=0.05)


def test_no_dominated_arm_is_on_the_front():
    benefit = np.array([0.9, 0.8, 0.8, 0.7, np.nan])
    costs = np.array([[5.0, 5], [1, 9], [1, 9], [2, 9], [0, 0]])
    assert not_dominated(benefit, costs).tolist() == [True, True, True, False, False]


def test_backbones_are_measured_and_ratios_say_how_alike_they_are(small_protocol):
    threads = torch.get_num_threads()
    protocol = load_protocol(small_protocol)
    costs = measure_costs(protocol, threads=1, rounds=1)
    assert torch.get_num_threads() == threads
    assert costs["machine"]["threads"] == 1
    small, vit = costs["rows"]
    assert [row["backbone"] for row in costs["rows"]] == list(
        dict.fromkeys(arm.model for arm in protocol.arms)
    )
    for row in costs["rows"]:
        weights = 4 * row["parameters"]
        # Weights, gradients and Adam's two averages, and what the forward pass keeps.
        assert row["training_bytes"] > 4 * weights
        assert weights < row["inference_bytes"] < row["training_bytes"]
        assert min(row["latency_ms"], row["training_images_per_second"]) > 0
    words = cost_words(costs).set_index("Backbone")
    ratio = max(small["macs"], vit["macs"]) / min(small["macs"], vit["macs"])
    assert words.loc[RATIO, "MACs G"] == f"{ratio:.2f}"
    assert "1 threads" in device_sentence(costs)


def test_from_the_command_line_at_80_columns(small_protocol, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    protocol = load_protocol(small_protocol)
    row = {"parameters": 86e6, "macs": 17.58e9, "training_bytes": 12_345e6, "latency_ms": 123.4,
           "inference_bytes": 2_345e6, "training_images_per_second": 1234.5,
           "images_per_second": 2345.6, "joules_per_training_image": 1.23}  # fmt: skip
    names = [*dict.fromkeys(arm.model for arm in protocol.arms), "deit_small_patch16_224"]
    machine = {"device": "NVIDIA H100", "precision": "bf16-mixed", "threads": 8, "cpu": "x86_64"}
    costs = {"machine": machine, "batch_size": 64, "crop": 224, "busy": 0.1}
    costs["rows"] = [{"backbone": name, **row} for name in names]
    asked = []
    monkeypatch.setattr(
        "vitrial.study.cost.measure_costs", lambda *given: asked.append(given) or costs
    )
    result = CliRunner().invoke(app, ["cost", str(small_protocol), "--threads", "3"])
    assert result.exit_code == 0, result.output
    assert asked == [(protocol, 3)]
    assert max(map(len, result.output.splitlines())) <= 80
    for whole in ("12,345", "1234.5", "2345.6", "17.58", "123.4", "NVIDIA H100"):
        assert whole in result.output, "names are folded, figures never"
    assert "busy" not in result.output
