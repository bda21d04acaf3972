//! The list of all rules, by which each is a test on an engine.

/// Makes a test of every rule: `$engine` is an [`EngineUnderTest`] with nothing in it, and is written by its whole path.
///
/// ```ignore
/// mod on_my_engine {
///     postbridge::store_conformance!(crate::support::engines::mine());
/// }
/// ```
///
/// [`EngineUnderTest`]: crate::store::contract::conformance::fixture::engine::EngineUnderTest
#[macro_export]
macro_rules! store_conformance {
    ($engine:expr) => {
        $crate::store_conformance! {
            @rules $engine;
            arrival_ids {
                an_arrival_asked_for_again_is_answered_what_became_of_it_and_counts_once,
                an_arrival_asked_for_twice_at_the_same_moment_counts_once,
                where_each_postback_is_a_sale_one_asked_for_again_is_the_same_and_another_with_its_bytes_is_not,
                what_reprocesses_a_postback_is_answered_the_same_when_it_is_asked_for_again,
                whether_a_click_earned_it_is_answered_as_it_is_when_it_is_asked_for_again,
                an_arrival_of_which_nothing_is_kept_any_more_is_not_known,
            }
            arrivals {
                an_accepted_sale_is_stored_whole_and_survives_reopening,
                of_two_equal_arrivals_one_is_accepted_and_one_a_duplicate,
                of_64_parallel_equal_arrivals_exactly_one_is_accepted,
                a_change_is_an_update_and_replaces_what_is_shown,
                a_sale_that_changes_without_end_is_quarantined,
                a_quarantined_postback_is_kept_and_leaves_the_open_list_once_it_is_reprocessed,
                an_ignored_postback_makes_nothing_is_found_by_its_verdict_and_can_be_reprocessed,
                the_bytes_of_one_postback_become_a_conversion_once_only,
                what_a_postback_that_is_reprocessed_causes_counts_from_then,
                a_large_body_is_kept_byte_for_byte,
                a_click_frees_what_was_held_for_it,
                a_click_frees_what_only_an_update_named,
                a_click_that_is_received_first_matches_at_once,
                a_click_matches_a_pending_sale_that_is_approved_later,
                a_known_click_only_fills_what_it_lacks,
                a_click_with_very_many_sales_waiting_frees_them_all,
                a_dropped_future_does_not_undo_the_operation,
                a_closed_store_finishes_what_is_queued_and_refuses_later_commands,
                a_probe_is_answered,
            }
            caps {
                a_cap_lets_through_exactly_as_many_as_it_says,
                a_new_utc_day_begins_with_every_place_free,
                a_conversion_that_is_scrubbed_later_gives_its_place_back,
                a_scrub_taken_back_takes_a_place_above_the_cap,
                the_conversion_whose_click_is_recorded_later_is_not_counted_against_itself,
                conversions_that_a_click_brings_to_an_offer_keep_its_cap_together,
            }
            changed_deliveries {
                a_claim_says_whether_the_destination_was_sent_something_before,
                a_claim_of_a_change_says_what_was_sent_by_what_was_delivered_last,
                a_delivery_is_of_the_kind_that_was_sent,
                a_change_of_what_is_not_confirmed_waits_and_says_so,
                conversions_that_cannot_be_taken_back_are_listed_alone,
                a_change_that_is_received_during_an_attempt_is_reported_where_changes_are_heard,
                a_delivery_skipped_for_what_changed_meanwhile_waits_again,
                a_delivery_withdrawn_under_its_lease_takes_the_state_reported,
                retry_makes_dead_and_skipped_deliveries_due_and_refuses_the_rest,
                a_retry_is_refused_where_another_delivery_reports_the_same,
                a_persons_retry_goes_before_older_retries,
            }
            click_lists {
                click_lists_go_newest_first_page_by_page,
                click_lists_obey_their_filters,
                a_click_list_looks_at_a_bounded_number_of_clicks_and_goes_on,
                purging_takes_clicks_out_of_lists_and_of_their_visitors,
                click_numbers_are_not_given_twice_after_everything_was_purged,
                a_text_is_kept_permanently,
            }
            clicks {
                of_equal_clicks_that_come_at_once_all_but_one_are_duplicates,
                a_duplicate_is_one_within_the_window_only_and_on_the_same_offer_only,
                a_blocked_duplicate_does_not_lengthen_the_window,
                what_repeats_are_reported_by_can_be_changed_at_any_time,
                a_cap_lets_exactly_as_many_clicks_through_as_it_says,
                a_cap_begins_anew_with_every_utc_day,
                a_click_that_is_reported_again_is_not_counted_again,
                what_is_no_visit_counts_for_nothing,
                verdicts_are_kept_and_a_second_report_changes_none,
                a_click_that_an_own_server_reports_is_not_screened,
                a_visitors_last_click_earns_by_last_touch_and_the_first_by_first_touch,
                a_click_and_its_visitors_sale_meet_however_close_they_come,
                a_blocked_click_earns_nothing_for_its_visitor,
                of_very_many_clicks_of_a_visitor_the_newest_that_count_are_looked_at,
                however_many_clicks_a_visitor_makes_the_first_that_still_counts_earns_by_first_touch,
            }
            clock_jumps {
                a_retry_planned_by_a_clock_that_ran_ahead_is_due_when_the_clock_is_right_again,
                lists_by_time_look_past_what_a_wrong_clock_wrote,
            }
            confirmations {
                what_is_to_be_confirmed_is_handed_out_to_no_one_who_sends,
                what_is_to_be_confirmed_is_handed_out_when_it_is_due_with_all_of_its_request,
                what_asking_became_is_kept_once_and_only_where_it_was_waited_for,
                what_is_not_confirmed_can_be_sent_again_and_counts_no_attempt_for_being_asked_about,
                a_time_to_ask_that_is_too_far_ahead_is_not_waited_for,
            }
            consent {
                an_answer_counts_for_every_click_of_its_visitor_also_for_later_ones,
                an_answer_counts_for_more_clicks_than_are_kept_of_a_visitor_by_their_ids,
                an_older_yes_that_is_received_late_changes_nothing_and_a_newer_one_counts,
                a_click_without_a_visitor_keeps_its_own_answer,
                an_answer_ahead_of_its_click_waits_for_it,
                an_answer_that_a_click_brings_counts_for_its_visitors_other_clicks_too,
                answers_ahead_of_clicks_that_never_come_are_purged,
                a_browser_that_is_known_as_another_may_refuse_for_a_click_and_not_grant,
                what_waits_or_is_dead_or_changes_meets_the_latest_answer,
                an_answer_and_a_sale_meet_however_close_they_come,
                what_an_advertiser_reports_is_listed_as_not_routed,
            }
            deliveries {
                a_hold_that_ends_is_skipped_and_can_be_retried,
                expiring_stops_at_its_limit,
                a_claimed_delivery_goes_to_no_one_else_until_it_is_released,
                leases_end_with_the_process,
                due_work_is_handed_out_oldest_first_and_retries_apart,
                a_claim_hands_out_no_more_than_asked_and_says_what_falls_due_next,
                the_oldest_waiting_delivery_can_be_claimed_before_it_is_due,
                attempts_are_kept_in_order_with_what_was_sent_and_answered,
                a_parked_attempt_ends_the_lease_and_charges_nothing,
                withdrawing_a_destination_skips_what_waits_and_what_is_held,
                what_is_to_be_confirmed_is_unfinished_and_in_no_ones_hands,
                what_is_confirmed_is_delivered_and_says_when_and_by_which_request,
                what_is_to_be_confirmed_at_a_destination_that_is_gone_counts_as_delivered,
                a_change_is_planned_also_while_what_was_sent_is_to_be_confirmed,
                a_wakeup_rings_when_work_arrives,
                the_backlog_counts_held_waiting_and_due,
            }
            digest_key {
                the_key_of_digests_stays_and_what_is_kept_by_it_is_answered,
            }
            erasure {
                what_is_erased_leaves_ids_amounts_and_times,
                a_click_is_erased_with_its_visitors_others_and_keeps_what_reports_go_by,
                what_is_received_later_or_of_another_address_is_left,
                an_erasure_goes_on_after_a_restart_and_is_applied_again,
                of_an_exchange_that_was_about_several_only_the_persons_part_is_erased,
                an_attempt_that_had_left_is_kept_without_what_it_sent,
                a_quarantined_postback_that_names_the_person_is_erased_and_keeps_its_code,
                a_repeat_that_named_the_person_is_erased_with_its_conversion,
                erasures_that_are_applied_together_leave_nothing_of_each_other,
                a_copy_that_is_put_back_is_given_the_erasures_that_it_does_not_have,
                what_was_reprocessed_is_erased_with_the_conversion_that_it_became,
            }
            expiry {
                what_waits_too_long_ends_wherever_it_is_and_only_that,
                the_first_event_that_will_be_too_old_is_known,
                what_is_leased_or_held_or_for_a_removed_destination_does_not_expire,
                what_is_no_longer_sent_is_skipped_as_at_its_turn,
                another_maximum_age_counts_for_what_is_unfinished,
                an_expiry_outlives_a_restart_and_an_attempt,
                what_waits_too_long_for_its_click_ends_by_the_age_of_the_click,
                a_retry_is_refused_when_the_event_is_too_old,
            }
            keyless_reports {
                of_reports_decided_together_exactly_one_counts,
                the_first_of_a_click_is_found_after_a_reopening_and_a_change,
                what_waits_or_is_rejected_takes_no_transaction_id_from_another_click,
                a_first_report_that_is_rejected_or_scrubbed_leaves_its_click_to_the_next,
                a_report_without_a_transaction_id_is_the_first_sale_again,
                with_repeat_every_transaction_counts_and_what_follows_a_change_of_it_waits,
                what_waits_takes_no_place_under_a_cap_before_it_is_approved,
                a_click_whose_first_sale_is_purged_has_none,
            }
            leases {
                what_was_not_recorded_in_time_is_handed_out_again_as_a_possible_repeat,
                a_wall_clock_that_is_set_ends_no_lease_and_holds_none_up,
                a_lease_that_ran_out_is_its_holders_until_another_has_the_delivery,
                what_is_recorded_once_another_has_the_delivery_is_late_and_changes_nothing,
                a_late_attempt_is_late_also_when_the_other_one_has_ended,
                what_one_lease_records_twice_is_kept_once,
                what_was_given_back_is_no_longer_its_holders,
                what_was_in_hand_when_a_process_ended_without_closing_is_a_possible_repeat,
                a_store_that_was_closed_knows_of_what_it_may_have_let_go,
                a_closed_store_hands_out_nothing,
                what_left_before_the_clock_was_set_back_or_as_a_probe_is_a_possible_repeat,
                a_lease_that_runs_out_wakes_the_worker_of_its_target,
                a_person_who_asks_again_takes_the_delivery_from_no_one,
                an_attempt_without_an_answer_makes_the_next_a_possible_repeat,
                attempts_that_are_recorded_together_share_their_exchange,
                an_exchange_is_kept_as_long_as_the_newest_conversion_it_was_about,
            }
            lists {
                lists_go_newest_first_page_by_page,
                lists_obey_their_filters,
                conversions_are_listed_by_where_they_belong_and_by_their_sub_ids,
                postbacks_are_listed_by_why_they_were_rejected,
                a_list_goes_on_past_an_old_record_that_was_reprocessed_lately,
                dead_letters_are_listed_with_their_last_attempt,
                deliveries_are_listed_by_the_code_that_holds_now,
                purging_strips_raw_bytes_and_keeps_the_conversion,
                purging_goes_past_any_number_of_records_that_are_stripped_already,
                purging_removes_a_finished_conversion_with_all_it_left,
                purging_never_takes_a_conversion_with_an_unfinished_delivery,
                purging_takes_clicks_past_their_time_only,
                purging_never_takes_a_click_that_a_delivery_still_needs,
                numbers_are_not_given_twice_after_everything_was_purged,
            }
            operator_counts {
                dead_letters_and_the_oldest_unsent_are_counted_by_destination,
                quarantine_and_the_latest_postback_are_counted_by_source,
                what_is_to_be_sent_later_only_is_not_late,
                what_maps_a_purged_record_again_closes_no_other_after_a_restart,
            }
            report {
                pages_are_complete_and_ordered_also_among_equal_times,
                every_filter_has_its_true_total,
                a_row_shows_the_status_that_the_conversion_has_now,
                a_later_click_brings_its_conversion_into_the_report,
                what_is_of_no_offer_and_what_the_tag_reported_is_in_no_report,
                a_purged_conversion_leaves_no_row,
                a_page_begins_anywhere_and_has_at_most_five_hundred_rows,
            }
            rollups {
                sums_are_exact_and_apart_by_currency,
                a_sum_that_no_amount_holds_is_named_and_hides_no_other,
                a_conversion_that_changes_moves_from_one_line_to_another,
                days_of_a_zone_with_half_an_hour_are_exact,
                clicks_that_count_for_no_one_are_apart,
                verdicts_and_codes_are_counted_by_source,
                reprocessing_what_was_ignored_closes_no_quarantine,
                a_query_goes_on_where_its_limit_ended_it,
            }
            statuses {
                a_status_changed_by_hand_keeps_who_changed_it_and_why,
                an_approval_by_hand_sends_the_conversion_and_wakes_its_destination,
                the_same_status_again_changes_nothing_and_no_conversion_is_unknown,
                an_advertiser_neither_scrubs_nor_takes_a_scrub_back,
                what_is_scrubbed_is_planned_for_no_destination,
                a_person_takes_a_scrub_back_and_then_it_is_sent,
                a_scrub_that_a_person_took_back_stays_so_when_the_click_is_recorded,
                a_change_while_a_delivery_is_out_is_reported_after_it,
                two_changes_at_once_see_each_other,
                a_conversion_changes_five_hundred_times_and_no_more,
                a_pending_conversion_takes_its_offers_status_when_it_is_due,
                a_status_set_by_hand_ends_what_was_foreseen,
                dispositions_are_done_the_longest_due_first_and_no_more_than_asked_for,
            }
            suppression {
                what_is_on_a_list_is_scrubbed_naming_the_list,
                an_address_is_found_in_a_network_of_any_length,
                of_several_lists_the_first_by_name_is_named,
                an_entry_counts_for_what_is_decided_after_it_and_changes_nothing_before,
                sales_that_wait_for_a_click_are_freed_however_many_are_looked_up_on_lists,
                what_is_taken_off_converts_again,
                putting_on_and_taking_off_report_what_was_new_and_what_was_there,
                a_list_is_there_while_it_has_entries,
                a_long_list_is_removed_whole,
                a_list_is_shown_page_by_page_by_kind_and_value_without_what_is_hashed,
            }
            targets {
                destinations_of_one_target_are_claimed_together_by_due_time,
                a_long_queue_goes_before_another_of_its_target_only_with_what_was_due_earlier,
                retries_and_what_a_person_asked_for_are_found_wherever_they_are,
                the_oldest_of_a_target_is_found_before_it_is_due,
                a_destination_that_moves_takes_its_queue_along_and_what_is_out_returns_to_its_new_target,
                what_a_clock_that_ran_ahead_planned_is_found_in_a_shared_target,
            }
            transactions {
                sales_of_one_transaction_id_with_other_clicks_are_conversions_of_their_own,
                of_equal_arrivals_under_a_reused_id_exactly_one_is_accepted,
                two_recorded_clicks_of_one_visitor_are_one_sale,
                an_ambiguous_reversal_names_at_most_ten_and_says_how_many_more,
                a_later_conversion_is_found_when_the_first_is_purged,
                ids_that_are_used_again_and_again_are_listed_by_source,
                a_reversal_is_ready_when_its_sale_is_received_and_only_once,
                a_reversal_that_was_not_reprocessed_is_ready_after_the_next_start,
                a_reversal_of_a_later_sale_under_its_id_is_ready_too,
                a_reversal_that_a_person_reprocessed_is_not_handed_out,
            }
        }
    };
    (@rules $engine:expr; $($file:ident { $($rule:ident,)* })*) => {
        $(mod $file {
            $(#[test] fn $rule() { $crate::store::contract::conformance::$file::$rule(&$engine); })*
        })*
    };
}
