"""What the shipped joint model says of stars: against the flow, the truth, and real photometry.

    python benchmarks/joint_on_stars.py agree            its posteriors and maury-base's, by C2ST
    python benchmarks/joint_on_stars.py missing          calibration with measurements left out
    python benchmarks/joint_on_stars.py bands CATALOG    each band predicted from all the others
    python benchmarks/joint_on_stars.py given            giants whose log g is known
    python benchmarks/joint_on_stars.py speed            draws a second, beside the flow's

Prints markdown tables. Mock stars are those of the models' own sky; CATALOG holds real ones.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from maury.catalogs.readers import read_table
from maury.evaluation.calibration import Floats, expected_coverage, rank_histogram
from maury.evaluation.levels import central_level, tarp_level, uniform_references
from maury.inference.chromospheres import leave_out_chromospheres
from maury.inference.fit import amplitude, magnitudes
from maury.inference.knowledge import with_knowledge
from maury.inference.posterior import Posterior
from maury.inference.quantiles import quantiles
from maury.measurements import Measurements
from maury.simulator import Simulator

SHARPEST = 0.005
"""Error (mag) at which bands are predicted; the catalogue's own joins after that."""

FEWEST = 3
"""Other bands that a prediction wants."""

FORMATS = "+.3f", ".3f", ".3f", ".2f"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["agree", "missing", "bands", "given", "speed"])
    parser.add_argument("catalog", nargs="?")
    parser.add_argument("--model", default="maury-joint")
    parser.add_argument("--flow", default="maury-base")
    parser.add_argument("--stars", type=int)
    parser.add_argument("--draws", type=int)
    parser.add_argument("--floor", type=float, default=0.0, help="that the errors contain (bands)")
    arguments = parser.parse_args()
    joint = Posterior.load(arguments.model, device="cpu")
    flow = Posterior.load(arguments.flow, device="cpu")
    stars, draws = arguments.stars, arguments.draws
    if arguments.what == "agree":
        agree(joint, flow, stars or 50, draws or 1000)
    elif arguments.what == "missing":
        missing(joint, stars or 1000, draws or 200)
    elif arguments.what == "bands":
        bands(joint, flow, Path(arguments.catalog), stars or 500, draws or 64, arguments.floor)
    elif arguments.what == "given":
        given(joint, flow, stars or 100, draws or 1000)
    else:
        speed(joint, flow, stars or 256, draws or 64)


def agree(joint: Posterior, flow: Posterior, stars: int, draws: int) -> None:
    """C2ST of all parameters together and of each alone, star by star."""
    observations = flow.simulate(stars, seed=10)[1]
    one = joint.sample(observations, draws, seed=1).values[..., : len(joint.parameters)]
    other = flow.sample(observations, draws, seed=2).values[..., : len(flow.parameters)]
    both = torch.cat([one, other])
    both = (both - both.mean(0)) / both.std(0)
    together, alone = [], []
    for star in range(stars):
        a, b = both[:draws, star], both[draws:, star]
        together.append(_c2st_of_all(b, a))
        alone.append([_c2st_of_one(b[:, i], a[:, i]) for i in range(a.shape[1])])
    single = np.median(alone, axis=0)
    print(f"{stars} mock stars, {draws} draws of either; medians over stars (84th percentile)\n")
    print("| | C2ST |\n|---|---:|")
    print(f"| all together | {np.median(together):.3f} ({np.quantile(together, 0.84):.3f}) |")
    for i, name in enumerate(joint.parameters):
        print(f"| {name} | {single[i]:.3f} ({np.quantile(np.array(alone)[:, i], 0.84):.3f}) |")


def _c2st_of_all(reference: Tensor, draws: Tensor) -> float:
    """C2ST by a network that stops when held-out draws are told apart no better.

    That of the public tasks (`joint_tasks.two_sample`) learns a thousand draws by heart, which
    takes a minute a star and tells no more.
    """
    x = torch.cat([reference, draws]).numpy()
    label = np.repeat([0, 1], [len(reference), len(draws)])
    classifier = MLPClassifier((64, 64), early_stopping=True, alpha=1e-2, random_state=1)
    folds = KFold(n_splits=5, shuffle=True, random_state=1)
    return float(cross_val_score(classifier, x, label, cv=folds).mean())


def _c2st_of_one(reference: Tensor, draws: Tensor, folds: int = 5, bins: int = 16) -> float:
    """C2ST of one number by the best classifier of bins between quantiles, on held-out draws."""
    x = torch.cat([reference, draws])
    label = torch.cat([torch.zeros(len(reference)), torch.ones(len(draws))])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, label = x[order], label[order]
    edges = torch.quantile(x, torch.linspace(0, 1, bins + 1)[1:-1])
    place = torch.bucketize(x, edges)
    right = 0
    for fold in range(folds):
        held_out = torch.arange(len(x)) % folds == fold
        ones = torch.bincount(place[~held_out & (label == 1)], minlength=bins)
        zeros = torch.bincount(place[~held_out & (label == 0)], minlength=bins)
        right += int(((ones > zeros)[place[held_out]] == (label[held_out] == 1)).sum())
    return right / len(x)


def missing(joint: Posterior, stars: int, draws: int) -> None:
    """Coverage, SBC and TARP where each measurement is left out with a chance of so much."""
    theta, observations = joint.simulate(stars, seed=11)
    generator = np.random.default_rng(0)
    names = joint.parameters
    print(f"{stars} stars, {draws} draws; coverage of central intervals at 68% / 95%\n")
    print("| left out | " + " | ".join(names) + " | TARP | smallest p of SBC |")
    print("|---:|" + "---:|" * (len(names) + 2))
    centre, scale = theta.mean(0), theta.std(0)
    references = uniform_references((theta - centre) / scale, generator)
    for share in (0.0, 0.25, 0.5, 0.75):
        some = observations.without(_left_out(observations, share))
        answers = joint.sample(some, draws, seed=3).values[..., : len(names)]
        level = central_level(answers, theta, generator)
        at = tarp_level((answers - centre) / scale, (theta - centre) / scale, references, generator)
        cells = [_coverage(2 * np.abs(level[:, i] - 0.5)) for i in range(len(names))]
        p_values = [rank_histogram(level[:, i])[1] for i in range(len(names))]
        print(
            f"| {share:.0%} | {' | '.join(cells)} | {_coverage(at)} | {min(p_values):.2g} |",
            flush=True,
        )


def _coverage(level: Floats) -> str:
    return " / ".join(f"{coverage:.3f}" for coverage in expected_coverage(level, [0.68, 0.95])[0])


def _left_out(observations: Measurements, share: float) -> Tensor:
    """Slots (N, S) that go; each star keeps the one that would go last."""
    generator = torch.Generator().manual_seed(5)
    order = torch.rand(observations.value.shape, generator=generator)
    order = order.masked_fill(~observations.measured, -1.0)
    last = torch.zeros_like(observations.measured).scatter_(1, order.argmax(1, keepdim=True), True)
    return observations.measured & (order < share) & ~last


def bands(
    joint: Posterior, flow: Posterior, catalog: Path, stars: int, draws: int, floor: float
) -> None:
    """Bias and scatter of what was measured less what the other bands predict.

    By the joint network, and by the simulator at the flow's draws: what an exact answer would say.
    Real stars, then mock ones. A floor that the catalogue's errors contain is taken out: the model
    has its own.
    """
    table = read_table(catalog)
    rows = np.random.default_rng(0).permutation(len(table))[:stars]
    observations = leave_out_chromospheres(joint, Measurements.from_table(table[np.sort(rows)]))
    real = joint.known(observations)
    own = (real.sigma**2 - floor**2).clamp(min=SHARPEST**2).sqrt()
    real = replace(real, sigma=torch.where(_is_band(joint, real), own, real.sigma))
    mock = joint.known(joint.simulate(stars, seed=15)[1])
    for label, known in ((f"{catalog.name}, floor {floor} taken out", real), ("mock stars", mock)):
        print(f"\n{label}: {len(known)} stars, {draws} draws; {joint.name} | simulator\n")
        print(
            "| band | stars | catalogue error | with the noise model's floor "
            "| bias | scatter (MAD x 1.48) | predicted | cov. 68% |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name in joint.channels:
            if not name.startswith("prior_") and name != "parallax":
                _print_band(joint, flow, known, name, draws)


def _print_band(
    joint: Posterior, flow: Posterior, known: Measurements, name: str, draws: int
) -> None:
    here = known.measured & (known.channel == joint.channels.index(name))
    # Else nothing predicts the band.
    others = (known.measured & ~here & _is_band(joint, known)).sum(1) >= FEWEST
    some = (here.any(1) & others).nonzero().squeeze(-1)
    if len(some) < 20:
        return
    value, sigma = ((x * here)[some].sum(1) for x in (known.value, known.sigma))
    rest = known[some].without(here[some])
    generator = torch.Generator().manual_seed(0)
    by_network = joint.predict(rest, [name], draws, sigma=SHARPEST, seed=4)[name]
    more = (sigma**2 - SHARPEST**2).clamp(min=0).sqrt()
    by_network = by_network + more * torch.randn(by_network.shape, generator=generator)
    exact, noise = _simulated(flow, rest, name, sigma, draws, generator)
    # A draw beyond the library has no magnitudes.
    known_to_all = exact.isfinite().all(0)
    value, sigma = value[known_to_all], sigma[known_to_all]
    cells = []
    for predicted in (by_network[:, known_to_all], exact[:, known_to_all]):
        low, middle, high = quantiles(predicted, [0.16, 0.5, 0.84])
        miss = value - middle
        inside = ((value > low) & (value < high)).float().mean()
        scatter = 1.4826 * (miss - miss.median()).abs().median()
        numbers = (miss.median(), scatter, (0.5 * (high - low)).median(), inside)
        cells.append([f"{float(x):{form}}" for x, form in zip(numbers, FORMATS, strict=True)])
    low, high = quantiles(noise[:, known_to_all], [0.16, 0.84])
    both = " | ".join(f"{network} / {other}" for network, other in zip(*cells, strict=True))
    print(
        f"| {name} | {len(value)} | {sigma.median():.3f} | {(0.5 * (high - low)).median():.3f} "
        f"| {both} |",
        flush=True,
    )


def _simulated(
    flow: Posterior,
    rest: Measurements,
    name: str,
    sigma: Tensor,
    draws: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Measured magnitudes (K, N) that the simulator makes of the flow's draws, and the noise in
    them.

    The brightness of each draw is what the other bands want of its colours: a distance that the
    flow leaves a little wide would smear every band.
    """
    simulator, rest = Simulator(flow.config.simulator), flow.known(rest)
    theta = flow.sample(rest, draws, seed=4).values[..., : len(flow.parameters)]
    at = magnitudes(simulator, theta)
    is_band = _is_band(flow, rest)
    slot = rest.channel.masked_fill(~is_band, 0)
    noise = simulator.instrument.noise
    residual = (rest.value - at.gather(2, slot.expand(draws, -1, -1))).masked_fill(~is_band, 0.0)
    variance = rest.sigma**2 + noise.at(slot).variance[:, 0, :, 0]
    weight = torch.where(is_band, 1 / variance, 0.0)[:, None]
    shift = amplitude(residual.transpose(0, 1), weight)[..., 0].T
    unsure = weight.sum(-1).rsqrt().T * torch.randn(draws, len(rest), generator=generator)
    band = simulator.config.bands.index(name)
    errors = torch.zeros(at.shape[1:])
    errors[:, band] = sigma
    scatter = torch.stack([noise.scatter(errors, generator)[:, band] for _ in range(draws)])
    return at[..., band] + shift + unsure + scatter, scatter


def _is_band(joint: Posterior, known: Measurements) -> Tensor:
    return joint.network.features.is_band[known.channel] & known.measured


def given(joint: Posterior, flow: Posterior, stars: int, draws: int) -> None:
    """Giants as asteroseismology knows them: log g to 0.02 dex."""
    theta, observations = joint.simulate(40 * stars, seed=12)
    column = {name: joint.parameters.index(name) for name in joint.parameters}
    logg, teff = theta[:, column["logg"]], theta[:, column["teff"]]
    giants = ((logg > 1.8) & (logg < 3.2) & (teff > 4200) & (teff < 5300)).nonzero().squeeze(-1)
    giants = giants[:stars]
    theta, observations = theta[giants], observations[giants]
    sigma = 0.02
    noise = torch.randn(len(giants), generator=torch.Generator().manual_seed(0))
    told = theta[:, column["logg"]] + sigma * noise
    known = with_knowledge(observations, {"logg": (0.0, sigma)})
    slot = known.measured & (known.channel == known.channels.index("prior_logg"))
    known = replace(known, value=torch.where(slot, told[:, None], known.value))
    print(f"{len(giants)} giants, {draws} draws, log g known to {sigma} dex\n")
    print("| model | log g | parameter | median |error| | median half width | cov. 68% |")
    print("|---|---|---|---:|---:|---:|")
    for post in (joint, flow):
        answers = {"unknown": post.sample(observations, draws, seed=6)}
        answers["given"] = post.sample(known, draws, seed=7)
        for label, answer in answers.items():
            for name in ("teff", "distance", "mh", "log_age"):
                _print_error(post.name, label, name, answer[name], theta[:, column[name]])
    _compare_with_weights(joint, observations, known, told, sigma, draws)


def _print_error(model: str, label: str, name: str, draws: Tensor, truth: Tensor) -> None:
    relative = truth if name == "distance" else torch.ones_like(truth)
    low, middle, high = quantiles(draws, [0.16, 0.5, 0.84])
    error = ((middle - truth) / relative).abs().median()
    width = (0.5 * (high - low) / relative).median()
    inside = ((truth > low) & (truth < high)).float().mean()
    print(f"| {model} | {label} | {name} | {error:.3g} | {width:.3g} | {inside:.2f} |")


def _compare_with_weights(
    joint: Posterior,
    observations: Measurements,
    known: Measurements,
    told: Tensor,
    sigma: float,
    draws: int,
) -> None:
    """Medians and widths given log g against those of weighted draws without it, in sigma."""
    free = joint.sample(observations, 4 * draws, seed=8)
    weight = torch.softmax(-0.5 * ((free["logg"] - told) / sigma) ** 2, 0)
    enough = 1 / weight.square().sum(0) > 100
    answer = joint.sample(known, draws, seed=9)
    print(f"\nagainst weighted draws: {int(enough.sum())} stars of 100 effective draws or more\n")
    print("| parameter | shift of the median, sigma | ratio of widths |\n|---|---:|---:|")
    for name in joint.parameters:
        low, middle, high = quantiles(answer[name], [0.16, 0.5, 0.84])
        wide = _weighted_quantiles(free[name], weight, [0.16, 0.5, 0.84])
        width = (wide[2] - wide[0]) / 2
        shift = ((middle - wide[1]) / width)[enough].abs().median()
        ratio = ((high - low) / 2 / width)[enough].median()
        print(f"| {name} | {shift:.2f} | {ratio:.2f} |")


def _weighted_quantiles(x: Tensor, weight: Tensor, levels: list[float]) -> list[Tensor]:
    order = x.argsort(0)
    total = weight.gather(0, order).cumsum(0)
    ordered = x.gather(0, order)
    return [
        ordered.gather(0, (total < q).sum(0, keepdim=True).clamp(max=len(x) - 1))[0] for q in levels
    ]


def speed(joint: Posterior, flow: Posterior, stars: int, draws: int) -> None:
    """Draws a second of either from bands alone; as many threads as torch takes.

    Sharp knowledge would take several times as many draws of either.
    """
    observations = flow.simulate(stars, seed=13)[1]
    known = joint.network.known(observations)
    observations = known.without(known.measured & ~_is_band(joint, known))
    print(f"{stars} stars, {draws} draws, {torch.get_num_threads()} threads\n")
    print("| model | draws/s | ratio |\n|---|---:|---:|")
    rates = []
    for post in (joint, flow):
        post.sample(observations[:32], draws)
        started = time.monotonic()
        post.sample(observations, draws)
        rates.append(stars * draws / (time.monotonic() - started))
        print(f"| {post.name} | {rates[-1]:,.0f} | {rates[-1] / rates[0]:.1f} |")


if __name__ == "__main__":
    main()
