//! Decides what a finished attempt does to its delivery.
//!
//! Called by the engine after every attempt, and by nothing else. The caller has made the request, asked the dialect what
//! the answer means and drawn the jitter; the same arguments always give the same state.
//!
//! **Invariant:** a delivery leaves `Leased` through [`settle`], through release or through rescue, never otherwise. What
//! is charged never goes down, and nothing is due before the attempt ended.

use hookyard_model::{
    CancelReason, Delivery, DeliveryState, FailReason, Judgement, Next, OnGone, Outcome, RetryPolicy, Timestamp, limits,
};

use crate::retry;

/// An attempt that ended, and what decides over its delivery.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The delivery as it was leased.
    pub delivery: &'a Delivery,
    /// What came of the attempt.
    pub outcome: &'a Outcome,
    /// What the answer means, when there was one.
    pub judgement: Option<&'a Judgement>,
    /// The endpoint's policy.
    pub policy: &'a RetryPolicy,
    /// What `410 Gone` does at this endpoint.
    pub on_gone: OnGone,
    /// When the attempt ended.
    pub ended: Timestamp,
    /// What was drawn for the jitter, 0 to 1.
    pub draw: f64,
}

/// What the delivery becomes.
pub fn settle(ended: &Ended<'_>) -> Next {
    let Delivery { charged, variant, .. } = *ended.delivery;
    if let Some(variant) = again(ended) {
        return Next::Again { charged, variant };
    }
    if matches!(ended.delivery.state, DeliveryState::Delivered { .. }) {
        return Next::StaysDelivered;
    }
    match (ended.outcome, ended.judgement) {
        (Outcome::CannotBeEncoded(_), _) => Next::Failed { reason: FailReason::CannotBeEncoded, charged },
        // Rescue settles what a dead node held, so this does not come here. If it does, the same follows as from a
        // rescue: due at once, uncharged. Through the store and not by the same holder, because whatever interrupts may
        // do it again, and a loop in memory would have neither an end nor a claim that bounds it.
        (Outcome::Interrupted, _) => Next::Retry { due: ended.ended, charged, variant },
        (_, Some(Judgement::Delivered)) | (Outcome::Delivered, None) => Next::Delivered,
        (_, Some(Judgement::Gone)) if ended.on_gone == OnGone::Disable => {
            Next::Cancelled { reason: CancelReason::EndpointGone, charged: charged.saturating_add(1) }
        }
        (_, Some(Judgement::Permanent { .. })) => {
            Next::Failed { reason: FailReason::Permanent, charged: charged.saturating_add(1) }
        }
        (_, Some(Judgement::Retry { not_before })) => retry(ended, *not_before),
        (_, Some(Judgement::Gone | Judgement::Again { .. }) | None) => retry(ended, None),
    }
}

/// The variant to try at once, when one may be tried at once.
///
/// Both ways end. Each stale connection was kept alive by an earlier answer and is used up, so there are never more of
/// them than answers. A dialect's variants only go up, to [`limits::VARIANTS`].
fn again(ended: &Ended<'_>) -> Option<u8> {
    let present = ended.delivery.variant;
    match (ended.outcome, ended.judgement) {
        (Outcome::StaleConnection, _) => Some(present),
        (Outcome::CannotBeEncoded(_) | Outcome::Interrupted, _) => None,
        (_, Some(Judgement::Again { variant })) if *variant > present && *variant <= limits::VARIANTS => Some(*variant),
        _ => None,
    }
}

/// A failure that took from the schedule.
fn retry(ended: &Ended<'_>, not_before: Option<Timestamp>) -> Next {
    let charged = ended.delivery.charged.saturating_add(1);
    let Some(delay) = retry::delay(ended.policy, charged, ended.draw) else {
        return Next::Failed { reason: FailReason::ScheduleSpent, charged };
    };
    let due = ended.ended.plus(delay);
    // The receiver may slow us down, never speed us up, and never put a delivery out of reach.
    let asked = not_before.map(|time| time.min(ended.ended.plus(limits::RETRY_AFTER)));
    Next::Retry { due: asked.map_or(due, |asked| asked.max(due)), charged, variant: ended.delivery.variant }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookyard_model::{BlockedBy, ExtraAttempt, Incarnation};
    use proptest::prelude::*;

    use super::*;
    use crate::examples::{NOW, delivery};

    /// An attempt that ended now, of a delivery with two retries of 10 s and 20 s.
    struct Case {
        delivery: Delivery,
        on_gone: OnGone,
        policy: RetryPolicy,
    }

    fn case() -> Case {
        let delays = vec![Duration::from_secs(10), Duration::from_secs(20)];
        Case { delivery: delivery(1), on_gone: OnGone::Retry, policy: RetryPolicy::Schedule { delays, jitter: 0.0 } }
    }

    impl Case {
        fn charged(mut self, charged: u16) -> Self {
            self.delivery.charged = charged;
            self
        }

        fn variant(mut self, variant: u8) -> Self {
            self.delivery.variant = variant;
            self
        }

        fn extra(mut self) -> Self {
            let extra = ExtraAttempt::Leased { holder: Incarnation(1), due: NOW };
            self.delivery.state = DeliveryState::Delivered { extra: Some(extra) };
            self
        }

        fn disable_when_gone(mut self) -> Self {
            self.on_gone = OnGone::Disable;
            self
        }

        fn settle(&self, outcome: &Outcome, judgement: Option<&Judgement>) -> Next {
            let Self { delivery, on_gone, policy } = self;
            settle(&Ended { delivery, outcome, judgement, policy, on_gone: *on_gone, ended: NOW, draw: 0.5 })
        }

        fn check(&self, outcome: &Outcome, judgement: Option<&Judgement>, expected: Next) {
            assert_eq!(self.settle(outcome, judgement), expected, "{outcome:?} {judgement:?} {:?}", self.delivery);
        }
    }

    fn retry(seconds: u64, charged: u16) -> Next {
        Next::Retry { due: NOW.plus(Duration::from_secs(seconds)), charged, variant: 0 }
    }

    const fn failed(reason: FailReason, charged: u16) -> Next {
        Next::Failed { reason, charged }
    }

    fn blocked() -> Outcome {
        Outcome::Blocked(BlockedBy { rule: "private".to_owned(), why: "why".to_owned(), hint: None })
    }

    /// What takes from the schedule without an answer.
    fn failures() -> Vec<Outcome> {
        let why = || "why".to_owned();
        vec![
            Outcome::Refused,
            Outcome::TimedOut,
            Outcome::DnsFailed(why()),
            Outcome::ConnectFailed(why()),
            Outcome::TlsFailed(why()),
            Outcome::BrokenOff(why()),
            blocked(),
        ]
    }

    fn permanent() -> Judgement {
        Judgement::Permanent { why: "the chat does not exist".to_owned() }
    }

    const RETRY: Judgement = Judgement::Retry { not_before: None };

    #[test]
    fn a_success_is_delivered() {
        case().check(&Outcome::Delivered, Some(&Judgement::Delivered), Next::Delivered);
        case().check(&Outcome::Delivered, None, Next::Delivered);
        case().charged(2).variant(1).check(&Outcome::Delivered, Some(&Judgement::Delivered), Next::Delivered);
    }

    #[test]
    fn a_failure_walks_the_schedule_until_it_is_spent() {
        for outcome in &failures() {
            case().check(outcome, None, retry(10, 1));
            case().charged(1).check(outcome, None, retry(20, 2));
            case().charged(2).check(outcome, None, failed(FailReason::ScheduleSpent, 3));
            case().charged(u16::MAX).check(outcome, None, failed(FailReason::ScheduleSpent, u16::MAX));
        }
        case().check(&Outcome::Refused, Some(&RETRY), retry(10, 1));
        case().charged(2).check(&Outcome::Refused, Some(&RETRY), failed(FailReason::ScheduleSpent, 3));
    }

    #[test]
    fn a_variant_that_was_reached_stays() {
        let Next::Retry { variant, .. } = case().variant(2).settle(&Outcome::Refused, Some(&RETRY)) else {
            panic!("it is tried again");
        };
        assert_eq!(variant, 2);
    }

    #[test]
    fn retry_after_may_only_delay_and_only_so_far() {
        let check = |not_before: Timestamp, seconds| {
            case().check(
                &Outcome::Refused,
                Some(&Judgement::Retry { not_before: Some(not_before) }),
                retry(seconds, 1),
            );
        };
        let day = limits::RETRY_AFTER.as_secs();
        check(NOW.plus(Duration::from_mins(1)), 60);
        check(NOW.plus(Duration::from_secs(10)), 10);
        check(NOW.plus(Duration::from_secs(9)), 10);
        check(NOW.minus(Duration::from_mins(1)), 10);
        check(Timestamp::MIN, 10);
        check(NOW.plus(limits::RETRY_AFTER), day);
        check(NOW.plus(limits::RETRY_AFTER).plus(Duration::from_micros(1)), day);
        check(Timestamp::MAX, day);
        let asked = Judgement::Retry { not_before: Some(Timestamp::MAX) };
        case().charged(2).check(&Outcome::Refused, Some(&asked), failed(FailReason::ScheduleSpent, 3));
    }

    #[test]
    fn a_delay_longer_than_retry_after_may_push_stays_as_it_is() {
        let policy = RetryPolicy::Fixed { delay: limits::RETRY_AFTER * 2, retries: 1 };
        let asked = Judgement::Retry { not_before: Some(Timestamp::MAX) };
        Case { policy, ..case() }.check(&Outcome::Refused, Some(&asked), retry(limits::RETRY_AFTER.as_secs() * 2, 1));
    }

    #[test]
    fn gone_ends_the_delivery_only_where_that_is_the_rule() {
        let cancelled = Next::Cancelled { reason: CancelReason::EndpointGone, charged: 2 };
        case().disable_when_gone().charged(1).check(&Outcome::Refused, Some(&Judgement::Gone), cancelled);
        case().charged(1).check(&Outcome::Refused, Some(&Judgement::Gone), retry(20, 2));
        case().charged(2).check(&Outcome::Refused, Some(&Judgement::Gone), failed(FailReason::ScheduleSpent, 3));
    }

    #[test]
    fn a_permanent_refusal_ends_the_delivery() {
        case().check(&Outcome::Refused, Some(&permanent()), failed(FailReason::Permanent, 1));
        case().charged(2).check(&Outcome::Refused, Some(&permanent()), failed(FailReason::Permanent, 3));
    }

    #[test]
    fn what_cannot_be_encoded_fails_at_once_and_uncharged() {
        let outcome = Outcome::CannotBeEncoded("too long".to_owned());
        case().check(&outcome, None, failed(FailReason::CannotBeEncoded, 0));
        case().charged(2).check(&outcome, None, failed(FailReason::CannotBeEncoded, 2));
    }

    #[test]
    fn a_stale_connection_is_tried_again_at_once_uncharged_in_the_same_variant() {
        case().check(&Outcome::StaleConnection, None, Next::Again { charged: 0, variant: 0 });
        let late = case().charged(2).variant(limits::VARIANTS);
        late.check(&Outcome::StaleConnection, None, Next::Again { charged: 2, variant: limits::VARIANTS });
    }

    #[test]
    fn another_variant_is_tried_at_once_and_variants_only_go_up_to_their_limit() {
        let again = |variant| Judgement::Again { variant };
        case().charged(1).check(&Outcome::Refused, Some(&again(1)), Next::Again { charged: 1, variant: 1 });
        let last = limits::VARIANTS;
        case().check(&Outcome::Refused, Some(&again(last)), Next::Again { charged: 0, variant: last });
        case().check(&Outcome::Refused, Some(&again(last + 1)), retry(10, 1));
        case().check(&Outcome::Refused, Some(&again(u8::MAX)), retry(10, 1));
        case().check(&Outcome::Refused, Some(&again(0)), retry(10, 1));
        let Next::Retry { charged, variant, .. } = case().variant(1).settle(&Outcome::Refused, Some(&again(1))) else {
            panic!("the same variant again is a failure");
        };
        assert_eq!((charged, variant), (1, 1));
        case().charged(2).variant(0).check(&Outcome::Refused, Some(&again(0)), failed(FailReason::ScheduleSpent, 3));
    }

    #[test]
    fn an_interrupted_attempt_is_due_at_once_and_uncharged() {
        case().charged(1).check(&Outcome::Interrupted, None, retry(0, 1));
        case().charged(3).check(&Outcome::Interrupted, None, retry(0, 3));
    }

    #[test]
    fn a_delivered_one_stays_delivered_whatever_comes_back() {
        let cannot = Outcome::CannotBeEncoded("why".to_owned());
        let extra = case().disable_when_gone().charged(2).extra();
        for outcome in failures().iter().chain([&Outcome::Delivered, &Outcome::Interrupted, &cannot]) {
            extra.check(outcome, None, Next::StaysDelivered);
        }
        for judgement in [Judgement::Delivered, RETRY, Judgement::Gone, permanent(), Judgement::Again { variant: 0 }] {
            extra.check(&Outcome::Refused, Some(&judgement), Next::StaysDelivered);
        }
    }

    #[test]
    fn an_extra_attempt_is_tried_again_at_once_like_any_other() {
        let again = |variant| Next::Again { charged: 0, variant };
        case().extra().check(&Outcome::StaleConnection, None, again(0));
        case().extra().check(&Outcome::Refused, Some(&Judgement::Again { variant: 1 }), again(1));
        let last = case().extra().variant(limits::VARIANTS);
        last.check(&Outcome::Refused, Some(&Judgement::Again { variant: limits::VARIANTS }), Next::StaysDelivered);
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)].prop_map(Timestamp::from_micros)
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        let others = [Outcome::Delivered, Outcome::StaleConnection, Outcome::Interrupted];
        let cannot = Outcome::CannotBeEncoded("why".to_owned());
        prop::sample::select(failures().into_iter().chain(others).chain([cannot]).collect::<Vec<_>>())
    }

    fn any_judgement() -> impl Strategy<Value = Option<Judgement>> {
        prop_oneof![
            Just(None),
            Just(Some(Judgement::Delivered)),
            Just(Some(Judgement::Gone)),
            Just(Some(permanent())),
            any::<u8>().prop_map(|variant| Some(Judgement::Again { variant })),
            prop::option::of(any_time()).prop_map(|not_before| Some(Judgement::Retry { not_before })),
        ]
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        let span = (0..limits::RETRY_DELAY.as_secs()).prop_map(Duration::from_secs);
        prop_oneof![
            (span.clone(), 0..100u16).prop_map(|(delay, retries)| RetryPolicy::Fixed { delay, retries }),
            (span.clone(), 1.0..=100.0f64, span.clone(), 0..100u16, 0.0..=1.0f64).prop_map(
                |(delay, factor, max_delay, retries, jitter)| {
                    RetryPolicy::Exponential { delay, factor, max_delay, retries, jitter }
                }
            ),
            (prop::collection::vec(span, 0..10), 0.0..=1.0f64)
                .prop_map(|(delays, jitter)| RetryPolicy::Schedule { delays, jitter }),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_due_before_the_end_and_the_charge_never_goes_down(
            outcome in any_outcome(),
            judgement in any_judgement(),
            policy in any_policy(),
            (charged, variant) in (prop_oneof![0..12u16, any::<u16>()], any::<u8>()),
            (extra, gone) in any::<(bool, bool)>(),
            ended in any_time(),
            draw in prop_oneof![0.0..1.0f64, any::<f64>()],
        ) {
            let mut case = case().charged(charged).variant(variant);
            if extra {
                case = case.extra();
            }
            let on_gone = if gone { OnGone::Disable } else { OnGone::Retry };
            let judgement = judgement.as_ref();
            let delivery = &case.delivery;
            let all = Ended { delivery, outcome: &outcome, judgement, policy: &policy, on_gone, ended, draw };
            let next = settle(&all);
            prop_assert_eq!(next, settle(&all), "the same arguments give the same state");
            let bound = (usize::from(charged) + 1).min(usize::from(u16::MAX));
            match next {
                Next::Retry { due, charged: after, variant: then } => {
                    prop_assert!(due >= ended);
                    let slack = Duration::from_secs(1);
                    prop_assert!(due <= ended.plus(limits::RETRY_DELAY * 2 + slack), "within reach");
                    prop_assert!(after >= charged && usize::from(after) <= bound);
                    prop_assert_eq!(then, variant);
                    prop_assert!(outcome == Outcome::Interrupted || usize::from(after) <= policy.retries());
                }
                Next::Again { charged: after, variant: then } => {
                    prop_assert_eq!(after, charged);
                    prop_assert!(outcome == Outcome::StaleConnection && then == variant || then > variant);
                    prop_assert!(then == variant || then <= limits::VARIANTS);
                }
                Next::Failed { charged: after, .. } | Next::Cancelled { charged: after, .. } => {
                    prop_assert!(after >= charged && usize::from(after) <= bound);
                }
                Next::Delivered => prop_assert!(!extra),
                Next::StaysDelivered => prop_assert!(extra),
            }
            let stays = matches!(next, Next::StaysDelivered | Next::Again { .. });
            prop_assert!(stays || !extra);
        }

        #[test]
        fn a_delivery_that_only_fails_ends_after_its_schedule(policy in any_policy()) {
            let mut case = Case { policy, ..case() };
            let mut attempts = 1;
            while let Next::Retry { charged, .. } = case.settle(&Outcome::TimedOut, None) {
                case.delivery.charged = charged;
                attempts += 1;
                prop_assert!(attempts <= limits::RETRIES + 1);
            }
            prop_assert_eq!(attempts, case.policy.retries() + 1);
        }
    }
}
