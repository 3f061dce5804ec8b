//! The contract's facts, each with the cases that test it. `coverage` checks this table.
//!
//! Two facts can't be tested over HTTP, only on the state machine: that a produce key is forgotten after 10 minutes, and that of two messages
//! delivered together the second is sometimes first, but rarely.

/// A fact: its text, and the cases that test it. The cases name their generations.
pub(super) struct Fact(pub(super) &'static str, pub(super) &'static [&'static str]);

/// In the order of the page's sections.
pub(super) const FACTS: &[Fact] = &[
    // Topics
    Fact("topics are listed as sorted strings", &["topics::names_are_listed_as_strings_and_sorted"]),
    Fact("an empty broker has none", &["topics::an_empty_broker_lists_none"]),
    Fact(
        "a topic is created in JSON or by query; no count, or 0, is 1",
        &["topics::a_topic_is_created_in_json_or_by_query", "topics::odd_names_are_accepted"],
    ),
    Fact(
        "G0: creating is idempotent: 201 and the count asked for, while the topic keeps its own; G3: it is refused",
        &[
            "topics::creating_is_idempotent_and_echoes_what_was_asked_for",
            "topics::creating_what_exists_is_refused",
        ],
    ),
    Fact("a negative count is 400, and so is what is no topic", &["topics::what_is_no_topic_is_refused"]),
    Fact(
        "G0: a restart forgets topics without messages, and partitions above the highest with one; G3: it keeps them",
        &["restart::topics_live_by_their_messages", "restart::topics_are_kept_with_their_partitions"],
    ),
    // Produce
    Fact(
        "a produce, in JSON or by query, is answered with the topic as asked",
        &["produce::a_message_is_produced_in_json_or_by_query", "produce::these_oddities_are_taken"],
    ),
    Fact(
        "a value is a string and not empty",
        &["produce::topic_and_value_are_required", "produce::a_parameter_that_can_not_be_read_is_missing"],
    ),
    Fact("an unknown JSON field is 400, at any depth", &["produce::an_unknown_field_is_refused"]),
    Fact(
        "JSON is decoded as Go decodes it",
        &[
            "json::a_field_may_be_in_any_case_and_the_last_one_wins",
            "json::repeated_objects_merge",
            "json::half_a_surrogate_pair_is_replaced",
        ],
    ),
    Fact("a missing topic is 400 and not 404", &["produce::a_missing_topic_is_a_bad_request"]),
    Fact(
        "what is malformed is 400, and says where",
        &[
            "produce::what_is_malformed_is_refused",
            "json::the_first_error_is_told",
            "deadlines::a_deadline_that_is_no_time_is_refused",
            "deadlines::odd_times_are_read_as_go_reads_them",
            "deadlines::milliseconds_may_be_out_of_range_or_overflow",
        ],
    ),
    Fact(
        "the partition is the override, else FNV-1a-32 of the key, else 0",
        &[
            "partitions::a_partition_override_wins_over_the_key",
            "partitions::a_key_chooses_the_partition_and_the_topic_counts_the_offsets",
        ],
    ),
    Fact(
        "offsets are counted per topic; G3: per partition",
        &[
            "partitions::a_key_chooses_the_partition_and_the_topic_counts_the_offsets",
            "partitions::a_key_chooses_the_partition_and_the_partition_counts_the_offsets",
        ],
    ),
    Fact("a target topic wins over the topic", &["partitions::a_target_topic_wins_over_the_topic"]),
    Fact(
        "the 101st (G3: 1,025th) unacked message of a partition is 429",
        &["caps::one_message_too_many_in_a_partition_is_refused", "caps::refusals_are_counted"],
    ),
    Fact(
        "65,535 unacked bytes fit, 65,536 never do; G3: 4 MiB never do",
        &[
            "caps::a_partition_has_room_for_65_535_bytes",
            "caps::a_partition_has_room_for_less_than_4_mib",
            "caps::a_large_message_is_delivered",
        ],
    ),
    Fact("the slowest group counts, once it has acked", &["caps::the_slowest_group_that_has_acked_counts"]),
    Fact(
        "a second produce with an idempotency key is answered and dropped",
        &["keys::a_second_produce_with_a_key_is_dropped", "restart::produce_keys_are_remembered"],
    ),
    Fact("its scope is tenant and final topic", &["keys::a_key_belongs_to_a_tenant_and_a_final_topic"]),
    Fact("a refused produce does not burn its key", &["keys::a_refused_produce_does_not_burn_its_key"]),
    Fact("a concurrent produce with the key is 400", &["keys::a_concurrent_produce_with_a_key_is_refused"]),
    Fact("the header Idempotency-Key is ignored", &["keys::the_idempotency_key_header_is_ignored"]),
    Fact("a past deadline is 400", &["deadlines::a_past_deadline_is_refused"]),
    Fact("deadlines are not enforced at delivery", &["deadlines::a_deadline_is_not_enforced_at_delivery"]),
    // Consume
    Fact(
        "a stream is NDJSON, with these fields; G0: and a routing",
        &[
            "produce::a_consumer_reads_these_lines_with_a_routing",
            "produce::a_consumer_reads_these_lines_without_a_routing",
        ],
    ),
    Fact("the default lease is 2 s", &["consume::the_default_lease_is_two_seconds"]),
    Fact(
        "missing parameters or topic: 400; G3: and the topic's name",
        &[
            "consume::what_cannot_be_consumed_is_refused",
            "consume::a_missing_topic_is_refused",
            "consume::a_missing_topic_is_refused_by_its_name",
        ],
    ),
    Fact("a GET may have a body", &["consume::arguments_may_come_in_a_body"]),
    Fact("headers wait for the first message", &["consume::headers_are_withheld_until_the_first_message"]),
    Fact("an idle stream stays open, without a heartbeat", &["consume::an_idle_stream_stays_open"]),
    Fact(
        "2 (G3: 32, or as set) unacked messages per group and partition",
        &["groups::a_limit_is_in_flight_in_each_partition_of_a_group"],
    ),
    Fact("round-robin is over streams", &["groups::round_robin_is_over_streams_and_not_over_owners"]),
    Fact("a new group starts at offset 0", &["groups::a_new_group_starts_at_the_beginning"]),
    Fact("a closed stream is given nothing", &["groups::a_closed_stream_is_given_nothing"]),
    Fact(
        "delivery order is not guaranteed",
        &["groups::the_order_of_two_delivered_together_is_not_promised"],
    ),
    Fact(
        "what a lease ran out on is redelivered on a tick, with ack_timeout",
        &["leases::an_expired_lease_is_redelivered", "leases::a_lease_is_looked_at_every_tick"],
    ),
    Fact("a backoff delays that", &["leases::a_backoff_delays_what_a_lease_would_redeliver"]),
    Fact(
        "with a key, a lease under 250 ms or over 10 min never delivers",
        &["leases::a_message_with_a_key_is_never_delivered_on_such_a_lease"],
    ),
    Fact(
        "a closed connection releases nothing: the same owner waits for its lease, a new one for 2 s",
        &[
            "leases::the_same_owner_waits_for_the_whole_lease",
            "leases::a_new_owner_waits_for_two_seconds",
            "leases::a_new_owner_waits_for_the_whole_lease_of_a_message_with_a_key",
        ],
    ),
    Fact("a dead consumer holds its places until then", &["leases::a_dead_consumer_holds_its_places"]),
    Fact("a restart forgets leases and attempts", &["restart::leases_and_attempts_are_forgotten"]),
    // Ack and nack
    Fact(
        "an ack is 204, of another owner 409, twice or of nothing 400",
        &["acks::an_ack_is_its_owners_and_good_once", "acks::what_cannot_be_acked_is_refused"],
    ),
    Fact(
        "the commit is a high-water mark",
        &["acks::an_ack_commits_everything_below_it", "restart::a_commit_is_a_high_water_mark"],
    ),
    Fact(
        "a predecessor's unacked message is at risk from its successor's acks",
        &[
            "restart::a_successors_hasty_ack_loses_its_predecessors_message",
            "restart::a_successor_that_holds_its_acks_loses_nothing",
        ],
    ),
    Fact(
        "a late ack is 204, but 400 with an idempotency key",
        &["acks::a_late_ack_is_good_until_the_redelivery", "acks::a_late_ack_with_a_key_has_lost_its_lease"],
    ),
    Fact(
        "a nack redelivers at once and joins the reasons",
        &[
            "nacks::a_nack_redelivers_at_once_and_reasons_pile_up",
            "nacks::a_nack_goes_to_the_next_stream",
            "nacks::what_cannot_be_nacked_is_refused",
        ],
    ),
    Fact("a nack ignores the backoff", &["nacks::a_nack_ignores_the_backoff"]),
    // Retry policy and dead letters
    Fact(
        "max_attempts deliveries, then a copy to dlq.<topic>",
        &[
            "dead_letters::max_attempts_deliveries_then_a_copy",
            "dead_letters::a_copy_for_each_group_whose_leases_ran_out",
        ],
    ),
    Fact(
        "a full dead-letter topic keeps the message in flight, with a record a tick",
        &[
            "dead_letters::a_full_dead_letter_topic_keeps_the_message_in_flight",
            "dead_letters::a_dead_letter_topic_with_room_again_takes_it",
        ],
    ),
    // The rest
    Fact("a wrong method is 405 with Allow", &["routes::a_wrong_method_is_told_the_right_ones"]),
    Fact(
        "an unknown route is 404, in plain text below /v1/",
        &[
            "routes::an_unknown_route_is_not_found",
            "routes::a_path_that_is_not_clean_is_moved",
            "routes::escapes_in_a_path_are_resolved",
        ],
    ),
    Fact(
        "health, version and request ids",
        &["routes::health_and_version", "routes::every_answer_has_a_request_id"],
    ),
    Fact(
        "/metrics is Prometheus text",
        &[
            "metrics::lag_and_what_is_in_flight_by_topic_group_and_partition",
            "metrics::a_topic_that_nobody_reads_has_no_lag",
        ],
    ),
    Fact("for any method", &["metrics::metrics_may_be_posted_for"]),
    Fact("a torn last line of the log refuses to start", &["ends::a_torn_last_line_refuses_to_start"]),
    Fact("what was answered is on disk", &["ends::a_kill_loses_nothing_that_was_answered"]),
    Fact(
        "SIGTERM with an open stream takes 5 s (G3: 6.5 s)",
        &["ends::a_graceful_stop_waits_5_s_for_a_stream", "ends::a_graceful_stop_waits_6_5_s_for_a_stream"],
    ),
    // Only the newer generation
    Fact(
        "a cumulative ack is 204 only if all up to it is in flight and the asker's, else 409",
        &[
            "newer::a_cumulative_ack_takes_what_is_all_held",
            "newer::a_cumulative_ack_refuses_what_is_not_all_held",
            "newer::a_cumulative_ack_leaves_what_is_below_the_commit",
            "routes::there_is_no_config_and_no_cumulative_ack",
        ],
    ),
    Fact(
        "a single ack is a high-water mark as ever: it loses what a dead consumer's open connection holds",
        &["newer::a_single_ack_reaches_past_a_message_of_an_open_connection"],
    ),
    Fact("an ack is on disk within 100 ms", &["newer::an_ack_is_on_disk_a_moment_later"]),
    Fact("redeliveries come in a random order", &["newer::redeliveries_come_in_a_random_order"]),
    Fact("the limits can be asked for", &["newer::the_limits_can_be_asked_for"]),
    Fact("topic_created_total names topics", &["newer::created_topics_are_counted_by_their_names"]),
];
