//! One message owed to one endpoint.

use crate::{ApplicationId, EndpointId, MessageId, Seq, Timestamp, Trigger};

/// Names a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// One message owed to one endpoint, and how that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub key: DeliveryKey,
    /// Whose.
    pub application: ApplicationId,
    /// The message's order of acceptance.
    pub seq: Seq,
    /// How it stands.
    pub state: DeliveryState,
    /// Deliveries of one endpoint with the same key wait for each other in order of `seq`.
    pub order_key: Option<OrderKey>,
    /// Attempts of this round that took from the schedule.
    pub charged: u16,
    /// How often a fresh schedule was begun by hand; 0 for the first.
    pub round: u16,
    /// Which variant of the encoding the next attempt uses.
    pub variant: u8,
    /// Why the next attempt is made: by hand right after a resend, by the schedule otherwise.
    pub trigger: Trigger,
}

/// How a delivery stands. Each variant says who moves the delivery out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits to be claimed when due. Left by claim, and by cancel when its endpoint is gone or off for too long.
    Pending {
        /// Not before this.
        due: Timestamp,
    },
    /// Held by one incarnation of a node, which may have a request in flight. Left by settle, by release and by rescue.
    Leased {
        /// Who holds it.
        holder: Incarnation,
        /// When it became due; kept so that release gives it back as it was.
        due: Timestamp,
    },
    /// A receiver took it. Never left; a resend by hand adds one attempt and changes nothing else.
    Delivered {
        /// The attempt that a resend by hand added, until it is settled.
        extra: Option<ExtraAttempt>,
    },
    /// Given up. Left by a resend by hand.
    Failed(FailReason),
    /// Called off. Left by a resend by hand.
    Cancelled(CancelReason),
}

impl DeliveryState {
    /// Which state, without what is true in it.
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Pending { .. } => StateKind::Pending,
            Self::Leased { .. } => StateKind::Leased,
            Self::Delivered { .. } => StateKind::Delivered,
            Self::Failed(_) => StateKind::Failed,
            Self::Cancelled(_) => StateKind::Cancelled,
        }
    }

    /// What it becomes when `holder` claims it; `None` where nothing waits to be claimed.
    pub const fn leased_to(&self, holder: Incarnation) -> Option<Self> {
        match *self {
            Self::Pending { due } => Some(Self::Leased { holder, due }),
            Self::Delivered { extra: Some(ExtraAttempt::Waiting { due }) } => {
                Some(Self::Delivered { extra: Some(ExtraAttempt::Leased { holder, due }) })
            }
            Self::Leased { .. } | Self::Delivered { .. } | Self::Failed(_) | Self::Cancelled(_) => None,
        }
    }
}

/// One more attempt of a delivery that stays delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraAttempt {
    /// Waits to be claimed when due.
    Waiting {
        /// Not before this.
        due: Timestamp,
    },
    /// Held by one incarnation of a node.
    Leased {
        /// Who holds it.
        holder: Incarnation,
        /// When it became due.
        due: Timestamp,
    },
}

/// The state's name, for counting and for filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// Waits.
    Pending,
    /// Held by a node.
    Leased,
    /// Taken.
    Delivered,
    /// Given up.
    Failed,
    /// Called off.
    Cancelled,
}

impl StateKind {
    /// All of them, in the order of their lives.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Leased, Self::Delivered, Self::Failed, Self::Cancelled];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailReason {
    /// Every attempt of its schedule failed.
    ScheduleSpent,
    /// The message cannot be put into the endpoint's dialect; the endpoint is not charged.
    CannotBeEncoded,
    /// The receiver said that it never will.
    Permanent,
}

impl FailReason {
    /// The reason as people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleSpent => "schedule spent",
            Self::CannotBeEncoded => "cannot be encoded",
            Self::Permanent => "refused for good by the receiver",
        }
    }
}

/// Why a delivery was called off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// The endpoint was removed.
    EndpointRemoved,
    /// The endpoint stayed disabled past the end of the schedule and seven days.
    HeldTooLong,
    /// The receiver said that it is gone.
    EndpointGone,
    /// By hand.
    ByHand,
    /// The payload was expunged before it could be sent.
    Expunged,
}

impl CancelReason {
    /// The reason as people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndpointRemoved => "endpoint removed",
            Self::HeldTooLong => "held too long",
            Self::EndpointGone => "endpoint gone",
            Self::ByHand => "cancelled by hand",
            Self::Expunged => "payload expunged",
        }
    }
}

/// One life of a node, from start to stop; leases belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// A hash of what orders deliveries: the endpoint alone, or a value in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub i64);
