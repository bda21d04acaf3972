//! How many rounds a long trial has, and its chance: from a seed that is printed and can be given.

const SEED: &str = "POSTBRIDGE_TEST_SEED";
const FACTOR: &str = "POSTBRIDGE_TEST_ROUNDS";

/// As many rounds as usual, times the factor that `tests/run --long` gives.
pub fn rounds(usual: usize) -> usize {
    usual * std::env::var(FACTOR).map_or(1, |factor| factor.parse().expect("a number of times"))
}

/// Random numbers that a seed repeats.
pub struct Chance {
    pub seed: u64,
    state: u64,
}

impl Chance {
    /// By the seed that was given, else by a new one. It is printed: a test that fails shows it.
    pub fn of_this_run() -> Chance {
        let given = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
        let seed = given.unwrap_or_else(|| u64::from_le_bytes(postbridge::clock::entropy().unwrap()));
        println!("the chance of this trial: {SEED}={seed}");
        Chance { seed, state: seed }
    }

    /// By a seed of its own, next to that of the run.
    pub fn of(seed: u64) -> Chance {
        Chance { seed, state: seed }
    }

    /// A number below another; 0 where that is 0.
    pub fn below(&mut self, below: u64) -> u64 {
        let bytes: [u8; 8] = std::array::from_fn(|_| self.byte());
        u64::from_le_bytes(bytes) % below.max(1)
    }

    /// The next of 256 numbers (SplitMix64's highest byte).
    pub fn byte(&mut self) -> u8 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_be_bytes()[0]
    }
}
