//! Chance that can be repeated: a failure names its seed, and `RELAY_TEST_SEED` runs it again.

/// Names the seed.
const VARIABLE: &str = "RELAY_TEST_SEED";

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Chance(u64);

/// The seed of this run, said aloud.
#[expect(clippy::print_stderr, reason = "cargo shows it with a failure, which is where it is needed")]
pub fn seed() -> u32 {
    let given = std::env::var_os(VARIABLE).and_then(|text| text.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(std::process::id);
    eprintln!("{VARIABLE}={seed}");
    seed
}

impl Chance {
    /// The chance of one who is `number`th under `seed`.
    pub fn new(seed: u32, number: u32) -> Chance {
        Chance(u64::from(seed) << 32 | u64::from(number))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % u64::from(bound.max(1))).unwrap_or(0)
    }
}
