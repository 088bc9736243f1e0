//! The cases: what is promised, whatever the product.

mod accounts;
mod classes;
mod commands;
mod commits;
mod daily;
mod devices;
mod last;
mod letters;
mod logins;
mod lookups;
mod optional;
mod outbox;
mod readings;
mod reads;
mod requests;
mod retention;
mod rules;
mod schema;
mod sealing;
mod sessions;

pub(crate) use accounts::*;
pub(crate) use classes::*;
pub(crate) use commands::*;
pub(crate) use commits::*;
pub(crate) use daily::*;
pub(crate) use devices::*;
pub(crate) use last::*;
pub(crate) use letters::*;
pub(crate) use logins::*;
pub(crate) use lookups::*;
pub(crate) use optional::*;
pub(crate) use outbox::*;
pub(crate) use readings::*;
pub(crate) use reads::*;
pub(crate) use requests::*;
pub(crate) use retention::*;
pub(crate) use rules::*;
pub(crate) use schema::*;
pub(crate) use sealing::*;
pub(crate) use sessions::*;

use nemeses_store::history::{Database, Minutes, Totals};

/// Hands the names of all cases to a macro.
macro_rules! all_cases {
    ($cases:ident) => {
        $cases! {
            a_commit_counts_once,
            while_commits_are_stuck_others_still_write,
            duplicates_inside_and_outside_a_batch,
            a_large_batch_with_rows_that_are_there,
            an_empty_part_is_remembered,
            committers_with_the_same_frames_balance,
            the_same_batch_committed_at_once_counts_once,
            a_commit_given_up_half_way_leaves_nothing_half_done,
            a_refused_row_is_found_and_leaves_nothing,
            a_record_whose_day_is_refused_is_found,
            a_restart_remembers,
            every_field_comes_back,
            optional_fields_come_back_however_they_are_written,
            the_column_of_optional_fields_is_widened_without_copying,
            ids_beyond_24_bits_are_whole_everywhere,
            ranges_agree_with_a_model,
            reads_that_are_broken_off_cost_no_connection,
            hashes_order_frames_of_one_second,
            readings_are_kept_once,
            a_position_and_readings_are_one_record,
            a_request_has_one_arrival_whoever_asks,
            readings_are_read_in_time_order,
            the_newest_values_are_rebuilt_under_the_names_of_parsers,
            numbers_are_given_once_whoever_asks,
            a_device_has_so_many_channels,
            channels_are_described,
            channels_are_derived_from_others,
            readings_leave_when_they_are_too_old,
            sealed_readings_are_the_same_records,
            a_sealed_record_that_is_sent_again_is_known,
            what_is_sealed_while_it_is_sent_again_is_there_once,
            two_that_seal_at_once_seal_each_record_once,
            sealed_readings_leave_and_stay_in_the_books,
            the_newest_values_are_rebuilt_from_blocks,
            the_last_position_is_found_across_days,
            a_device_is_known_by_any_trace,
            devices_are_listed_in_pages,
            live_entries_are_rebuilt,
            letters_are_listed_and_shown,
            purged_letters_stay_in_the_books,
            a_resolved_letter_becomes_a_row_once,
            letters_of_a_reason_are_found_and_resolved_together,
            logins_live_their_life,
            a_secret_is_rotated_for_its_role_alone,
            accounts_live_their_life,
            devices_are_granted_and_taken_away,
            grants_have_a_bound,
            profiles_live_their_life,
            every_device_with_a_trace_is_known,
            groups_live_their_life,
            days_are_marked_with_the_rows_and_taken_once,
            sums_around_days_are_those_next_to_them_too,
            days_behind_one_that_changed_are_marked_with_it,
            marks_come_in_the_order_of_the_work,
            sums_of_other_rules_are_found_in_order,
            the_last_rows_are_noted_with_the_sums,
            where_devices_were_last,
            what_a_process_that_ended_could_not_note_is_recalled,
            a_lease_has_one_holder,
            a_viewer_sees_granted_devices_and_granted_groups,
            what_a_viewer_sees_by_groups_has_a_bound,
            an_account_may_leave_the_first_place_free,
            of_accounts_made_at_once_one_is_the_first,
            sessions_live_their_life,
            a_person_has_so_many_sessions,
            of_rotations_at_once_one_counts,
            tokens_and_links_live_their_life,
            of_tokens_made_at_once_no_more_than_the_bound_are_made,
            a_set_up_token_makes_the_first_account_only,
            any_first_account_ends_the_set_up_tokens,
            a_disabled_account_may_nothing,
            commands_live_their_life,
            a_command_is_sent_by_one_holder,
            rules_live_their_life,
            commits_leave_marks_of_what_is_new_for_the_rules,
            a_turn_of_the_rules_is_written_whole_and_once,
            alarms_are_acknowledged_and_silenced,
            alarms_are_counted,
            alarms_are_watched,
            alarms_are_listed_by_devices_and_by_owner,
            receivers_are_saved_and_removed,
            a_receiver_has_one_sender_at_a_time,
            the_books_of_notifications_hold,
            commands_that_are_over_do_not_go_out,
            open_commands_have_a_bound,
            a_frame_is_looked_up,
            books_are_read_by_worker_and_minute,
            what_is_too_old_leaves_and_stays_in_the_books,
            late_rows_of_a_week_that_is_gone_are_kept_until_the_next_run,
            one_old_clock_makes_no_hundreds_of_weeks,
            weeks_without_rows_leave_at_once,
            letters_and_books_have_periods_of_their_own,
            each_class_leaves_when_its_period_is_over,
            readings_leave_with_their_device_s_class,
            readings_alone_leave_with_their_class_and_are_looked_for_once,
            readings_that_come_while_a_class_leaves_are_counted,
            many_readings_of_one_day_leave_in_parts,
            what_comes_while_a_class_leaves_is_kept_once,
            what_comes_while_a_class_leaves_is_added_up_again,
            days_that_left_are_noted_again_when_late_rows_come,
            a_rewrite_under_way_is_finished_when_nothing_has_a_period,
            classes_that_have_a_period_are_noted,
            migrations_may_start_together,
            what_cannot_be_read_or_written_is_noticed,
            settings_that_weaken_a_commit_are_told,
            a_schema_that_does_not_fit_is_named,
            a_database_is_inspected,
            a_commit_is_rehearsed_without_a_trace,
            sizes_are_those_of_now,
            an_older_schema_becomes_the_same_and_nobody_gains_rights,
        }
    };
}
pub(crate) use all_cases;

/// The books balance in themselves and with the tables; returns their totals.
pub(crate) async fn assert_balanced(database: &Database) -> Totals {
    let books = database.books();
    let totals = books.totals(Minutes::ALL).await.unwrap();
    let counts = books.count_tables(Minutes::ALL).await.unwrap();
    assert!(totals.balance(), "{totals:?}");
    assert_eq!(books.unbalanced(Minutes::ALL, 10).await.unwrap(), []);
    let rows = counts.positions + counts.positions_removed;
    let readings = counts.readings + counts.readings_removed;
    assert_eq!(totals.stored, rows + readings, "{counts:?}");
    assert_eq!(totals.values_stored, counts.values + counts.values_removed, "{counts:?}");
    assert_eq!(totals.dead_letters, counts.dead_letters + counts.letters_removed, "{counts:?}");
    assert_eq!(totals.duplicates, counts.duplicates_ever, "{counts:?}");
    totals
}
