"""DINO for several sensors, against its terms in a loop."""

import pytest
import torch

from xstars_lightning.losses import CrossSensorDINOLoss

SENSORS, VIEWS, WINDOWS, PROTOTYPES = 3, 5, 6, 16


def outputs(seed=0, sensors=SENSORS):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(sensors, VIEWS, WINDOWS, PROTOTYPES, generator=generator)
    return student.requires_grad_(), torch.randn(sensors, 2, WINDOWS, PROTOTYPES, generator=generator)


def presence():
    """Windows of three sensors: each with some of every other, one that nobody saw."""
    seen = [[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 0], [1, 0, 0, 1, 0, 0]]
    return torch.tensor(seen, dtype=torch.bool)


def cross_entropy(student, teacher, center, temperature):
    return -(((teacher - center) / temperature).softmax(-1) * (student / 0.1).log_softmax(-1)).sum()


def loop(student, teacher, center, temperature, present, cross_sensor):
    """The losses term by term."""

    def mean(s, t, pairs):
        windows = [w for w in range(student.shape[2]) if present[s, w] and present[t, w]]
        terms = [
            cross_entropy(student[s, v, w], teacher[t, u, w], center[t], temperature)
            for u, v in pairs
            for w in windows
        ]
        return torch.stack(terms).mean() if terms else None

    losses = []
    for s in range(len(student)):
        every = [(u, v) for u in range(2) for v in range(student.shape[1])]
        own = mean(s, s, [(u, v) for u, v in every if u != v])
        cross = [mean(s, t, every) for t in range(len(student)) if t != s]
        cross = [term for term in cross if term is not None]
        if cross_sensor and cross:
            own = (own + torch.stack(cross).mean()) / 2
        losses.append(student[s].sum() * 0 if own is None else own)
    return torch.stack(losses)


@pytest.mark.parametrize("cross_sensor", [False, True])
@pytest.mark.parametrize("everywhere", [False, True])
def test_equals_the_loop_over_terms(cross_sensor, everywhere):
    student, teacher = outputs()
    present = torch.ones(SENSORS, WINDOWS, dtype=torch.bool) if everywhere else presence()
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES, cross_sensor=cross_sensor)
    loss_function.center.normal_(generator=torch.Generator().manual_seed(0))
    center = loss_function.center.clone()
    losses = loss_function(student, teacher, 0.07, None if everywhere else present)
    expected = loop(student, teacher, center, 0.07, present, cross_sensor)
    torch.testing.assert_close(losses, expected)
    (gradient,) = torch.autograd.grad(losses.sum(), student)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), student)[0])


def test_a_sensor_without_partner_has_its_own_term_alone():
    student, teacher = outputs()
    present = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]], dtype=torch.bool)
    both = CrossSensorDINOLoss(SENSORS, PROTOTYPES, cross_sensor=True)(student, teacher, 0.07, present)
    own = CrossSensorDINOLoss(SENSORS, PROTOTYPES)(student, teacher, 0.07, present)
    assert torch.equal(both[2], own[2])
    assert not torch.isclose(both[:2], own[:2]).any()
    center = torch.zeros(SENSORS, PROTOTYPES)
    torch.testing.assert_close(both, loop(student, teacher, center, 0.07, present, True))


@pytest.mark.parametrize("cross_sensor", [False, True])
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_absent_windows_leak_nowhere(cross_sensor, garbage):
    present = presence()
    results = []
    for value in (0.0, garbage):
        student, teacher = outputs()
        with torch.no_grad():
            student.masked_fill_(~present[:, None, :, None], value)
            teacher.masked_fill_(~present[:, None, :, None], value)
        loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES, cross_sensor=cross_sensor)
        losses = loss_function(student, teacher, 0.07, present)
        losses.sum().backward()
        results.append((losses.detach(), student.grad, loss_function.center))
        assert not student.grad.transpose(1, 2)[~present].any()
        assert student.grad.transpose(1, 2)[present].abs().sum(-1).gt(0).all()
    torch.testing.assert_close(results[0], results[1], atol=0, rtol=0)


def test_a_sensor_that_no_window_shows_costs_nothing_and_keeps_its_centre():
    student, teacher = outputs()
    present = presence()
    present[1] = False
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES, cross_sensor=True)
    loss_function.center.fill_(3.0)
    losses = loss_function(student, teacher, 0.07, present)
    (gradient,) = torch.autograd.grad(losses.sum(), student)
    assert losses[1] == 0
    assert not gradient[1].any()
    assert loss_function.center[1].eq(3).all()
    assert loss_function.updates.tolist() == [1, 0, 1]


def test_the_centre_starts_as_a_plain_mean_over_the_windows_seen():
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES, center_momentum=0.75)
    present, means = presence(), []
    for step in range(4):
        student, teacher = outputs(step)
        loss_function(student, teacher, 0.07, present)
        means.append(torch.stack([t[:, seen].mean((0, 1)) for t, seen in zip(teacher, present, strict=True)]))
        torch.testing.assert_close(loss_function.center, torch.stack(means).mean(0))
    loss_function(*outputs(4), 0.07)
    expected = 0.75 * torch.stack(means).mean(0) + 0.25 * outputs(4)[1].mean((1, 2))
    torch.testing.assert_close(loss_function.center, expected)


def test_the_loss_is_that_of_the_centre_before_it_moves():
    student, teacher = outputs()
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES)
    in_training = loss_function(student, teacher, 0.07)
    assert torch.equal(in_training, CrossSensorDINOLoss(SENSORS, PROTOTYPES).eval()(student, teacher, 0.07))


def test_the_centre_moves_in_training_only():
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES).eval()
    loss_function(*outputs(), 0.07)
    assert not loss_function.center.any()
    assert not loss_function.updates.any()


def test_a_checkpoint_brings_back_centre_and_count():
    loss_function, other = (CrossSensorDINOLoss(SENSORS, PROTOTYPES) for _ in range(2))
    loss_function(*outputs(), 0.07, presence())
    assert set(loss_function.state_dict()) == {"center", "updates"}
    other.load_state_dict(loss_function.state_dict())
    for seed in (1, 2):
        assert torch.equal(loss_function(*outputs(seed), 0.07), other(*outputs(seed), 0.07))
    assert torch.equal(loss_function.center, other.center)


def test_the_teacher_receives_no_gradient():
    student, teacher = outputs()
    teacher.requires_grad_()
    CrossSensorDINOLoss(SENSORS, PROTOTYPES, cross_sensor=True)(student, teacher, 0.07).sum().backward()
    assert teacher.grad is None


@pytest.mark.parametrize("present", [None, presence()])
def test_is_computed_in_float32_under_autocast_from_whatever_the_head_returns(present):
    student, teacher = (x.detach().bfloat16() for x in outputs())
    expected = CrossSensorDINOLoss(SENSORS, PROTOTYPES)(student.float(), teacher.float(), 0.04, present)
    loss_function = CrossSensorDINOLoss(SENSORS, PROTOTYPES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = loss_function(student, teacher, 0.04, present)
    assert losses.dtype == loss_function.center.dtype == torch.float32
    assert torch.equal(losses, expected)


@pytest.mark.parametrize(
    ("student", "teacher", "present"),
    [
        ((2, 4, 5, 8), (2, 2, 5, 8), None),
        ((3, 1, 5, 8), (3, 2, 5, 8), None),
        ((3, 4, 5, 9), (3, 2, 5, 9), None),
        ((3, 4, 5, 8), (3, 4, 5, 8), None),
        ((3, 4, 5, 8), (3, 2, 6, 8), None),
        ((3, 4, 40), (3, 2, 40), None),
        ((3, 4, 5, 8), (3, 2, 5, 8), torch.ones(3, 4, dtype=torch.bool)),
        ((3, 4, 5, 8), (3, 2, 5, 8), torch.ones(3, 5)),
    ],
)
def test_shapes_that_disagree_are_named(student, teacher, present):
    with pytest.raises(ValueError, match=r"Expected (student|present)"):
        CrossSensorDINOLoss(3, 8)(torch.zeros(student), torch.zeros(teacher), 0.07, present)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 8), {}, "sensors"),
        ((2, 1), {}, "prototypes"),
        ((2, 8), {"student_temperature": 0.0}, "student_temperature"),
        ((2, 8), {"center_momentum": 1.5}, "center_momentum"),
        ((1, 8), {"cross_sensor": True}, "at least two sensors"),
    ],
)
def test_options_out_of_their_domain_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        CrossSensorDINOLoss(*arguments, **options)


def test_a_teacher_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="teacher_temperature"):
        CrossSensorDINOLoss(SENSORS, PROTOTYPES)(*outputs(), 0.0)
