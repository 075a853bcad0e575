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
pub mod ageing;
pub mod agreeing;
pub mod announcing;
pub mod changing;
pub mod claiming;
mod comparing;
mod fixture;
mod ground;
pub mod importing;
pub mod paging;
pub mod racing;
pub mod reading;

pub mod rescuing;
pub mod resending;
pub mod settling;

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
        $crate::conformance_tests! { @chapter ageing:
            what_is_pending_for_an_archived_endpoint_is_cancelled
            what_is_held_too_long_is_cancelled
            what_waits_for_an_enabled_endpoint_is_never_swept
            an_extra_attempt_that_cannot_be_made_is_dropped
            messages_are_pruned_when_their_retention_is_over
            messages_that_owe_something_are_not_pruned
            held_deliveries_do_not_hold_back_pruning_for_ever
            pruning_frees_the_event_id
            pruning_removes_old_rollups
            ids_of_pruned_messages_are_remembered
            an_expunged_message_keeps_everything_but_its_payload
            an_empty_payload_is_not_an_expunged_one
        }
        $crate::conformance_tests! { @chapter agreeing:
            random_deeds_agree_with_the_model_from_seed_1
            random_deeds_agree_with_the_model_from_seed_2
            random_deeds_agree_with_the_model_from_seed_3
            random_deeds_agree_with_the_model_from_seed_4
        }
        $crate::conformance_tests! { @chapter announcing:
            an_operational_message_is_accepted_with_its_settlement
            a_stale_operational_message_is_dropped_and_the_rest_happens
            an_operational_message_with_a_taken_key_is_dropped
            a_lost_lease_announces_nothing
            a_repeated_settlement_announces_nothing
            an_endpoints_own_disabling_does_not_make_its_announcement_stale
        }
        $crate::conformance_tests! { @chapter changing:
            a_status_change_gives_the_application_a_new_revision
            enabling_counts_failure_from_scratch
            an_unknown_endpoint_has_no_status
            a_fan_out_of_the_past_can_be_seen_again
            the_present_cursor_comes_at_once
            whoever_waits_for_changes_is_woken_by_one
            changes_that_happened_meanwhile_come_at_once
            imports_and_attempts_that_disable_are_changes
            whoever_waits_is_told_when_the_store_closes
            deeds_after_close_are_unavailable
            nodes_hear_of_each_others_changes
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
            an_extra_attempt_stands_outside_the_order
            an_expunged_message_is_cancelled_instead_of_claimed
            an_expunged_message_keeps_its_deliveries_delivered
            due_lists_enabled_endpoints_with_their_earliest_due_time
            due_skips_disabled_endpoints_without_ending_a_page
            released_leases_are_pending_as_they_were
            a_release_leaves_what_is_not_held_alone
            what_is_claimed_survives_being_claimed_in_pieces
        }
        $crate::conformance_tests! { @chapter importing:
            declared_rows_exist_afterwards
            an_application_is_found_by_id_and_by_uid_in_its_organisation
            the_same_file_again_changes_nothing
            what_differs_gets_a_new_revision_and_only_that
            an_applications_own_fields_follow_the_file
            an_endpoint_carries_its_applications_pairs_of_the_present
            an_endpoint_that_left_the_file_is_archived
            an_application_that_left_the_file_is_archived_with_its_endpoints
            a_uid_that_comes_back_makes_a_new_row
            an_endpoint_uid_that_comes_back_makes_a_new_row
            a_uid_of_another_owner_is_taken_and_nothing_happens
            file_kinds_leave_each_others_rows_alone
            organisations_leave_each_others_rows_alone
            the_file_switches_endpoints_off_and_on
            what_was_switched_by_hand_stays_until_the_file_says_something_else
            runtime_state_survives_an_import
            applications_are_listed_by_id_page_by_page
            archived_applications_are_found_and_listed_apart
            several_kinds_are_imported_together_or_not_at_all
            what_one_file_gives_up_another_may_take_in_the_same_import
        }
        $crate::conformance_tests! { @chapter paging:
            messages_stand_in_the_order_asked_for
            listed_messages_come_with_seq_and_payload
            pages_walk_the_whole_list_forwards
            pages_walk_the_whole_list_backwards
            pages_begin_at_ids_that_are_not_stored_too
            an_empty_list_is_one_done_page
            messages_are_filtered
            a_filtered_page_is_done_when_nothing_more_matches
            a_page_that_examined_too_much_ends_early
            a_page_ends_with_the_payload_that_fills_it
            a_page_without_payloads_holds_as_many_items_as_are_asked_for
            attempts_are_listed_by_message_and_by_endpoint
            attempts_are_filtered
            attempts_walk_in_both_orders_and_directions
        }
        $crate::conformance_tests! { @chapter racing:
            claims_of_many_tasks_never_lease_one_delivery_twice
            accepts_of_many_tasks_with_one_event_id_give_one_message
            accepts_of_many_tasks_each_have_their_own_seq
            one_failing_deed_fails_alone
            settlements_of_many_tasks_move_one_lease_once
        }
        $crate::conformance_tests! { @chapter reading:
            a_message_with_every_field_is_read_as_it_was_given
            payloads_are_kept_byte_for_byte
            event_times_keep_their_text
            every_origin_is_kept
            no_targets_and_no_restriction_are_different
            settings_with_every_field_are_read_as_they_were_given
            every_variant_of_settings_is_kept
            every_reason_to_disable_is_kept
            attempts_are_read_as_they_were_given
            a_message_is_found_in_its_application_only
            highest_id_is_above_everything_stored
            the_overview_counts_what_is_open
        }
        $crate::conformance_tests! { @chapter rescuing:
            a_crash_leaves_nothing_leased_for_ever
            an_interrupted_attempt_is_logged
            a_rescue_takes_nothing_from_the_schedule
            a_rescue_frees_at_most_as_many_as_there_are_ids
            a_living_node_rescues_nothing_of_its_own
            a_rescue_with_a_used_id_is_a_conflict_and_frees_nothing
            an_interrupted_extra_attempt_waits_again
            a_second_crash_is_rescued_too
            another_node_rescues_only_when_the_heartbeat_is_too_old
            a_node_that_comes_back_frees_what_its_former_self_held_at_once
            nodes_do_not_move_what_others_hold
        }
        $crate::conformance_tests! { @chapter resending:
            what_failed_is_queued_with_a_fresh_schedule
            what_was_cancelled_is_queued_with_a_fresh_schedule
            an_endpoint_that_was_not_owed_a_message_gets_a_new_delivery
            what_was_delivered_gets_one_extra_attempt_and_stays_delivered
            an_extra_attempt_ends_delivered_whatever_comes_back
            an_extra_attempt_may_go_on_in_another_variant
            a_released_extra_attempt_waits_as_it_did
            a_second_resend_is_the_same_extra_attempt
            what_is_pending_is_due_now_with_its_schedule_as_it_was
            what_is_in_flight_is_left_alone
            a_repeat_under_the_same_key_resends_nothing
            a_key_is_kept_only_when_something_changed
            what_is_expunged_is_not_resent
            what_does_not_exist_is_not_resent
            a_resend_to_a_disabled_endpoint_is_held
            only_what_is_pending_is_cancelled_by_hand
        }
        $crate::conformance_tests! { @chapter settling:
            a_delivered_attempt_ends_its_delivery
            a_failed_attempt_makes_its_delivery_pending_until_due
            again_stays_leased_with_another_variant
            a_given_up_delivery_keeps_the_reason
            a_called_off_delivery_keeps_the_reason
            a_settlement_is_there_after_a_crash
            settlements_are_answered_in_order
            a_lost_lease_still_records_the_attempt
            what_another_incarnation_holds_is_not_moved
            a_repeated_settlement_changes_nothing
            a_repeated_again_tells_whether_the_lease_is_held
            failing_since_keeps_the_earlier_time
            recovered_forgets_failing_since
            a_disabling_attempt_stops_claims_and_bumps_the_revision
            disabling_what_is_disabled_changes_nothing
            an_archived_endpoint_stays_as_it_is
            rollups_count_outcomes_by_the_minute_of_the_start
            rollups_hold_a_histogram_of_total_times
            a_settlement_by_hand_returns_to_the_schedule
            an_attempt_is_found_in_its_application_only
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
