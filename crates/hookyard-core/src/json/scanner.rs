//! Walks over JSON text without building anything of it.
//!
//! Used to check a payload and to find a value in one. A scanner stands between two tokens; each step checks what it
//! passes, so text that was scanned to its end is JSON.

use std::ops::Range;

use super::JsonError;

/// A place in JSON text.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    max: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `bytes`; a value may have `max` levels.
    pub(crate) fn new(bytes: &'a [u8], max: usize) -> Self {
        Self { bytes, at: 0, max }
    }

    /// Passes white space and tells which byte follows, if one does.
    pub(crate) fn next_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes `byte` if it follows, white space before it aside.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let follows = self.next_token() == Some(byte);
        self.at += usize::from(follows);
        follows
    }

    /// Passes a name of an object and the colon behind it; returns the name as it stands between its quotes.
    pub(crate) fn name(&mut self) -> Result<&'a [u8], JsonError> {
        if self.next_token() != Some(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let start = self.at + 1;
        self.string()?;
        let name = &self.bytes[start..self.at - 1];
        if self.take(b':') { Ok(name) } else { Err(self.unexpected("`:`")) }
    }

    /// Passes one value, nested ones included; returns where it stands, without the white space around it.
    pub(crate) fn value(&mut self) -> Result<Range<usize>, JsonError> {
        self.next_token();
        let start = self.at;
        let mut nesting = Nesting::default();
        loop {
            match self.next_token() {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    self.open(&mut nesting, Kind::Object)?;
                    if !self.take(b'}') {
                        self.name()?;
                        continue;
                    }
                    nesting.close();
                }
                Some(b'[') => {
                    self.open(&mut nesting, Kind::Array)?;
                    if !self.take(b']') {
                        continue;
                    }
                    nesting.close();
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true", "the rest of `true`")?,
                Some(b'f') => self.literal(b"false", "the rest of `false`")?,
                Some(b'n') => self.literal(b"null", "the rest of `null`")?,
                Some(_) | None => return Err(self.unexpected("a value")),
            }
            if !self.next_value(&mut nesting)? {
                return Ok(start..self.at);
            }
        }
    }

    /// Checks that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.next_token() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end, which must follow the value")),
        }
    }

    /// Behind a value: closes what ends here and stands before the next value, if the outermost one goes on.
    fn next_value(&mut self, nesting: &mut Nesting) -> Result<bool, JsonError> {
        while let Some(kind) = nesting.innermost() {
            match (kind, self.next_token()) {
                (Kind::Array, Some(b',')) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Kind::Object, Some(b',')) => {
                    self.at += 1;
                    self.name()?;
                    return Ok(true);
                }
                (Kind::Array, Some(b']')) | (Kind::Object, Some(b'}')) => {
                    self.at += 1;
                    nesting.close();
                }
                (Kind::Array, _) => return Err(self.unexpected("`,` or `]`")),
                (Kind::Object, _) => return Err(self.unexpected("`,` or `}`")),
            }
        }
        Ok(false)
    }

    fn open(&mut self, nesting: &mut Nesting, kind: Kind) -> Result<(), JsonError> {
        if nesting.depth == self.max {
            return Err(JsonError::TooDeep { at: self.at, max: self.max });
        }
        self.at += 1;
        nesting.open(kind);
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let start = self.at;
        let mut ascii = true;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(byte) if byte.is_ascii() => {
                    return Err(self.unexpected("allowed in a string unless it is escaped"));
                }
                Some(_) => {
                    ascii = false;
                    self.at += self.bytes[self.at..].iter().take_while(|byte| !byte.is_ascii()).count();
                }
                None => return Err(self.unexpected("the end of the string")),
            }
        }
        if !ascii && let Err(error) = std::str::from_utf8(&self.bytes[start..self.at]) {
            return Err(JsonError::NotUtf8 { at: start + error.valid_up_to() });
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.bytes.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                        return Err(self.unexpected("a hexadecimal digit"));
                    }
                    self.at += 1;
                }
            }
            Some(_) | None => return Err(self.unexpected("one of `\" \\ / b f n r t u`")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.at += usize::from(self.bytes[self.at] == b'-');
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, text: &[u8], expected: &'static str) -> Result<(), JsonError> {
        for byte in text {
            if self.bytes.get(self.at) != Some(byte) {
                return Err(self.unexpected(expected));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        match self.bytes.get(self.at) {
            Some(found) => JsonError::Unexpected { found: *found, at: self.at, expected },
            None => JsonError::Ends { at: self.at, expected },
        }
    }
}

/// How many bytes at the beginning are plain text of a string: ASCII, not a control character, not `"`, not `\`.
///
/// Eight at a time: long strings are most of a large payload.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut count = 0;
    while let Some(chunk) = bytes[count..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // In each of these the lowest bit that is set belongs to a byte that is meant; a borrow reaches only bytes above
        // it. So does their union's.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let is_quote = quote.wrapping_sub(ONES) & !quote;
        let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
        let special = (below_space | is_quote | is_backslash | word) & HIGH;
        if special != 0 {
            return count + special.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    let is_plain = |byte: &&u8| matches!(byte, b' '..=0x7f) && !matches!(byte, b'"' | b'\\');
    count + bytes[count..].iter().take_while(is_plain).count()
}

/// What a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Object,
}

/// Which levels are open: one bit for each, so that all levels of a usual payload are in one word and none is on the heap.
#[derive(Default)]
struct Nesting {
    depth: usize,
    innermost: u128,
    outer: Vec<u128>,
}

impl Nesting {
    const WORD: usize = u128::BITS as usize;

    fn open(&mut self, kind: Kind) {
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u128::from(kind == Kind::Object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.innermost = self.outer.pop().expect("one word was put away for each that was filled");
        }
    }

    fn innermost(&self) -> Option<Kind> {
        (self.depth > 0).then_some(if self.innermost & 1 == 1 { Kind::Object } else { Kind::Array })
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn plain_text_ends_at_the_first_special_byte_wherever_it_stands() {
        for special in 0..=u8::MAX {
            let is_plain = (0x20..0x80).contains(&special) && special != b'"' && special != b'\\';
            for place in 0..24 {
                // What follows the special byte is special too, so that a borrow in the word would be seen.
                for after in [b'a', b' ', b'!', b'"', b'#', 0, 0x1f, 0x80, 0xff] {
                    let mut bytes = vec![b'a'; place];
                    bytes.push(special);
                    bytes.resize(32, after);
                    let naive = |byte: &&u8| (0x20..0x80).contains(*byte) && !matches!(byte, b'"' | b'\\');
                    let expected = bytes.iter().take_while(naive).count();
                    assert_eq!(plain(&bytes), expected, "{special} at {place} before {after}");
                    assert!(is_plain || expected == place);
                }
            }
        }
    }
}
