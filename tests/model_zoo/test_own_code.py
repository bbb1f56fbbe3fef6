"""Code of one's own: named by path and hash, loaded only where it is asked for, checked and counted before use."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

GATED = """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self, config):
        super().__init__()
        inner = 2 * config.feed_forward_size // 3
        self.gate = nn.Linear(config.bottleneck_size, inner)
        self.value = nn.Linear(config.bottleneck_size, inner)
        self.outer = nn.Linear(inner, config.bottleneck_size)

    def forward(self, hidden):
        return self.outer(torch.relu(self.gate(hidden)) * self.value(hidden))
"""
DENSE = """
from torch import nn

def dense(config):
    return nn.Sequential(
        nn.Linear(config.bottleneck_size, config.feed_forward_size),
        nn.GELU(),
        nn.Linear(config.feed_forward_size, config.bottleneck_size),
    )
"""


def write(folder: Path, text: str, name: str = "my_ffn.py") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def own(path: str) -> str:
    from model_zoo.own_code import own

    return own(path)


# What it is called


def test_its_name_is_its_path_and_a_hash_that_changes_with_the_source_alone(own_folder: Path) -> None:
    write(own_folder, GATED)
    first = own("my_ffn:Gated")
    assert first.startswith("my_ffn:Gated@") and len(first) == len("my_ffn:Gated@") + 16
    write(own_folder, GATED.replace("\n", "\r\n"))
    assert own("my_ffn:Gated") == first
    write(own_folder, GATED.replace("torch.relu", "torch.tanh"))
    assert own("my_ffn:Gated") != first
    write(own_folder, GATED)
    assert own("my_ffn:Gated") == first
    assert not list(own_folder.rglob("__pycache__"))


def test_an_edited_function_is_the_one_that_runs_and_the_old_name_keeps_the_old_one(own_folder: Path) -> None:
    from model_zoo.own_code import loaded

    write(own_folder, "def f(config):\n    return 1\n")
    old = own("my_ffn:f")
    write(own_folder, "def f(config):\n    return 2\n")
    new = own("my_ffn:f")
    assert (loaded(old)(None), loaded(new)(None)) == (1, 2)


@pytest.mark.parametrize("edited", ["helper.py", "kit/__init__.py", "kit/inner.py", "kit/deep/more.py"])
def test_the_hash_covers_what_the_file_imports_from_beside_it(own_folder: Path, edited: str) -> None:
    write(own_folder, "import helper\nfrom kit import inner\n\ndef f(config):\n    import kit.deep.more\n")
    for name in ("helper.py", "kit/__init__.py", "kit/inner.py", "kit/deep/__init__.py", "kit/deep/more.py"):
        write(own_folder, "x = 1\n", name)
    write(own_folder, "x = 1\n", "unrelated.py")
    before = own("my_ffn:f")
    write(own_folder, "x = 2\n", "unrelated.py")
    assert own("my_ffn:f") == before
    write(own_folder, "x = 2\n", edited)
    assert own("my_ffn:f") != before


def test_relative_imports_inside_a_package_are_covered_and_loops_end(own_folder: Path) -> None:
    write(own_folder, "", "kit/__init__.py")
    write(own_folder, "from . import b\nfrom .sub.c import d\n\ndef f(config):\n    return d\n", "kit/a.py")
    write(own_folder, "import kit.a\n", "kit/b.py")
    write(own_folder, "", "kit/sub/__init__.py")
    write(own_folder, "from .. import b\nd = 1\n", "kit/sub/c.py")
    before = own("kit.a:f")
    write(own_folder, "from .. import b\nd = 2\n", "kit/sub/c.py")
    assert own("kit.a:f") != before


def test_code_of_an_installed_package_hashes_that_package_and_nothing_else() -> None:
    from model_zoo.own_source import source_files

    files = source_files("hypothesis.strategies")
    assert "hypothesis.strategies" in files and "hypothesis" in files
    assert {name.partition(".")[0] for name in files} == {"hypothesis"}


def test_our_own_packages_are_no_part_of_the_hash(own_folder: Path) -> None:
    from model_zoo.own_source import source_files

    write(own_folder, "import torch\nimport json\nfrom model_zoo.config import EncoderConfig\n")
    assert list(source_files("my_ffn")) == ["my_ffn"]


# What cannot be named


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("my_ffn", "", r"named module:name, such as my_ffn:Gated; got 'my_ffn'"),
        ("my_ffn.py:Gated:x", "", r"named module:name"),
        ("my_fnn:Gated", "", r"beside the study or in an installed package, got 'my_fnn'.*put my_fnn.py beside"),
        ("sys:exit", "", r"must be a Python file .*got 'sys'"),
        ("my_ffn:Gatde", GATED, r"my_ffn.py must define Gatde, got no such name; check my_ffn:Gatde"),
        ("my_ffn:x", "x = 3\n", r"my_ffn:x must be a function or a class, got int"),
        ("my_ffn:f", "a = 1\ndef f(:\n", r"^my_ffn.py, line 2: SyntaxError: .*mend that line"),
        ("my_ffn:f", "a = 1\nimport not_there_at_all\n", r"^my_ffn.py, line 2: ModuleNotFoundError: .*mend it"),
        ("my_ffn:f", "a = 1\n\nb = a / 0\n", r"^my_ffn.py, line 3: ZeroDivisionError: division by zero; mend it"),
        ("my_ffn:f", "import sys\nsys.exit(0)\n", r"^my_ffn.py, line 2: SystemExit: 0; mend it"),
        ("my_ffn:f", "import helper\n", r"^helper.py, line 1: too small; mend it"),
    ],
)
def test_what_cannot_be_named_is_one_line_with_file_line_and_way_out(
    own_folder: Path, path: str, text: str, message: str
) -> None:
    write(own_folder, text)
    write(own_folder, "raise ValueError('too small')\n", "helper.py")
    with pytest.raises(ValueError, match=message) as caught:
        own(path)
    assert "\n" not in str(caught.value)


def test_a_source_that_changed_meanwhile_is_not_loaded(own_folder: Path) -> None:
    from model_zoo import own_code

    write(own_folder, GATED)
    named = own("my_ffn:Gated")
    own_code._loaded.clear()
    write(own_folder, GATED + "# more\n")
    with pytest.raises(ValueError, match=r"my_ffn:Gated must be the code that this trial names .*run the same command"):
        own_code.load(named)


def test_nothing_is_imported_for_a_value(own_folder: Path, small: Callable[..., Any]) -> None:
    from model_zoo.cost import cost
    from model_zoo.encoder import Encoder

    write(own_folder, "raise RuntimeError('was imported')\n")
    config = small(feed_forward="my_ffn:Gated@0123456789abcdef")
    for use in (cost, Encoder):
        with pytest.raises(ValueError, match=r"must be loaded .*only `thinbert run` and `thinbert show` of the study"):
            use(config)
    assert "my_ffn" not in sys.modules


@pytest.mark.parametrize("text", ["my_ffn:Gated", "gated", "my_ffn:Gated@xyz", ""])
def test_a_config_takes_what_own_gives_and_nothing_like_it(small: Callable[..., Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"feed_forward must be 'dense' or what own\('module:name'\) gives"):
        small(feed_forward=text)


# A feed-forward


@pytest.mark.parametrize("kind", ["Gated", "dense"])
@pytest.mark.parametrize("length", [1, 7])
def test_the_cost_of_a_feed_forward_is_that_of_the_built_model(
    own_folder: Path, small: Callable[..., Any], kind: str, length: int
) -> None:
    from model_zoo.cost import cost
    from model_zoo.encoder import Encoder, count_parameters

    write(own_folder, GATED + DENSE)
    config = small(feed_forward=own(f"my_ffn:{kind}"))
    assert cost(config, length).parameters == count_parameters(Encoder(config))
    usual = {part.name: part for part in cost(small(), length).components}["feed-forward"]
    own_cost = {part.name: part for part in cost(config, length).components}["feed-forward"]
    by_hand = 2 * 2 * 2 * length * 3 * 8 * 8  # layers, stack, multiply-add, tokens, three matrices of 8 x 8
    assert own_cost.flops == (by_hand if kind == "Gated" else usual.flops)


def test_two_dense_layers_of_ones_own_are_the_papers_feed_forward(own_folder: Path, small: Callable[..., Any]) -> None:
    from model_zoo.cost import feed_forward_numbers
    from model_zoo.encoder import Encoder

    write(own_folder, DENSE)
    config = small(feed_forward=own("my_ffn:dense"))
    usual, mine = Encoder(small()).eval(), Encoder(config).eval()
    renamed = {"inner": "own.0", "outer": "own.2"}
    weights = {
        ".".join(renamed.get(part, part) if "feed_forward" in name else part for part in name.split(".")): tensor
        for name, tensor in usual.state_dict().items()
    }
    mine.load_state_dict(weights)
    ids, mask = torch.arange(12).reshape(2, 6), torch.ones(2, 6, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(usual(ids, mask, ids * 0).feature_maps[-1], mine(ids, mask, ids * 0).feature_maps[-1])
    assert feed_forward_numbers(config, 5) == 5 * (12 + 12 + 8)  # one more than the paper's count: the outer layer


def test_its_dense_layers_start_as_all_others_do(own_folder: Path, small: Callable[..., Any]) -> None:
    from model_zoo.encoder import Encoder

    write(own_folder, GATED)
    gate = Encoder(small(feed_forward=own("my_ffn:Gated"), initializer_range=0.01)).blocks[0].feed_forward[0].own.gate
    assert gate.weight.abs().max() <= 0.02 and not gate.bias.any()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", r"my_ffn:f must return a torch.nn.Module .*got int; return what maps \(batch, tokens, 8\)"),
        ("return nn.Linear(8, 9)", r"my_ffn:f must map a float32 tensor of shape \(2, 3, 8\) .*got float32 of shape"),
        ("return nn.Linear(9, 8)", r"my_ffn:f must map a tensor of shape \(2, 3, 8\) .*got RuntimeError: .*mend it"),
        ("return Call(lambda x: (x, x))", r"shape \(2, 3, 8\) to the same shape, got tuple; the residual"),
        ("return Call(lambda x: x.double())", r"got float64 of shape \(2, 3, 8\)"),
        ("return Call(lambda x: x.mean(1, keepdim=True))", r"got float32 of shape \(2, 1, 8\)"),
        ("return config.no_such_field", r"my_ffn:f \(my_ffn.py, line 9\) must make a torch module .*AttributeError"),
        ("return Call(lambda x: x / nothing)", r"my_ffn:f \(my_ffn.py, line 9\) must map .*NameError: name 'nothing'"),
        ("return SHARED", r"my_ffn:f must make new parameters at every call, got the same ones twice"),
        (
            "return Call(lambda x: torch.fft.fft(x).real)",
            r"FLOPs of my_ffn:f must be known.*fft.*flops\(config, length\)",
        ),
    ],
)
def test_what_is_no_feed_forward_is_named_with_what_it_got_and_gave(
    own_folder: Path, small: Callable[..., Any], body: str, message: str
) -> None:
    from model_zoo.cost import cost

    call = "class Call(nn.Module):\n    def __init__(self, f):\n        super().__init__()\n        self.forward = f\n"
    write(
        own_folder, f"import torch\nfrom torch import nn\n{call}SHARED = nn.Linear(8, 8)\ndef f(config):\n    {body}\n"
    )
    with pytest.raises(ValueError, match=message) as caught:
        cost(small(feed_forward=own("my_ffn:f")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("said", "message"), [("1.5", "a whole number"), ("-1", "got -1"), ("1 / 0", "ZeroDivision")])
def test_flops_that_the_code_says_are_taken_unless_they_are_none(
    own_folder: Path, small: Callable[..., Any], said: str, message: str
) -> None:
    from model_zoo.cost import cost

    fft = "import torch\nfrom torch import nn\nclass F(nn.Module):\n"
    fft += "    def forward(self, x):\n        return torch.fft.fft(x).real\n"
    fft += "    @staticmethod\n    def flops(config, length):\n        return {}\ndef f(config):\n    return F()\n"
    fft += "f.flops = F.flops\n"
    write(own_folder, fft.format("7 * length"))
    parts = {part.name: part for part in cost(small(feed_forward=own("my_ffn:f")), 10).components}
    assert (parts["feed-forward"].flops, parts["feed-forward"].parameters) == (2 * 2 * 70, 2 * 2 * 2 * 8)
    write(own_folder, fft.format(said))
    with pytest.raises(ValueError, match=message):
        cost(small(feed_forward=own("my_ffn:f")), 10)


# What cannot have one


def test_forms_that_know_the_papers_feed_forward_alone_refuse_another(
    own_folder: Path, small: Callable[..., Any]
) -> None:
    from model_zoo.deploy import fold
    from model_zoo.encoder import Encoder
    from model_zoo.transformers_config import to_fields

    write(own_folder, GATED)
    config = small(feed_forward=own("my_ffn:Gated"))
    weights = {f"encoder.{name}": tensor for name, tensor in Encoder(config).state_dict().items()}
    with pytest.raises(ValueError, match=r"folded and ONNX forms know feed_forward='dense' alone, got 'my_ffn:Gated@"):
        fold(config, weights)
    with pytest.raises(ValueError, match=r"transformers cannot express feed_forward='my_ffn:Gated@.*set feed_forward="):
        to_fields(config, pooler=False)
