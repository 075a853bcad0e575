//! Ids: a prefix that names the kind, and 27 base62 digits that sort by time.
//!
//! Minted by whoever creates the thing, parsed once at a door, kept as 20 bytes in the store. The form is Svix's: a KSUID
//! whose fifth byte counts ticks of 4 ms, so that text order, byte order and time order agree.
//!
//! **Invariant:** one [`Minter`] never returns the same id twice, nor one that sorts before an earlier one, even when the
//! clock goes back.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// Seconds between the Unix epoch and the KSUID epoch (2014-05-13T16:53:20Z).
const KSUID_EPOCH_SECONDS: i64 = 1_400_000_000;
/// Ticks per second: one tick is 4 ms.
const TICKS_PER_SECOND: u64 = 250;
const BYTES: usize = 20;
const DIGITS: usize = 27;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 20 bytes of an id, without its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawId([u8; BYTES]);

impl RawId {
    /// The id whose bytes are all zero; sorts before every other.
    pub const MIN: Self = Self([0; BYTES]);
    /// The id whose bytes are all ones; sorts after every other.
    pub const MAX: Self = Self([0xff; BYTES]);

    /// Takes the bytes as they are kept in a store.
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes as they are kept in a store.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The first id of the tick that holds `at`; times outside the range of the form are clamped to its ends.
    pub fn first_of(at: Timestamp) -> Self {
        Self::from_parts(tick_of(at), [0; 15])
    }

    /// When the id was minted, floored to its tick of 4 ms.
    pub fn timestamp(&self) -> Timestamp {
        let tick = self.tick();
        let micros = (KSUID_EPOCH_SECONDS.cast_unsigned() + tick / TICKS_PER_SECOND) * 1_000_000
            + (tick % TICKS_PER_SECOND) * 4_000;
        Timestamp::from_micros(micros.cast_signed())
    }

    fn from_parts(tick: u64, random: [u8; 15]) -> Self {
        let seconds = u32::try_from(tick / TICKS_PER_SECOND).unwrap_or(u32::MAX);
        let fraction = u8::try_from(tick % TICKS_PER_SECOND).unwrap_or(u8::MAX);
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4] = fraction;
        bytes[5..].copy_from_slice(&random);
        Self(bytes)
    }

    fn tick(&self) -> u64 {
        let seconds = u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]);
        u64::from(seconds) * TICKS_PER_SECOND + u64::from(self.0[4])
    }

    #[expect(clippy::cast_possible_truncation, reason = "each quotient fits its limb and each rest is below 62")]
    fn write(&self, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; DIGITS];
        // Long division of a 160-bit number by 62, in 32-bit limbs.
        let mut limbs = [0u32; 5];
        for (limb, chunk) in limbs.iter_mut().zip(self.0.chunks_exact(4)) {
            *limb = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        for digit in digits.iter_mut().rev() {
            let mut rest = 0u64;
            for limb in &mut limbs {
                let value = (rest << 32) | u64::from(*limb);
                *limb = (value / 62) as u32;
                rest = value % 62;
            }
            *digit = ALPHABET[rest as usize];
        }
        f.write_str(prefix)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half stays in the limb, the high half is carried")]
    fn parse(text: &str, prefix: &'static str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError { text: text.chars().take(64).collect(), prefix };
        let digits = text.strip_prefix(prefix).ok_or_else(error)?.as_bytes();
        if digits.len() != DIGITS {
            return Err(error());
        }
        let mut limbs = [0u32; 5];
        for digit in digits {
            let mut carry = u64::from(match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'Z' => digit - b'A' + 10,
                b'a'..=b'z' => digit - b'a' + 36,
                _ => return Err(error()),
            });
            for limb in limbs.iter_mut().rev() {
                let value = u64::from(*limb) * 62 + carry;
                *limb = value as u32;
                carry = value >> 32;
            }
            if carry != 0 {
                return Err(error());
            }
        }
        let mut bytes = [0; BYTES];
        for (chunk, limb) in bytes.chunks_exact_mut(4).zip(limbs) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write("", f)
    }
}

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form `{prefix}` and 27 letters or digits")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(RawId);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Takes an id that a [`Minter`] made or a store kept.
            pub const fn from_raw(raw: RawId) -> Self {
                Self(raw)
            }

            /// The id without its kind.
            pub const fn raw(&self) -> RawId {
                self.0
            }

            /// When the id was minted, floored to 4 ms.
            pub fn timestamp(&self) -> Timestamp {
                self.0.timestamp()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write($prefix, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write($prefix, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                RawId::parse(text, $prefix).map(Self)
            }
        }
    )*};
}

ids! {
    /// Whoever runs applications; any organisation id in a valid token is one.
    OrganisationId = "org_";
    /// A tenant.
    ApplicationId = "app_";
    /// An accepted event.
    MessageId = "msg_";
    /// Where to send.
    EndpointId = "ep_";
    /// One request of a delivery.
    AttemptId = "atmpt_";
    /// An inbound door.
    SourceId = "src_";
    /// A rule that makes something happen at times.
    JobId = "job_";
    /// Long work in the background.
    TaskId = "qtask_";
}

impl OrganisationId {
    /// The organisation of a token that names none, and of everything a file declares: the same text as Svix's default.
    pub fn default_organisation() -> Self {
        "org_23rb8YdGqMT0qIzpgGwdXfHirMu".parse().expect("the constant is an organisation id")
    }
}

/// Makes ids that only ever go up.
///
/// Pure: the caller passes the time and fresh random bytes. A tick is never below the last one used; inside one tick the
/// random part counts up, and when it would wrap, the next tick begins early.
#[derive(Debug, Clone)]
pub struct Minter {
    tick: u64,
    random: [u8; 15],
}

impl Minter {
    /// A minter that returns nothing at or below `last`, the highest id a store remembers.
    pub fn after(last: RawId) -> Self {
        let mut random = [0; 15];
        random.copy_from_slice(&last.0[5..]);
        Self { tick: last.tick(), random }
    }

    /// The next id. `random` is asked when `now` opens a new tick, and not inside one.
    pub fn mint(&mut self, now: Timestamp, random: impl FnOnce() -> [u8; 15]) -> RawId {
        let tick = tick_of(now);
        if tick > self.tick {
            self.tick = tick;
            self.random = random();
        } else if !count_up(&mut self.random) {
            self.tick += 1;
            self.random = random();
        }
        RawId::from_parts(self.tick, self.random)
    }
}

fn tick_of(at: Timestamp) -> u64 {
    let micros = at.as_micros().saturating_sub(KSUID_EPOCH_SECONDS * 1_000_000);
    let last = u64::from(u32::MAX) * TICKS_PER_SECOND + (TICKS_PER_SECOND - 1);
    (u64::try_from(micros).unwrap_or(0) / 4_000).min(last)
}

/// Adds one; false when the number wrapped to zero.
fn count_up(bytes: &mut [u8; 15]) -> bool {
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_millis(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    proptest! {
        #[test]
        fn text_and_bytes_are_the_same_id(bytes: [u8; 20]) {
            let id = MessageId::from_raw(RawId::from_bytes(bytes));
            prop_assert_eq!(id.to_string().parse::<MessageId>(), Ok(id));
        }

        #[test]
        fn text_order_is_byte_order(a: [u8; 20], b: [u8; 20]) {
            let (a, b) = (RawId::from_bytes(a), RawId::from_bytes(b));
            prop_assert_eq!(format!("{a:?}").cmp(&format!("{b:?}")), a.cmp(&b));
        }

        #[test]
        fn the_form_is_that_of_ksuid_ms(bytes: [u8; 20]) {
            use svix_ksuid::KsuidLike as _;
            let theirs = svix_ksuid::KsuidMs::from_bytes(bytes);
            prop_assert_eq!(format!("{:?}", RawId::from_bytes(bytes)), theirs.to_base62());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            let _ = text.parse::<MessageId>();
            let _ = format!("msg_{text}").parse::<MessageId>();
        }

        #[test]
        fn a_minter_only_goes_up(steps in prop::collection::vec((0i64..5_000_000, any::<[u8; 15]>()), 1..200)) {
            let mut minter = Minter::after(RawId::MIN);
            let mut last = RawId::MIN;
            for (offset, random) in steps {
                let id = minter.mint(at_millis(1_700_000_000_000 + offset), || random);
                prop_assert!(id > last);
                last = id;
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_an_hour_does_not_move_ids_back() {
        let mut minter = Minter::after(RawId::MIN);
        let before = minter.mint(at_millis(1_700_003_600_000), || [7; 15]);
        let after = minter.mint(at_millis(1_700_000_000_000), || [0; 15]);
        assert!(after > before);
        let resumed = Minter::after(after).mint(at_millis(1_700_000_000_000), || [0; 15]);
        assert!(resumed > after);
    }

    #[test]
    fn a_full_tick_opens_the_next_one() {
        let mut minter = Minter::after(RawId::from_parts(5, [0xff; 15]));
        assert_eq!(minter.mint(Timestamp::from_micros(0), || [3; 15]), RawId::from_parts(6, [3; 15]));
    }

    #[test]
    fn the_time_of_an_id_is_floored_to_four_milliseconds() {
        let mut minter = Minter::after(RawId::MIN);
        let id = minter.mint(at_millis(1_700_000_000_123), || [0; 15]);
        assert_eq!(id.timestamp(), at_millis(1_700_000_000_120));
        assert_eq!(RawId::first_of(at_millis(1_700_000_000_123)), id);
    }

    #[test]
    fn an_id_of_the_right_prefix_and_wrong_length_is_refused() {
        let error = "msg_abc".parse::<MessageId>().expect_err("too short");
        assert_eq!(error.to_string(), "`msg_abc` is not an id of the form `msg_` and 27 letters or digits");
        for text in ["", "msg_", "msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz", "ep_000000000000000000000000000", "msg_é"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}
