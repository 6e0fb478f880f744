"""Each architecture against its paper: written out in functional calls and loops, counted, or solved in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.conv1d import BandsEncoder
from mirclr.models.convolution import ResidualBlock, norm_conv
from mirclr.models.crnn import RecurrentEncoder
from mirclr.models.depthwise import DepthwiseEncoder, InvertedResidual
from mirclr.models.resnet import ResidualEncoder
from mirclr.models.samplecnn import SampleEncoder
from mirclr.models.staged import StagedEncoder, at_rate, pooled
from mirclr.models.table import ENCODERS, build_encoder
from mirclr.models.transformer import Block, PatchTransformer, sinusoids
from mirclr.models.vgg import ShortChunkEncoder

STAGED = [name for name, encoder in ENCODERS.items() if issubclass(encoder, StagedEncoder) and name != "crnn"]


def count(module: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Module,)) -> int:
    """Parameters of the modules of `kinds`; of all for the default."""
    if kinds == (nn.Module,):
        return sum(p.numel() for p in module.parameters())
    return sum(p.numel() for part in module.modules() if isinstance(part, kinds) for p in part.parameters())


def unlike_fresh(module: nn.Module) -> nn.Module:
    """In eval mode, with batch-norm statistics that are not 0 and 1."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module.eval()


class ByHand:
    """An encoder's layers by the names in its state_dict: what a checkpoint on disk is read into."""

    def __init__(self, module: nn.Module) -> None:
        self.at = module.state_dict()

    def conv(self, x: Tensor, name: str, **how: object) -> Tensor:
        weight = self.at[f"{name}.weight"]
        convolve = functional.conv2d if weight.ndim == 4 else functional.conv1d
        return convolve(x, weight, padding=weight.shape[-1] // 2, **how)  # type: ignore[arg-type]

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.at[f"{name}.{part}"].reshape(-1, *[1] * (x.ndim - 2))
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv_norm(self, x: Tensor, name: str, first: int = 0, **how: object) -> Tensor:
        return self.norm(self.conv(x, f"{name}.{first}", **how), f"{name}.{first + 1}")


def test_pooled_is_mean_and_maximum_over_every_place() -> None:
    maps = torch.arange(12.0).reshape(1, 2, 2, 3)
    want = torch.tensor([[2.5, 8.5, 5.0, 11.0]])
    torch.testing.assert_close(pooled(maps), want)
    torch.testing.assert_close(pooled(maps.flatten(2)), want)


@pytest.mark.parametrize("ratio", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [1, 2, 9, 40])
def test_features_at_a_lower_rate_stay_at_their_moments(ratio: int, length: int) -> None:
    """A ramp sampled every `ratio` moments is the ramp again up to the last sample, which is held."""
    ramp = torch.arange(float(length))
    expected = ramp.clamp(max=float((math.ceil(length / ratio) - 1) * ratio))
    torch.testing.assert_close(at_rate(ramp[None, None, ::ratio], ratio, length)[0, 0], expected)


@pytest.mark.parametrize("name", STAGED)
def test_a_later_sound_has_the_same_features_later(name: str) -> None:
    """Exactly, away from the ends, for a shift by the slowest stage's stride: the network has no clock."""
    torch.manual_seed(0)
    encoder = build_encoder(name, width=4).eval()
    assert isinstance(encoder, StagedEncoder)
    slowest, stride = encoder.strides[-1], encoder.frame_stride
    sound = torch.randn(1, encoder.bands or 64, 14 * slowest)
    late = torch.cat([torch.randn_like(sound[:, :, :slowest]), sound], dim=2)[:, :, : sound.shape[2]]
    shift = slowest // stride
    inside = slice(5 * shift, 8 * shift)  # the last stage's view reaches over three of its columns
    before, after = encoder.sequence(sound), encoder.sequence(late)
    torch.testing.assert_close(after[:, shift:][:, inside], before[:, inside], atol=1e-5, rtol=1e-4)


class TestResidual:
    def test_the_network_written_out_by_the_names_of_its_checkpoint(self) -> None:
        torch.manual_seed(0)
        encoder = unlike_fresh(ResidualEncoder(width=4, stages=2, blocks=2))
        hand, frames = ByHand(encoder), torch.randn(3, 64, 50)
        maps, out = torch.relu(hand.conv_norm(frames[:, None], "stem", stride=4)), []
        for stage, stride in enumerate((1, 2)):
            for block in range(2):
                name, step = f"stages.{stage}.{block}", stride if block == 0 else 1
                inner = hand.conv_norm(torch.relu(hand.conv_norm(maps, f"{name}.first", stride=step)), f"{name}.second")
                same = f"{name}.shortcut.0.weight" not in hand.at
                maps = torch.relu(inner + (maps if same else hand.conv_norm(maps, f"{name}.shortcut", stride=step)))
            out += [maps.mean((2, 3)), maps.amax((2, 3))]
        torch.testing.assert_close(encoder(frames), torch.cat(out, dim=1), atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize(
        ("size", "millions", "dim"), [("nano", 0.31, 480), ("small", 1.23, 960), ("base", 11.2, 1920)]
    )
    def test_sizes_are_what_the_documentation_says(self, size: str, millions: float, dim: int) -> None:
        encoder = build_encoder("resnet", size=size)
        assert count(encoder) / 1e6 == pytest.approx(millions, rel=0.01)
        assert encoder.dim == dim

    def test_what_is_said_outright_goes_before_the_size(self) -> None:
        assert ResidualEncoder("base", width=4, stages=3, blocks=1).dim == 2 * (4 + 8 + 16)
        shapes = [[p.shape for p in build_encoder("resnet", **o).parameters()] for o in ({}, {"width": 16})]
        assert shapes[0] == shapes[1]

    def test_dropout_stands_between_the_convolutions(self) -> None:
        """With everything dropped only the second convolution's bias and the shortcut are left."""
        block = ResidualBlock(3, 3, 1, dropout=0.999999).train()
        maps = torch.rand(2, 3, 8, 8)
        expected = torch.relu(maps + block.second[1].bias.reshape(-1, 1, 1))
        torch.testing.assert_close(block(maps), expected)


class TestDepthwise:
    def test_a_block_written_out(self) -> None:
        torch.manual_seed(0)
        block = unlike_fresh(InvertedResidual(4, 4, 1, expansion=6, dropout=0.0))
        hand, maps = ByHand(block), torch.randn(2, 4, 9, 7)
        inner = hand.conv_norm(maps, "branch").clamp(0, 6)
        inner = hand.conv_norm(inner, "branch", 3, groups=24).clamp(0, 6)
        narrow = hand.conv_norm(inner, "branch", 6)
        torch.testing.assert_close(block(maps), maps + narrow, atol=1e-5, rtol=1e-4)
        assert narrow.min() < 0  # the bottleneck is linear

    @pytest.mark.parametrize(("outputs", "stride", "expansion"), [(8, 2, 6), (5, 1, 6), (8, 2, 1)])
    def test_its_convolutions_are_counted_as_in_the_paper(self, outputs: int, stride: int, expansion: int) -> None:
        """Sec. 3.2: t d (d + k^2 + d') numbers, without the first term where nothing is widened; no shortcut."""
        block = unlike_fresh(InvertedResidual(4, outputs, stride, expansion, 0.0))
        widening = 4 if expansion > 1 else 0
        assert count(block, (nn.Conv2d,)) == 4 * expansion * (widening + 9 + outputs)
        maps = torch.randn(1, 4, 6, 6)
        torch.testing.assert_close(block(maps), block.branch(maps))

    def test_its_size_is_what_the_documentation_says(self) -> None:
        assert count(DepthwiseEncoder()) / 1e6 == pytest.approx(0.86, rel=0.01)


class TestShortChunk:
    def test_the_seven_layers_written_out(self) -> None:
        torch.manual_seed(0)
        encoder = unlike_fresh(ShortChunkEncoder(width=4))
        hand, frames = ByHand(encoder), torch.randn(2, 70, 150)
        maps, out = frames[:, None], []
        for name in ["stem", *(f"stages.{k}" for k in range(6))]:
            maps = functional.max_pool2d(torch.relu(hand.conv_norm(maps, name)), 2, ceil_mode=True)
            out += [maps.mean((2, 3)), maps.amax((2, 3))]
        torch.testing.assert_close(encoder(frames), torch.cat(out[2:], dim=1), atol=1e-5, rtol=1e-4)

    def test_channels_and_pooling_are_the_papers(self) -> None:
        encoder = ShortChunkEncoder(width=128)
        channels = [part.out_channels for part in encoder.modules() if isinstance(part, nn.Conv2d)]
        assert channels == [128, 128, 256, 256, 256, 256, 512]
        assert [maps.shape[2:] for maps in encoder.eval()._maps(torch.randn(1, 128, 128))][-1] == (1, 1)

    def test_the_papers_embedding_is_the_end_of_the_pooled_one(self) -> None:
        whole, last = ShortChunkEncoder(width=4), ShortChunkEncoder(width=4, summary="last")
        last.load_state_dict(whole.state_dict())
        frames = torch.randn(2, 64, 100)
        assert last.dim == 16
        torch.testing.assert_close(last.eval()(frames), whole.eval()(frames)[:, -16:])


class TestSampleCnn:
    def test_59049_samples_end_in_one_column(self) -> None:
        encoder = SampleEncoder(width=4).eval()
        with torch.no_grad():
            assert [maps.shape[2] for maps in encoder._maps(torch.randn(1, 1, 59_049))] == [243, 81, 27, 9, 3, 1]
            assert encoder._maps(torch.randn(1, 1, 59_050))[-1].shape[2] == 2

    def test_its_convolutions_are_counted_as_in_the_papers_table(self) -> None:
        """conv 3-128, conv 3-128 twice, conv 3-256 six times, conv 3-512, conv 1-512, without their biases."""
        modules = 2 * 3 * 128 * 128 + 3 * 128 * 256 + 5 * 3 * 256 * 256 + 3 * 256 * 512
        assert count(SampleEncoder(width=128), (nn.Conv1d,)) == 3 * 128 + modules + 512 * 512

    def test_the_modules_written_out(self) -> None:
        torch.manual_seed(0)
        encoder = unlike_fresh(SampleEncoder(width=4))
        hand, samples = ByHand(encoder), torch.randn(2, 1, 5000)
        maps, out = torch.relu(hand.conv_norm(samples, "stem", stride=3)), []
        for name in [*(f"stem.{k}" for k in (3, 4, 5)), *(f"stages.{k}" for k in range(6))]:
            maps = functional.max_pool1d(torch.relu(hand.conv_norm(maps, name)), 3, ceil_mode=True)
            if name == "stages.5":
                maps = torch.relu(hand.conv_norm(maps, name, 5))
            out += [maps.mean(2), maps.amax(2)]
        torch.testing.assert_close(encoder(samples), torch.cat(out[6:], dim=1), atol=1e-5, rtol=1e-4)


class TestBands:
    def test_its_first_layer_sees_the_whole_spectrum_and_nothing_runs_over_frequency(self) -> None:
        encoder = BandsEncoder(bands=40, width=4, kernel=5)
        convolutions = [part for part in encoder.modules() if isinstance(part, nn.Conv1d)]
        assert convolutions[0].weight.shape == (4, 40, 11)
        assert not [part for part in encoder.modules() if isinstance(part, nn.Conv2d)]
        assert {c.kernel_size for c in convolutions[1:]} == {(5,), (1,)}

    def test_another_number_of_bands_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match=r"BandsEncoder takes \(B, 40, N\), got \(2, 64, 50\)"):
            BandsEncoder(bands=40, width=4)(torch.zeros(2, 64, 50))

    def test_a_centred_convolution_keeps_the_places(self) -> None:
        pulse = torch.zeros(1, 1, 30)
        pulse[0, 0, 12] = 1.0
        for kernel in (1, 3, 7):
            layer = norm_conv(1, 1, kernel, 3, axes=1).eval()
            layer[0].weight.data = torch.hann_window(kernel + 2, periodic=False)[None, None, 1:-1]
            heard = layer(pulse)[0, 0]
            assert heard.argmax() == 4
            assert len(heard) == 10


class TestRecurrent:
    def test_layers_and_units_written_out(self) -> None:
        torch.manual_seed(0)
        encoder = unlike_fresh(RecurrentEncoder(width=3, hidden=5, layers=1, summary="last"))
        hand, frames = ByHand(encoder), torch.randn(2, 64, 50)
        maps = frames[:, None]
        for name, pool in zip(["stem", *(f"stages.{k}" for k in range(3))], [2, 3, 4, 4], strict=True):
            maps = functional.max_pool2d(functional.elu(hand.conv_norm(maps, name)), (pool, 2), ceil_mode=True)
        assert maps.shape[2:] == (1, 4)
        state = torch.zeros(2, 5)
        for step in maps[:, :, 0].unbind(2):
            a = step @ hand.at["gru.weight_ih_l0"].T + hand.at["gru.bias_ih_l0"]
            b = state @ hand.at["gru.weight_hh_l0"].T + hand.at["gru.bias_hh_l0"]
            reset, update = ((x + y).sigmoid() for x, y in zip(a.split(5, 1)[:2], b.split(5, 1)[:2], strict=True))
            new = (a.split(5, 1)[2] + reset * b.split(5, 1)[2]).tanh()
            state = (1 - update) * new + update * state
        torch.testing.assert_close(encoder(frames), state, atol=1e-5, rtol=1e-4)

    def test_the_papers_pools_leave_fifteen_steps_of_half_a_minute(self) -> None:
        encoder = RecurrentEncoder(width=2, hidden=4, time_pools=(2, 3, 4, 4)).eval()
        assert encoder._maps(torch.randn(1, 96, 1366))[-1].shape == (1, 4, 15)
        assert encoder.strides == (6, 24, 96, 96)


class TestTransformer:
    def test_sinusoids_are_vaswanis(self) -> None:
        table = sinusoids(50, 6)
        for place in (0, 1, 49):
            for pair in range(3):
                angle = place / 10_000 ** (2 * pair / 6)
                assert table[place, pair] == pytest.approx(math.sin(angle), abs=1e-5)
                assert table[place, 3 + pair] == pytest.approx(math.cos(angle), abs=1e-5)

    def test_a_block_written_out(self) -> None:
        torch.manual_seed(0)
        block, tokens = Block(6, heads=2, dropout=0.0).eval(), torch.randn(1, 5, 6)
        queries, keys, values = block.queries_keys_values(functional.layer_norm(tokens, (6,))).split(6, dim=2)
        mixed = torch.zeros_like(tokens)
        for head in (slice(0, 3), slice(3, 6)):
            scores = queries[..., head] @ keys[..., head].transpose(1, 2) / math.sqrt(3)
            mixed[..., head] = scores.softmax(dim=2) @ values[..., head]
        raised = tokens + block.joined(mixed)
        first, last = block.perceptron[0], block.perceptron[3]
        raised = raised + last(functional.gelu(first(functional.layer_norm(raised, (6,)))))
        torch.testing.assert_close(block(tokens)[0], raised)
        torch.testing.assert_close(block(tokens)[1], functional.layer_norm(raised, (6,)))

    def test_a_token_is_its_patch_and_its_place_in_frequency_and_in_time(self) -> None:
        encoder = PatchTransformer(bands=40, width=4, heads=1, depth=1, patch=(16, 8))
        patches, frames = encoder.patches, torch.randn(1, 40, 20)
        tokens = patches(frames)
        assert tokens.shape == (1, 3, 3, 4)
        padded = functional.pad(frames, (0, 4, 0, 8))
        for row in range(3):
            for column in range(3):
                cell = padded[0, 16 * row : 16 * row + 16, 8 * column : 8 * column + 8]
                linear = patches.cut.weight.flatten(1) @ cell.flatten() + patches.cut.bias
                place = patches.frequency[row, 0] + patches.time_gain * sinusoids(3, 4)[column]
                torch.testing.assert_close(tokens[0, row, column], linear + place, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize(("mask", "kept"), [(0.0, 12), (0.5, 6), (0.75, 3), (0.99, 1)])
    def test_training_keeps_the_stated_share_of_tokens_and_eval_all(self, mask: float, kept: int) -> None:
        encoder = PatchTransformer(bands=48, width=4, heads=1, depth=1, mask=mask)
        seen: list[int] = []
        encoder.blocks[0].register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0].shape[1]))
        frames = torch.randn(3, 48, 32)
        encoder.train()(frames)
        encoder.sequence(frames)
        encoder.eval()(frames)
        assert seen == [kept, 12, 12]

    def test_every_clip_keeps_tokens_of_its_own_choice_without_repeats(self) -> None:
        encoder, tokens = PatchTransformer(width=4, heads=1, depth=1), torch.arange(100.0)[None, :, None]
        torch.manual_seed(5)
        first = encoder._kept(tokens.expand(64, -1, 4))
        torch.manual_seed(5)
        assert torch.equal(encoder._kept(tokens.expand(64, -1, 4)), first)
        choices = [frozenset(row.tolist()) for row in first[:, :, 0]]
        assert {len(choice) for choice in choices} == {50}
        assert len(set(choices)) == 64
        often = torch.bincount(first[:, :, 0].flatten().long(), minlength=100)
        assert 10 < often.min() < often.max() < 54  # binomial(64, 1/2), 5.5 deviations

    def test_bad_shapes_are_refused_together_with_what_they_must_be(self) -> None:
        with pytest.raises(ValueError, match="even and a multiple of heads, got width=10, heads=4"):
            PatchTransformer(width=10, heads=4)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("resnet", {"width": 0}, r"encoder\.width must be a whole number in 1\.\.512, got 0"),
        ("resnet", {"stem": [4]}, r"encoder\.stem must be 2 whole numbers .*strides over frequency and time.*\[4\]"),
        ("resnet", {"blocks": 2.0}, r"encoder\.blocks must be a whole number in 1\.\.16, got 2\.0"),
        ("resnet", {"size": "huge"}, r"encoder\.size must be one of nano, small, base; got 'huge'"),
        ("depthwise", {"expansion": True}, r"encoder\.expansion must be a whole number .*got True"),
        ("vgg", {"summary": "mean"}, r"encoder\.summary must be one of stages, last; got 'mean'"),
        ("conv1d", {"kernel": 4}, r"encoder\.kernel must be odd.*got 4"),
        ("crnn", {"time_pools": [2, 2]}, r"encoder\.time_pools must be 4 whole numbers in 1\.\.8"),
        ("transformer", {"mask": 1.0}, r"encoder\.mask must be a number from 0 to below 1, got 1\.0"),
        ("transformer", {"patch": 16}, r"encoder\.patch must be 2 whole numbers"),
    ],
)
def test_options_out_of_range_are_named(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_encoder(name, **options)
