//! Rows on their way, and the sums by which two stores are compared.

use sha2::{Digest as _, Sha256};

use super::Table;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number; of a [`super::Kind::Bool`] 0 or 1.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes; an id is 20 of them.
    Bytes(Vec<u8>),
}

impl Value {
    /// Bytes that it takes in memory, roughly.
    pub fn weight(&self) -> usize {
        let bytes = match self {
            Self::Null | Self::Int(_) => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        };
        size_of::<Self>() + bytes
    }
}

/// A row: a value for each of its table's columns, in their order.
pub type Row = Vec<Value>;

/// Where a store's export of a table goes on. Only the store that made it can read it.
pub type Cursor = Vec<Value>;

/// Some rows of a table. None: the table is over.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows.
    pub rows: Vec<Row>,
    /// Behind the last of them.
    pub next: Cursor,
}

/// Rows counted, and the sum of their hashes: the same for the same rows in any order, so that each store may read a table
/// in the order that suits it. A copy is checked with it and not a stranger's claim, so a sum is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    sum: [u64; 4],
}

impl Digest {
    /// Adds a row of a table.
    pub fn add(&mut self, table: Table, row: &Row) {
        let mut hash = Sha256::new();
        hash.update(table.name());
        for value in row {
            match value {
                Value::Null => hash.update([0]),
                Value::Int(number) => {
                    hash.update([1]);
                    hash.update(number.to_le_bytes());
                }
                Value::Text(text) => add_part(&mut hash, 2, kept(text).as_bytes()),
                Value::Bytes(bytes) => add_part(&mut hash, 3, bytes),
            }
        }
        let mut carry = false;
        for (sum, part) in self.sum.iter_mut().zip(hash.finalize().chunks_exact(8)) {
            let part = u64::from_le_bytes(part.try_into().expect("a chunk has eight bytes"));
            let (one, over) = sum.overflowing_add(part);
            let (both, over_again) = one.overflowing_add(u64::from(carry));
            (*sum, carry) = (both, over || over_again);
        }
        self.rows += 1;
    }

    /// The sum, as text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        for part in self.sum {
            use std::fmt::Write as _;
            write!(text, "{part:016x}").expect("a text grows");
        }
        text
    }
}

fn add_part(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// A text as every store can keep it: `PostgreSQL` has none with a zero character, which a stranger's answer may carry
/// into the log, and keeps a picture of it instead.
pub fn kept(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{2400}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rows: &[Row]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(Table::Key, row);
        }
        digest
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_digest_sees_every_change_and_no_order() {
        let (a, b) =
            (vec![text("a"), Value::Bytes(vec![1]), Value::Int(7)], vec![text("b"), Value::Null, Value::Int(-1)]);
        assert_eq!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
        assert_ne!(of(std::slice::from_ref(&a)), of(&[a.clone(), b.clone()]));
        assert_ne!(of(&[a.clone(), a.clone()]).text(), of(&[b.clone(), b.clone()]).text());
        for other in [
            vec![text("a"), Value::Bytes(vec![1]), Value::Int(8)],
            vec![text("a"), Value::Bytes(vec![]), Value::Int(7)],
            vec![text("a"), text("\u{1}"), Value::Int(7)],
            vec![text("a"), Value::Null, Value::Int(7)],
            vec![text("a\u{3}"), Value::Bytes(vec![1]), Value::Int(7)],
        ] {
            assert_ne!(of(std::slice::from_ref(&other)), of(std::slice::from_ref(&a)), "{other:?}");
        }
        let mut elsewhere = Digest::default();
        elsewhere.add(Table::Audit, &a);
        assert_ne!(elsewhere, of(&[a]), "the same values of another table are another row");
        assert_eq!(of(&[vec![text("a\0")]]), of(&[vec![text("a\u{2400}")]]), "both are kept as the second");
    }

    proptest! {
        #[test]
        fn a_sum_carries_over(numbers: Vec<i64>) {
            let rows: Vec<Row> = numbers.iter().map(|number| vec![Value::Int(*number)]).collect();
            let reversed: Vec<Row> = rows.iter().rev().cloned().collect();
            prop_assert_eq!(of(&rows), of(&reversed));
        }
    }
}
