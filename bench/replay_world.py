"""Generated auction logs for the table `replay`: prices and click probabilities that drift between train and test.

    log pctr_i   = log m + shift + sigma x_i - sigma^2 / 2            x_i = sqrt(s) u_i + sqrt(1 - s) e_i
    log price_i  = log p + shift' + wave_i + tau y_i                  y_i = rho x_i + sqrt(1 - rho^2) z_i
    click_i      ~ Bernoulli(min(1, c pctr_i^gamma m^(1 - gamma)))

u is a mix of traffic that changes slowly (AR(1) over blocks of 250 auctions), e and z are independent normals, wave is
the day (a sine of one period over the log), shifts hold for the test log only. Prices are rounded and clipped to
0 .. 300. The parameters of a world are drawn from its seed, in ranges typical of published display logs: mean pctr
1e-4 .. 3e-3, mean price 50 .. 100. All of it is assumption; the logs compare bidders and describe no real market.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.auction_log import Auctions

BLOCK = 250
HIGHEST = 300


@dataclass(frozen=True)
class ReplayWorld:
    """One advertiser's view of a market: what both logs share, and how the test log departs from the train log."""

    mean_pctr: float
    sigma: float  # spread of log pctr
    price: float  # median price
    tau: float  # spread of log price
    slow: float  # share of the variance of log pctr that changes slowly
    rho: float  # correlation of log price with log pctr
    wave: float  # amplitude of the day in log price
    calibration: float  # clicks per predicted click
    gamma: float  # slope of log click rate on log pctr: below 1 the prediction is overconfident
    pctr_shift: float
    price_shift: float


def draw_world(rng: np.random.Generator) -> ReplayWorld:
    return ReplayWorld(
        mean_pctr=float(np.exp(rng.uniform(np.log(1e-4), np.log(3e-3)))),
        sigma=float(rng.uniform(0.4, 1.6)),
        price=float(rng.uniform(45, 80)),
        tau=float(rng.uniform(0.4, 0.9)),
        slow=float(rng.uniform(0.0, 0.2)),
        rho=float(rng.uniform(-0.1, 0.4)),
        wave=float(rng.uniform(0.0, 0.3)),
        calibration=float(np.exp(rng.normal(0, 0.2))),
        gamma=float(rng.uniform(0.8, 1.05)),
        pctr_shift=float(rng.normal(0, 0.15)),
        price_shift=float(rng.normal(0, 0.12)),
    )


def draw_log(world: ReplayWorld, auctions: int, rng: np.random.Generator, *, test: bool) -> Auctions:
    """A log of that many auctions; test departs from train by the world's shifts."""
    blocks = -(-auctions // BLOCK)
    slow = np.empty(blocks)
    level = rng.normal()
    for block in range(blocks):
        level = 0.9 * level + np.sqrt(1 - 0.9**2) * rng.normal()
        slow[block] = level
    x = np.sqrt(world.slow) * np.repeat(slow, BLOCK)[:auctions] + np.sqrt(1 - world.slow) * rng.normal(size=auctions)
    y = world.rho * x + np.sqrt(1 - world.rho**2) * rng.normal(size=auctions)
    wave = world.wave * np.sin(2 * np.pi * (np.arange(auctions) / max(1, auctions) + rng.uniform()))
    log_pctr = np.log(world.mean_pctr) + test * world.pctr_shift + world.sigma * x - world.sigma**2 / 2
    pctr = np.clip(np.exp(log_pctr), 0.0, 0.5)
    price = np.exp(np.log(world.price) + test * world.price_shift + wave + world.tau * y)
    click = rng.random(auctions) < click_rate(world, pctr)
    return Auctions(click=click.astype(np.int8), price=np.clip(np.rint(price), 0, HIGHEST).astype(np.int64), pctr=pctr)


def click_rate(world: ReplayWorld, pctr: np.ndarray) -> np.ndarray:
    """The true probability of a click, float64[n]."""
    return np.minimum(1.0, world.calibration * pctr**world.gamma * world.mean_pctr ** (1 - world.gamma))
