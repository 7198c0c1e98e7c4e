"""Networks that label frames: what they may see, their loss, and labels of many videos."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.training.frame_settings import FrameNetwork
from rnnlab.training.frames import Committee, Scaling, frame_learner, label_frames
from rnnlab.training.label_scores import label_nats, label_shares
from rnnlab.training.optimisers import Clip

RNG = np.random.default_rng(0)
VIDEOS = [RNG.normal(3, 2, (length, 29)).astype(np.float32) for length in (7, 40, 1)]


def made(**settings):
    network = FrameNetwork(cell="gru", hidden=5, strategy="autodiff", **({"members": 2} | settings))
    model = Committee(network, 29, 4)
    return model, model.init(jax.random.key(0))


def test_scaling_by_the_equations():
    train, video = RNG.normal(3, 2, (200, 2)), RNG.normal(5, 1, (50, 2))
    found = Scaling.of(train, 20)(video)
    m, v = train.mean(axis=0), train.var(axis=0)
    for t in range(50):
        seen = video[: t + 1]
        mean = (20 * m + seen.sum(axis=0)) / (21 + t)
        square = (20 * (v + m**2) + (seen**2).sum(axis=0)) / (21 + t)
        expected = (video[t] - mean) / np.sqrt(square - mean**2)
        np.testing.assert_allclose(found[t], expected, rtol=1e-5, atol=1e-5)


def test_scaling_of_what_never_changes_and_of_what_counts_for_all_time():
    constant = Scaling.of(np.ones((3, 1)), 5)
    assert constant[:2] == ((1.0,), (1.0,)) and (constant(np.ones((4, 1))) == 0).all()
    train = np.concatenate(VIDEOS)
    fixed = Scaling.of(train, 2**31)(train)
    np.testing.assert_allclose(fixed.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(fixed.std(axis=0), 1, atol=1e-5)


@pytest.mark.slow
def test_a_network_that_reads_forwards_labels_a_frame_before_the_next():
    for both in (False, True):
        model, params = made(bidirectional=both)
        whole, start = label_frames(model, params, [VIDEOS[1], VIDEOS[1][:20]])
        close = np.allclose(whole.probabilities[:20], start.probabilities, atol=1e-6)
        assert close is not both


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "crf": True}])
def test_videos_side_by_side_are_labelled_as_each_by_itself(settings):
    model, params = made(**settings)
    for video, answer in zip(VIDEOS, label_frames(model, params, VIDEOS), strict=True):
        (alone,) = label_frames(model, params, [video])
        assert answer.labels.shape == (len(video),)
        np.testing.assert_array_equal(answer.labels, alone.labels)
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, atol=1e-5)
        np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_a_committee_answers_the_mean_of_its_members():
    model, params = made(members=3)
    alone, _ = made(members=1)
    each = [
        label_frames(alone, jax.tree.map(lambda a, m=m: a[m : m + 1], params), [VIDEOS[0]])[0]
        for m in range(3)
    ]
    shares = [one.probabilities for one in each]
    assert np.ptp(shares, axis=0).max() > 0.01
    (found,) = label_frames(model, params, [VIDEOS[0]])
    np.testing.assert_allclose(found.probabilities, np.mean(shares, axis=0), atol=1e-5)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(axis=1))


def test_nats_of_labels_by_the_equation():
    scores, labels = RNG.normal(size=(2, 5, 3)), RNG.integers(0, 3, (2, 5))
    lengths, weights = np.array([5, 2]), np.array([0.5, 1.0, 2.0])
    log_p = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    expected = [
        -sum(weights[labels[b, t]] * log_p[b, t, labels[b, t]] for t in range(lengths[b]))
        for b in range(2)
    ]
    given = jnp.asarray(scores), jnp.asarray(labels), jnp.asarray(lengths)
    np.testing.assert_allclose(label_nats(*given, weights=weights), expected, rtol=1e-6)
    np.testing.assert_allclose(label_shares(given[0], given[2]), np.exp(log_p), rtol=1e-6)


@pytest.mark.slow
def test_noise_needs_a_key_and_moves_positions_as_a_whole():
    model, params = made(noise=0.0, shift=1.0)
    frames, lengths = jnp.asarray(VIDEOS[1][None]), jnp.asarray([40])
    params = jax.tree.map(lambda a: a[0], params)
    module = model.member.bind(params)
    plain = module.scores(frames, lengths)
    np.testing.assert_array_equal(plain, module.scores(frames, lengths))
    assert not np.allclose(plain, module.scores(frames, lengths, jax.random.key(0)))
    model, _ = made(noise=0.0, shift=0.0)
    same = model.member.bind(params).scores(frames, lengths, jax.random.key(0))
    np.testing.assert_allclose(same, plain, atol=1e-6)


@pytest.mark.slow
def test_the_loss_counts_frames_and_not_padding():
    import optax

    model, params = made(noise=0.0, shift=0.0)
    learner = frame_learner(
        model, batch=2, optimiser=optax.sgd(0.1), clip=Clip(), weights=[1.0, 2.0, 1.0, 1.0]
    )
    from rnnlab.data.buckets import pad

    rows = [(v, RNG.integers(0, 4, len(v)).astype(np.int32)) for v in VIDEOS[:2]]
    losses = []
    for steps in (40, 64):
        batch = pad(rows, (steps, steps), np.arange(2, dtype=np.int32), time_major=False)
        loss = learner.loss(params, None, batch, jax.random.key(0))[0]
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    nats = []
    for place in range(2):  # of the members
        own = jax.tree.map(lambda a, place=place: a[place : place + 1], params)
        alone, _ = made(members=1)
        for (_, labels), answer in zip(rows, label_frames(alone, own, VIDEOS[:2]), strict=True):
            p = answer.probabilities[np.arange(len(labels)), labels]
            nats.append(-(1 + (labels == 1)) * np.log(p))
    assert losses[0] == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)


def test_settings_that_do_not_go_together():
    with pytest.raises(UsageError, match="crf=True: needs the frames to come; set bidirectional"):
        FrameNetwork(crf=True)
    with pytest.raises(UsageError, match="noise=-1"):
        FrameNetwork(noise=-1.0)
