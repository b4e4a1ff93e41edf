//! How often a test repeats itself, and with which seed.
//!
//! | variable | meaning |
//! |---|---|
//! | `BOXBOX_SEED` | the seed, to repeat a failure; without it tests that take chances draw one and print it |
//! | `BOXBOX_CAMPAIGN` | set: tests repeat more, and try more |
//! | `BOXBOX_RUNS` | how often a fault is repeated in a campaign (20) |

/// Whether this is a campaign: tests then repeat more, and try more.
pub fn campaign() -> bool {
    std::env::var_os("BOXBOX_CAMPAIGN").is_some()
}

/// How often a test repeats a fault: three times, and in a campaign as often as `BOXBOX_RUNS` says.
pub fn rounds() -> u32 {
    if campaign() { number("BOXBOX_RUNS").unwrap_or(20) } else { 3 }
}

/// The seed that was asked for.
pub fn seed_asked() -> Option<u64> {
    number("BOXBOX_SEED")
}

/// A generator of random numbers of the seed that was asked for, else of a new one, which is printed.
pub fn seeded(test: &str) -> fastrand::Rng {
    let seed = seed_asked().unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: BOXBOX_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// The number that the environment variable `name` holds, if it holds one.
pub fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
