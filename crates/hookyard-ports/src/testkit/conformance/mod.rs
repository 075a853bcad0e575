//! The promises of the store port, as tests that every store runs unchanged.
//!
//! Each chapter is one part of the port's docs, each function in it one sentence. A store's `tests/conformance.rs` names a
//! [`Ground`] and calls [`conformance_tests!`](crate::conformance_tests), which makes one test of each sentence. A sentence
//! about several nodes returns at once on a ground that carries one.
//!
//! The suite asks through the port only. What a store does to keep a promise, and what it promises beyond the port, is for
//! its own tests.

#![expect(missing_docs, reason = "the name of each function in a chapter is the sentence that it tests")]

pub mod accepting;
pub mod claiming;
mod fixture;
mod ground;

pub use fixture::Fixture;
pub use ground::{Ground, MemoryGround};

/// Makes a `#[tokio::test]` of every sentence of the suite.
///
/// The argument is an expression that gives a fresh [`Ground`](crate::testkit::conformance::Ground); it is evaluated once
/// for each test. The calling crate needs `tokio` with `macros` and `rt` among its development dependencies.
#[macro_export]
macro_rules! conformance_tests {
    ($ground:expr) => {
        fn fresh_ground() -> ::std::sync::Arc<dyn $crate::testkit::conformance::Ground> {
            ::std::sync::Arc::new($ground)
        }

        $crate::conformance_tests! { @chapter accepting:
            an_accepted_message_is_stored_with_every_delivery_it_owes
            what_was_accepted_is_there_after_a_crash
            a_message_that_owes_nothing_is_kept
            accepting_nothing_is_fine
            seq_is_given_in_order
            a_first_state_leased_is_held_by_this_incarnation
            a_stale_revision_accepts_nothing
            an_unknown_or_archived_application_is_stale
            staleness_is_said_before_a_duplicate_is
            a_stored_message_id_is_a_conflict_and_nothing_happens
            a_taken_key_adds_nothing_and_names_the_message_that_has_it
            keys_of_different_applications_are_different
            one_key_in_a_batch_twice_is_one_message
            a_duplicate_leaves_its_other_keys_free
            of_several_taken_keys_the_first_answers
            a_fingerprint_tells_a_repeat_from_another_request
            a_key_that_ran_out_is_free_again
            keys_are_taken_after_a_crash_too
            a_message_is_found_by_its_event_id
            a_resend_shares_its_keys_with_accept
        }
        $crate::conformance_tests! { @chapter claiming:
            what_is_claimed_is_held_by_this_incarnation
            nothing_is_claimed_before_it_is_due
            the_longest_due_come_first
            the_longest_due_are_taken_when_room_is_short
            room_is_kept_for_each_endpoint_by_itself
            bytes_bound_what_is_claimed
            one_delivery_is_claimed_even_if_it_is_larger_than_the_room
            only_endpoints_that_are_asked_for_are_claimed
            a_disabled_endpoint_is_not_claimed_and_its_deliveries_are_held
            an_archived_endpoint_is_not_claimed
            an_unknown_endpoint_has_nothing_to_claim
            claims_tell_when_the_next_is_due
            a_claim_names_the_revision_of_the_endpoints_present_form
            an_ordered_endpoint_is_claimed_one_by_one
            an_ordered_delivery_waits_for_an_earlier_one_that_is_tried_again
            other_order_keys_and_other_endpoints_are_free
            room_is_not_spent_on_what_waits_behind_an_order_key
            what_waits_behind_an_order_key_is_due_all_the_same
            an_expunged_message_is_cancelled_instead_of_claimed
            an_expunged_message_keeps_its_deliveries_delivered
            due_lists_enabled_endpoints_with_their_earliest_due_time
            due_skips_disabled_endpoints_without_ending_a_page
            released_leases_are_pending_as_they_were
            a_release_leaves_what_is_not_held_alone
            what_is_claimed_survives_being_claimed_in_pieces
        }
    };
    (@chapter $chapter:ident: $($sentence:ident)*) => {
        mod $chapter {
            $(
                #[tokio::test]
                async fn $sentence() {
                    $crate::testkit::conformance::$chapter::$sentence(super::fresh_ground()).await;
                }
            )*
        }
    };
}
