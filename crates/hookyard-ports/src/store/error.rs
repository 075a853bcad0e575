//! What a store says when it cannot do a deed.

/// A deed's answer.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a deed did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is shutting down; the same deed may succeed later. The only retryable one.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
    /// There is no room for more: the disk is full, or a limit of what may be pending is reached. Reads, settles and
    /// prunes still go through as far as the disk allows.
    #[error("store is full: {0}")]
    Full(String),
    /// A uniqueness rule.
    #[error("store has a conflict on {constraint}")]
    Conflict {
        /// Which rule.
        constraint: &'static str,
    },
    /// A row that cannot be read.
    #[error("store row is corrupt: table `{table}`, column `{column}`, id {id}")]
    Corrupt {
        /// In which table.
        table: &'static str,
        /// In which column.
        column: &'static str,
        /// Of which row.
        id: String,
    },
    /// Anything else: a defect of ours or of the database.
    #[error("store failed: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same deed may succeed later without anybody's hand.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}
