//! Reproducible chance: every value of the pretend world is a function of a hash.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads a number over all 64 bits.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(GOLDEN);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Combines two numbers into one hash.
pub(crate) fn hash(a: u64, b: u64) -> u64 {
    mix(a ^ mix(b))
}

/// Hashes a seed and several texts; the boundary between texts counts.
pub(crate) fn hash_texts(seed: u64, texts: &[&str]) -> u64 {
    let mut state = mix(seed);
    for text in texts {
        for byte in text.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        state = mix(state);
    }
    state
}

/// Reads a hash as a number from 0 (included) to 1 (excluded).
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// Reads a hash as a draw from the standard normal distribution.
pub(crate) fn normal(hash: u64) -> f64 {
    let radius = (-2.0 * (1.0 - unit(hash)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(mix(hash))).cos()
}

/// A curve between -1 and 1 that wanders smoothly and turns about once per unit of `x`.
pub(crate) fn smooth(salt: u64, x: f64) -> f64 {
    let cell = x.floor();
    let at = |cell: f64| 2.0 * unit(hash(salt, cell as i64 as u64)) - 1.0;
    let part = x - cell;
    let eased = part * part * (3.0 - 2.0 * part);
    at(cell) * (1.0 - eased) + at(cell + 1.0) * eased
}

/// A sequence of draws that depends only on its seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub(crate) fn normal(&mut self) -> f64 {
        normal(self.next())
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
