//! Numbers that follow from a seed.
//!
//! `SplitMix64`: a few lines, the same on every machine, good enough to choose deeds and faults with.

/// A source of numbers for one run.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Seed {
    /// Begins the run of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }
}
