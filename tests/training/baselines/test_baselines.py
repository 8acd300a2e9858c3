# SPDX-License-Identifier: Apache-2.0
"""What every compared system must hold: shapes, masks, causality, learning, seeded samples."""

import dataclasses

import pytest
import torch
from torch import Tensor

from lsf_backend.model.config import paper
from training.baselines.base import (
    Baseline,
    LabelConfig,
    Labels,
    SpeechBatch,
    clip_generators,
    clip_noise,
    masked_mean,
    one_hot,
    vertex_gram,
)
from training.baselines.codes import SpeechToCodes
from training.baselines.codetalker import CodeTalker
from training.baselines.emote import Emote
from training.baselines.encoders import SpeechToCodesConfig
from training.baselines.facediffuser import FaceDiffuser, FaceDiffuserConfig, signal_share
from training.baselines.faceformer import FaceFormer
from training.baselines.registry import (
    TABLE1,
    TABLE2,
    Setting,
    build,
    model_config,
    prior_of,
    weights_of,
)

LABELS = LabelConfig(n_subjects=3, n_emotions=4, n_intensities=2)
SETTING = Setting("tiny", d_motion_features=6, d_emotion_features=5, labels=LABELS)
SYSTEMS = tuple(dict.fromkeys((*TABLE1, *TABLE2)))
DISTINCT = tuple(name for name in SYSTEMS if weights_of(name) == name)
STOCHASTIC = set(SYSTEMS) - {"faceformer", "codetalker", "emote"}
T = 19


def system(name: str, seed: int = 0) -> Baseline:
    torch.manual_seed(seed)
    built = build(name, SETTING)
    with torch.no_grad():
        # Zero-initialised parts would make every test of influence pass.
        for parameter in built.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for module in built.modules():
            if hasattr(module, "codebooks"):
                module.codebooks.normal_(0, 0.5)
    return built.eval()


def batch(seed: int = 1, t: int = T, subject: int = 1) -> SpeechBatch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    lengths = torch.tensor([t, 11])
    return SpeechBatch(
        motion_features=normal(2, 2 * t, 6),
        emotion_features=normal(2, 2 * t, 5),
        betas=normal(2, 300),
        motion=0.5 * normal(2, t, 53).cumsum(dim=1) / t**0.5,
        mask=torch.arange(t)[None] < lengths[:, None],
        labels=Labels(torch.tensor([subject, 0]), torch.tensor([2, 3]), torch.tensor([0, 1])),
    )


def alone(whole: SpeechBatch, clip: int) -> SpeechBatch:
    n, row = whole.lengths[clip], slice(clip, clip + 1)
    labels = (whole.labels.subject, whole.labels.emotion, whole.labels.intensity)
    return SpeechBatch(
        whole.motion_features[row, : 2 * n],
        whole.emotion_features[row, : 2 * n],
        whole.betas[row],
        whole.motion[row, :n],
        whole.mask[row, :n],
        Labels(*(label[row] for label in labels)),
    )


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SYSTEMS)
def test_samples_have_their_shape_and_repeat_with_the_seed(name: str) -> None:
    model, some = system(name), batch()
    drawn = model.sample(some, 4, seeded())
    assert drawn.shape == (4, 2, T, 53) and drawn.isfinite().all()
    assert torch.equal(drawn, model.sample(some, 4, seeded()))
    real = drawn[:, 0]
    if name in STOCHASTIC:
        assert all(not torch.equal(real[0], other) for other in real[1:])
        assert not torch.equal(drawn, model.sample(some, 4, seeded(6)))
    else:
        assert all(torch.equal(real[0], other) for other in real[1:])


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_padded_clip_gives_what_it_gives_alone(name: str) -> None:
    model, some = system(name), batch()
    drawn = model.sample(some, 2, seeded())
    generator = seeded()
    for clip in range(2):
        single = alone(some, clip)
        own = model.sample(single, 2, generator)
        torch.testing.assert_close(drawn[:, clip, : own.shape[2]], own[:, 0], rtol=1e-4, atol=2e-5)
    for phase in model.phases:
        noisy = dataclasses.replace(
            some,
            motion=some.motion + 9.0 * ~some.mask[:, :, None],
            motion_features=some.motion_features
            + 9.0 * ~some.mask.repeat_interleave(2, 1)[:, :, None],
        )
        with torch.no_grad():
            losses = [model.training_step(one, phase, seeded())["loss"] for one in (some, noisy)]
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)


@pytest.mark.parametrize("name", DISTINCT)
def test_learning_lowers_the_loss_of_a_tiny_batch(name: str) -> None:
    torch.manual_seed(0)
    model, some = build(name, SETTING).train(), batch()
    for phase in model.phases:
        model.prepare(some, phase, seeded())
        optimizer = torch.optim.Adam(model.start_phase(phase), lr=1e-2)
        losses = []
        for step in range(40):
            loss = model.training_step(some, phase, seeded(step))["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        start, end = sum(losses[:5]), sum(losses[-5:])
        assert end < 0.8 * start, f"{phase}: {start / 5:.4f} -> {end / 5:.4f}"


@pytest.mark.parametrize("name", DISTINCT)
def test_a_phase_trains_its_part_and_leaves_the_rest(name: str) -> None:
    model, some = system(name), batch()
    for phase in model.phases:
        trained = {id(parameter) for parameter in model.start_phase(phase)}
        model.train()
        model.zero_grad()
        model.training_step(some, phase, seeded())["loss"].backward()
        for key, parameter in model.named_parameters():
            moved = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert moved <= (id(parameter) in trained), f"{phase} moves {key}"
        for frozen in model.frozen_in(phase):
            assert not any(module.training for module in model.get_submodule(frozen).modules())
    assert all(
        parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad
    ), "a parameter that no loss reaches"
    with pytest.raises(ValueError, match="phase 'third'"):
        model.start_phase("third")


@pytest.mark.parametrize("name", DISTINCT)
def test_speech_features_get_a_gradient_so_their_encoder_can_learn(name: str) -> None:
    model, some = system(name), batch()
    features = some.motion_features.requires_grad_(True)
    model.start_phase("speech")
    model.training_step(dataclasses.replace(some, motion_features=features), "speech", seeded())[
        "loss"
    ].backward()
    assert features.grad is not None and float(features.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_says_how_it_was_conditioned_and_reads_nothing_else(name: str) -> None:
    model, some = system(name), batch()
    said = model.conditioning
    assert said.endswith(".")
    before = model.sample(some, 1, seeded())
    changes = {
        "speaker": {"labels": dataclasses.replace(some.labels, subject=torch.tensor([2, 2]))},
        "emotion and int|true emotion|emotion, int": {
            "labels": dataclasses.replace(some.labels, emotion=torch.tensor([0, 0]))
        },
        "shape": {"betas": some.betas + 1.0},
        "emotion features": {"emotion_features": some.emotion_features.flip(0)},
    }
    for words, change in changes.items():
        changed = model.sample(dataclasses.replace(some, **change), 1, seeded())
        # "speaker's ... shape" is about shape, not about the speaker's label.
        text = said.lower().replace("speaker's", "").replace("speaker one-hots", "speaker")
        told = any(word in text for word in words.split("|"))
        if words == "speaker":
            told = "speaker one-hot" in said.lower() or "unseen speaker" in said
        if name not in ("faceformer", "codetalker") or words == "speaker":
            assert told == (not torch.equal(before, changed)), (words, said)
        else:
            assert torch.equal(before, changed), words


def test_an_unseen_speaker_is_the_average_of_all() -> None:
    some = batch(subject=-1)
    row = one_hot(some.labels, LABELS, "subject", "emotion")
    assert row[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 1, 0])
    assert row[1].tolist() == [1, 0, 0, 0, 0, 0, 1]
    outside = dataclasses.replace(some.labels, subject=torch.tensor([3, 0]))
    with pytest.raises(ValueError, match=r"subject \[3, 0\] is outside 0\.\.2"):
        one_hot(outside, LABELS, "subject")


def future_changed(some: SpeechBatch, frame: int) -> SpeechBatch:
    features, motion = some.motion_features.clone(), some.motion.clone()
    features[:, 2 * frame :] += 5.0
    motion[:, frame:] += 5.0
    return dataclasses.replace(some, motion_features=features, motion=motion)


@pytest.mark.parametrize("name", ["faceformer", "facediffuser_ddpm", "facediffuser_ddim"])
def test_no_future_in_a_causal_system(name: str) -> None:
    model, some = system(name), batch()
    before = model.sample(some, 2, seeded())
    after = model.sample(future_changed(some, 9), 2, seeded())
    assert torch.equal(before[:, :, :9], after[:, :, :9])
    assert not torch.allclose(before[:, 0, 9], after[:, 0, 9])


def test_codetalker_chooses_codes_without_the_future() -> None:
    model, some = system("codetalker"), batch()
    assert isinstance(model, CodeTalker)
    with torch.no_grad():
        before, after = model.speak(some), model.speak(future_changed(some, 9))
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


def test_teacher_forcing_sees_only_earlier_true_frames() -> None:
    model, some = system("faceformer"), batch()
    assert isinstance(model, FaceFormer)
    later = future_changed(some, 9)
    with torch.no_grad():
        true = some.motion / model.spread
        changed = later.motion / model.spread
        before, after = model.run(some, true), model.run(some, changed)
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.equal(before[:, 10], after[:, 10])


def test_codetalker_learns_from_the_frames_before_each() -> None:
    model, some = system("codetalker"), batch()
    assert isinstance(model, CodeTalker)
    later = some.motion.clone()
    later[:, 9:] += 5.0
    with torch.no_grad():
        before, after = (model.latents_after(some, motion) for motion in (some.motion, later))
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10], after[:, 10])


def test_step_by_step_equals_all_at_once() -> None:
    model, some = system("faceformer"), batch(t=60)
    assert isinstance(model, FaceFormer)
    with torch.no_grad():
        stepwise = model.run(some)
        at_once = model.run(some, stepwise)
    torch.testing.assert_close(stepwise, at_once, rtol=1e-4, atol=1e-6)


def test_faceformer_starts_from_the_neutral_face() -> None:
    torch.manual_seed(0)
    assert not build("faceformer", SETTING).eval().sample(batch(), 1, seeded()).any()


def test_noise_schedule_falls_from_signal_to_noise() -> None:
    share = signal_share(1000)
    assert share[0] > 0.999 and share[-1] < 1e-6 and bool((share.diff() < 0).all())


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_diffusion_samplers_return_what_a_perfect_denoiser_knows(sampler: str) -> None:
    config = FaceDiffuserConfig(6, 16, n_steps=30, sampler=sampler, ddim_steps=7, labels=LABELS)  # type: ignore[arg-type]
    model, some = FaceDiffuser(config).eval(), batch()
    answer = (some.motion / model.spread).repeat(3, 1, 1)
    model.denoiser.forward = lambda noisy, step, condition: answer  # type: ignore[method-assign]
    drawn = model.sample(some, 3, seeded())
    torch.testing.assert_close(drawn, some.motion.expand(3, -1, -1, -1))


def test_ddpm_samples_have_the_spread_of_the_data() -> None:
    """The best denoiser of normal data with deviation 2 is linear; its samples must show it."""
    model = FaceDiffuser(
        FaceDiffuserConfig(6, 16, n_steps=200, sampler="ddpm", ddim_steps=50, labels=LABELS)
    ).eval()
    share = model.share.float()

    def best(noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        a = share[step][:, None, None]
        return noisy * 4 * a.sqrt() / (4 * a + 1 - a)

    model.denoiser.forward = best  # type: ignore[method-assign]
    for sampler in ("ddpm", "ddim"):
        model.config = dataclasses.replace(model.config, sampler=sampler)
        drawn = model.sample(batch(), 20, seeded())[:, 0] / model.spread
        assert float(drawn.std()) == pytest.approx(2.0, rel=0.05), sampler


def test_ddim_starts_from_noise_and_ends_at_step_zero() -> None:
    model = build("facediffuser_ddim", Setting("small", 6, 5, LABELS))
    assert isinstance(model, FaceDiffuser)
    steps = model.steps()
    assert len(steps) == 100 and steps[0] == 999 and steps[-1] == 0
    assert steps == sorted(set(steps), reverse=True)


def test_vertex_loss_is_the_squared_vertex_error() -> None:
    basis = torch.randn(53, 12, generator=seeded())
    error = torch.randn(1, 4, 53, generator=seeded(2))
    by_hand = (error @ basis).unflatten(-1, (4, 3)).square().sum(-1).mean()
    gram = vertex_gram(basis)
    model = Emote(build("emote", SETTING).config, gram)  # type: ignore[arg-type]
    whole = torch.ones(1, 4, dtype=torch.bool)
    scale = (model.spread[:, None] * gram * model.spread).diagonal().mean() * 53
    found = model._vertex_loss(error / model.spread, whole) * scale
    torch.testing.assert_close(found, by_hand)
    with pytest.raises(ValueError, match="basis must be"):
        vertex_gram(torch.zeros(53, 10))


def test_noise_of_a_clip_is_its_own() -> None:
    owners = clip_generators(2, seeded())
    both = clip_noise(owners, [5, 3], (4, 5, 2))
    assert both.shape == (4, 2, 5, 2) and not both[:, 1, 3:].any()
    generator = seeded()
    for clip, length in enumerate((5, 3)):
        own = clip_noise(clip_generators(1, generator), [length], (4, length, 2))
        assert torch.equal(both[:, clip, :length], own[:, 0])
    uniform = clip_noise(clip_generators(1, generator), [50], (4, 50, 2), uniform=True)
    assert 0 <= float(uniform.min()) and float(uniform.max()) < 1


def test_masked_mean_leaves_padding_out() -> None:
    values = torch.tensor([[[1.0, 3.0], [100.0, 100.0]]])
    assert float(masked_mean(values, torch.tensor([[True, False]]))) == 2.0


@pytest.mark.parametrize("name", SYSTEMS)
def test_published_sizes_can_be_built(name: str) -> None:
    with torch.device("meta"):
        model = build(name, Setting())
    n = sum(parameter.numel() for parameter in model.parameters())
    assert 0.3e6 < n < 80e6


def test_lsf_row_is_the_paper_preset() -> None:
    assert dataclasses.replace(model_config(Setting()), name="paper") == paper()
    model = build("lsf", SETTING)
    assert isinstance(model, SpeechToCodes) and model.config.fusion == "hifb"
    with pytest.raises(ValueError, match="fusion 'gate'"):
        SpeechToCodesConfig(style=("betas",), fusion="gate")
    with pytest.raises(ValueError, match="'nobody'"):
        build("nobody", SETTING)


def test_what_shares_a_training_can_load_it() -> None:
    for name in SYSTEMS:
        build(name, SETTING).load_state_dict(build(weights_of(name), SETTING).state_dict())
        prior = prior_of(name)
        assert (prior is None) == (build(name, SETTING).phases == ("speech",))
        if prior == "vqvae":
            mine, theirs = build(name, SETTING), build("hifb", SETTING)
            assert isinstance(mine, SpeechToCodes) and isinstance(theirs, SpeechToCodes)
            mine.prior.load_state_dict(theirs.prior.state_dict())


@pytest.mark.parametrize("name", ["codetalker", "hifb"])
def test_codes_start_on_real_motion_and_never_on_padding(name: str) -> None:
    torch.manual_seed(0)
    model, some = build(name, SETTING).eval(), batch()
    assert isinstance(model, SpeechToCodes | CodeTalker)
    padded = dataclasses.replace(some, motion=some.motion + 50.0 * ~some.mask[:, :, None])
    with torch.no_grad():
        before = model.prior(some.motion, some.mask)
    model.prepare(padded, "speech", seeded())
    assert torch.equal(model.prior(some.motion, some.mask).codes, before.codes)
    model.prepare(padded, "prior", seeded())
    with torch.no_grad():
        after = model.prior(some.motion, some.mask)
    assert float(after.loss) < 0.3 * float(before.loss)
    assert after.codes[some.mask].unique().numel() > 4


def test_short_features_are_refused() -> None:
    some = batch()
    with pytest.raises(ValueError, match="motion_features has 37 rows, needs 38"):
        dataclasses.replace(some, motion_features=some.motion_features[:, :-1])
