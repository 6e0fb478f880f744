"""Hashed text: folding, n-grams and buckets by hand, the mean in closed form, and the same hash everywhere."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mirclr.models.text import HashedText, bucket_of, buckets_of, folded, grams_of, words_of


@pytest.fixture
def text() -> HashedText:
    torch.manual_seed(0)
    return HashedText(buckets=4096, width=64)


def alike(text: HashedText, one: str, other: str) -> float:
    a, b = text(text.bags([one, other])).detach()
    return float(cosine_similarity(a, b, dim=0))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Jóga", "joga"),
        ("BJÖRK", "bjork"),
        ("Straße", "STRASSE"),
        ("don’t", "dont"),
        ("ﬁn", "fin"),
        ("Ångström", "ångström"),  # composed and apart
        ("ＮＨＫ", "nhk"),
    ],
)
def test_case_accents_widths_and_apostrophes_do_not_count(text: HashedText, typed: str, meant: str) -> None:
    assert folded(typed) == folded(meant)
    assert torch.equal(text(text.bags([typed])), text(text.bags([meant])))


def test_words_are_runs_of_letters_and_digits_of_any_script() -> None:
    assert words_of("AC/DC - T.N.T. (1975) drum'n'bass_mix") == ["ac", "dc", "t", "n", "t", "1975", "drumnbass", "mix"]
    assert words_of("Кино · 坂本 龍一") == ["кино", "坂本", "龍一"]
    assert words_of(" …!") == []


def test_the_n_grams_of_where_are_those_of_the_paper_and_the_word_comes_first() -> None:
    """Section 3.2 of the paper: <wh, whe, her, ere, re> and the special sequence <where>; her is not <her>."""
    assert grams_of("where", 3, 3) == ["<where>", "<wh", "whe", "her", "ere", "re>"]
    assert grams_of("her", 3, 4) == ["<her>", "<he", "her", "er>", "<her", "her>"]
    assert grams_of("a", 3, 5) == ["<a>"]
    assert grams_of("aaaa", 3, 3) == ["<aaaa>", "<aa", "aaa", "aa>"]  # each once


def test_the_hash_is_written_down_and_the_same_in_a_process_with_another_seed() -> None:
    assert [bucket_of(gram, 1000) for gram in ("<piano>", "<pi", "ジャズ")] == KNOWN
    code = "from mirclr.models.text import bucket_of; print([bucket_of(g, 1000) for g in ('<piano>', '<pi', 'ジャズ')])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1", "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == str(KNOWN)


KNOWN = [588, 404, 988]


def test_buckets_are_filled_evenly() -> None:
    """Chi squared of 20,000 names over 64 buckets: its expectation is 63, five deviations of it 56."""
    counts = torch.bincount(torch.tensor([bucket_of(f"name {n}", 64) for n in range(20_000)]), minlength=64)
    expected = 20_000 / 64
    assert float(((counts - expected) ** 2 / expected).sum()) < 63 + 56


def test_a_text_is_the_mean_over_words_of_the_mean_over_their_n_grams(text: HashedText) -> None:
    def word(name: str) -> Tensor:
        ids = [bucket_of(gram, text.buckets) for gram in grams_of(name, text.shortest, text.longest)]
        return text.vectors[ids].mean(0)

    got = text(text.bags(["Calm PIANO, calm", "a"]))
    torch.testing.assert_close(got[0], (2 * word("calm") + word("piano")) / 3)
    torch.testing.assert_close(got[1], text.vectors[bucket_of("<a>", text.buckets)])


def test_order_does_not_matter_and_a_text_without_words_is_zero_wherever_it_stands(text: HashedText) -> None:
    got = text(text.bags(["", "sad piano", "?!", "piano sad", ""]))
    torch.testing.assert_close(got[1], got[3])
    assert torch.equal(got[[0, 2, 4]], torch.zeros(3, 64))
    bags = text.bags(["", "sad piano"])
    assert float(bags.weights.sum()) == pytest.approx(1)
    assert len(bags) == 2
    assert torch.equal(text(text.bags(["", ""])), torch.zeros(2, 64))


def test_a_text_is_the_same_in_any_batch(text: HashedText) -> None:
    texts = ["calm piano", "rock", "Miles Davis So What 1959 1950s"]
    every = text(text.bags(texts))
    for row, single in zip(every, texts, strict=True):
        torch.testing.assert_close(row, text(text.bags([single]))[0])


@pytest.mark.parametrize(
    ("word", "near", "far"), [("piano", "pianos", "guitar"), ("electronic", "electronica", "march")]
)
def test_words_that_share_letters_are_near_before_anything_is_learned(
    text: HashedText, word: str, near: str, far: str
) -> None:
    assert alike(text, word, near) > 0.4
    assert abs(alike(text, word, far)) < 0.3


def test_gradients_reach_exactly_the_buckets_of_the_text(text: HashedText) -> None:
    text(text.bags(["piano"])).sum().backward()
    moved = text.vectors.grad.abs().sum(1).nonzero()[:, 0].tolist()
    assert moved == sorted(set(buckets_of("piano", 3, 5, 4096).tolist()))
    count = len(buckets_of("piano", 3, 5, 4096))
    assert text.vectors.grad[moved[0], 0].item() == pytest.approx(1 / count, rel=1e-6)


def test_words_it_never_learned_from_are_named(text: HashedText) -> None:
    text.mark_seen(text.bags(["calm piano", "rock"]))
    assert text.unseen("Piano ROCK calm") == []
    assert text.unseen("calm harpsichord pianos") == ["harpsichord", "pianos"]
    again = HashedText(buckets=4096, width=64)
    again.load_state_dict(text.state_dict())
    assert again.unseen("harpsichord rock") == ["harpsichord"]


def test_what_it_never_learned_from_is_left_out_unless_there_is_nothing_else(text: HashedText) -> None:
    before = text(text.bags(["calm", "xyzzy"])).detach()
    text.mark_seen(text.bags(["calm piano"]))
    calm, mixed, strange = text(text.bags(["calm", "calm xyzzy", "xyzzy"])).detach()
    torch.testing.assert_close(calm, before[0])
    torch.testing.assert_close(mixed, before[0])
    torch.testing.assert_close(strange, before[1])
    pianist = text(text.bags(["pianist"])).detach()[0]
    shared = sorted({*buckets_of("pianist", 3, 5, 4096).tolist()} & {*buckets_of("piano", 3, 5, 4096).tolist()})
    torch.testing.assert_close(pianist, text.vectors[shared].mean(0).detach())


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("buckets", 1, r"text\.buckets must be a whole number in 2\.\.4194304, got 1"),
        ("width", 0, r"text\.width must be a whole number in 1\.\.4096, got 0"),
        ("shortest", 2.5, r"text\.shortest must be a whole number in 1\.\.16, got 2\.5"),
        ("longest", 2, r"text\.longest must be a whole number in 3\.\.16, got 2"),
    ],
)
def test_bad_options_are_named(option: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HashedText(**{option: value})


def test_double_precision_gradients_are_those_of_the_function() -> None:
    torch.manual_seed(1)
    text = HashedText(buckets=32, width=3).double()
    bags = text.bags(["calm piano", "", "rock"])

    def of(vectors: Tensor) -> Tensor:
        return torch.func.functional_call(text, {"vectors": vectors}, (bags,))

    assert torch.autograd.gradcheck(of, (text.vectors.detach().clone().requires_grad_(),))
