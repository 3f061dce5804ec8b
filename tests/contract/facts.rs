//! What the contract says, fact by fact, with the tests that hold a broker to it. `coverage` checks it.
//!
//! Two facts are out of reach at the wire, and held on the state machine alone: that a produce key is forgotten after
//! 10 minutes, and that of two messages delivered together the second is sometimes first, but rarely.

/// A fact: the recordings that show it, what it is, and the tests that hold a broker to it.
pub(super) struct Fact(
    pub(super) &'static [u32],
    pub(super) &'static str,
    pub(super) &'static [&'static str],
);

/// By the sections of the page that they are from.
pub(super) const FACTS: &[Fact] = &[
    // Topics
    Fact(&[1], "topics are listed as sorted strings", &["topics::names_are_listed_as_strings_and_sorted"]),
    Fact(&[1], "an empty broker has none", &["topics::an_empty_broker_lists_none"]),
    Fact(
        &[1],
        "a topic is created in JSON or by query; no count, or 0, is 1",
        &["topics::a_topic_is_created_in_json_or_by_query", "topics::odd_names_are_accepted"],
    ),
    Fact(
        &[1],
        "creating is idempotent: 201 and the count asked for, while the topic keeps its own",
        &["topics::creating_is_idempotent_and_echoes_what_was_asked_for"],
    ),
    Fact(
        &[1],
        "a negative count is 400, and so is what is no topic",
        &["topics::what_is_no_topic_is_refused"],
    ),
    Fact(
        &[16],
        "a restart forgets topics without messages, and partitions above the highest with one",
        &["restart::topics_live_by_their_messages"],
    ),
    // Produce
    Fact(
        &[2],
        "a produce, in JSON or by query, is answered with the topic as asked",
        &["produce::a_message_is_produced_in_json_or_by_query", "produce::these_oddities_are_taken"],
    ),
    Fact(
        &[2],
        "a value is a string and not empty",
        &["produce::topic_and_value_are_required", "produce::a_parameter_that_can_not_be_read_is_missing"],
    ),
    Fact(&[2], "an unknown JSON field is 400, at any depth", &["produce::an_unknown_field_is_refused"]),
    Fact(&[2], "a missing topic is 400 and not 404", &["produce::a_missing_topic_is_a_bad_request"]),
    Fact(
        &[2],
        "what is malformed is 400, and says where",
        &["produce::what_is_malformed_is_refused", "deadlines::a_deadline_that_is_no_time_is_refused"],
    ),
    Fact(
        &[11],
        "the partition is the override, else FNV-1a-32 of the key, else 0",
        &[
            "partitions::a_partition_override_wins_over_the_key",
            "partitions::a_key_chooses_the_partition_and_the_topic_counts_the_offsets",
        ],
    ),
    Fact(
        &[11],
        "offsets are counted per topic",
        &["partitions::a_key_chooses_the_partition_and_the_topic_counts_the_offsets"],
    ),
    Fact(&[11], "a target topic wins over the topic", &["partitions::a_target_topic_wins_over_the_topic"]),
    Fact(
        &[13],
        "the 101st unacked message of a partition is 429",
        &["caps::the_101st_message_of_a_partition_is_refused", "caps::refusals_are_counted"],
    ),
    Fact(
        &[13],
        "65,535 unacked bytes fit, 65,536 never do",
        &["caps::a_partition_has_room_for_65_535_bytes", "caps::the_largest_message_is_delivered"],
    ),
    Fact(
        &[13],
        "the slowest group counts, once it has acked",
        &["caps::the_slowest_group_that_has_acked_counts"],
    ),
    Fact(
        &[9],
        "a second produce with an idempotency key is answered and dropped",
        &["keys::a_second_produce_with_a_key_is_dropped", "restart::produce_keys_are_remembered"],
    ),
    Fact(&[9], "its scope is tenant and final topic", &["keys::a_key_belongs_to_a_tenant_and_a_final_topic"]),
    Fact(&[9], "a refused produce does not burn its key", &["keys::a_refused_produce_does_not_burn_its_key"]),
    Fact(
        &[9],
        "a concurrent produce with the key is 400",
        &["keys::a_concurrent_produce_with_a_key_is_refused"],
    ),
    Fact(&[9], "the header Idempotency-Key is ignored", &["keys::the_idempotency_key_header_is_ignored"]),
    Fact(&[10], "a past deadline is 400", &["deadlines::a_past_deadline_is_refused"]),
    Fact(
        &[10],
        "deadlines are not enforced at delivery",
        &["deadlines::a_deadline_is_not_enforced_at_delivery"],
    ),
    // Consume
    Fact(
        &[2],
        "a stream is NDJSON, with these fields, and a routing",
        &["produce::a_consumer_reads_these_lines"],
    ),
    Fact(&[3], "the default lease is 2 s", &["consume::the_default_lease_is_two_seconds"]),
    Fact(&[3], "missing parameters or topic: 400", &["consume::what_cannot_be_consumed_is_refused"]),
    Fact(&[3], "a GET may have a body", &["consume::arguments_may_come_in_a_body"]),
    Fact(
        &[3],
        "headers wait for the first message",
        &["consume::headers_are_withheld_until_the_first_message"],
    ),
    Fact(&[20], "an idle stream stays open, without a heartbeat", &["consume::an_idle_stream_stays_open"]),
    Fact(
        &[4],
        "2 unacked messages a group and partition",
        &["groups::two_are_in_flight_in_each_partition_of_a_group"],
    ),
    Fact(&[4], "round-robin is over streams", &["groups::round_robin_is_over_streams_and_not_over_owners"]),
    Fact(&[4], "a new group starts at offset 0", &["groups::a_new_group_starts_at_the_beginning"]),
    Fact(&[8], "a closed stream is given nothing", &["groups::a_closed_stream_is_given_nothing"]),
    Fact(
        &[18],
        "delivery order is not guaranteed",
        &["groups::the_order_of_two_delivered_together_is_not_promised"],
    ),
    Fact(
        &[7],
        "what a lease ran out on is redelivered on a tick, with ack_timeout",
        &["leases::an_expired_lease_is_redelivered", "leases::a_lease_is_looked_at_every_tick"],
    ),
    Fact(&[7], "a backoff delays that", &["leases::a_backoff_delays_what_a_lease_would_redeliver"]),
    Fact(
        &[7],
        "with a key, a lease under 250 ms or over 10 min never delivers",
        &["leases::a_message_with_a_key_is_never_delivered_on_such_a_lease"],
    ),
    Fact(
        &[8],
        "a closed connection releases nothing: the same owner waits for its lease, a new one for 2 s",
        &[
            "leases::the_same_owner_waits_for_the_whole_lease",
            "leases::a_new_owner_waits_for_two_seconds",
            "leases::a_new_owner_waits_for_the_whole_lease_of_a_message_with_a_key",
        ],
    ),
    Fact(&[21], "a dead consumer holds its places until then", &["leases::the_dead_hold_their_places"]),
    Fact(&[16], "a restart forgets leases and attempts", &["restart::leases_and_attempts_are_forgotten"]),
    // Ack and nack
    Fact(
        &[5],
        "an ack is 204, of another owner 409, twice or of nothing 400",
        &["acks::an_ack_is_its_owners_and_good_once", "acks::what_cannot_be_acked_is_refused"],
    ),
    Fact(
        &[5],
        "the commit is a high-water mark",
        &["acks::an_ack_commits_everything_below_it", "restart::a_commit_is_a_high_water_mark"],
    ),
    Fact(
        &[23],
        "a predecessor's unacked message is at risk from its successor's acks",
        &[
            "restart::a_successors_hasty_ack_loses_its_predecessors_message",
            "restart::a_successor_that_holds_its_acks_loses_nothing",
        ],
    ),
    Fact(
        &[17],
        "a late ack is 204, but 400 with an idempotency key",
        &["acks::a_late_ack_is_good_until_the_redelivery", "acks::a_late_ack_with_a_key_has_lost_its_lease"],
    ),
    Fact(
        &[6],
        "a nack redelivers at once and joins the reasons",
        &[
            "nacks::a_nack_redelivers_at_once_and_reasons_pile_up",
            "nacks::a_nack_goes_to_the_next_stream",
            "nacks::what_cannot_be_nacked_is_refused",
        ],
    ),
    Fact(&[6], "a nack ignores the backoff", &["nacks::a_nack_ignores_the_backoff"]),
    // Retry policy and dead letters
    Fact(
        &[12],
        "max_attempts deliveries, then a copy to dlq.<topic>",
        &[
            "dead_letters::max_attempts_deliveries_then_a_copy",
            "dead_letters::a_copy_for_each_group_whose_leases_ran_out",
        ],
    ),
    Fact(
        &[19],
        "a full dead-letter topic keeps the message in flight, with a record a tick",
        &[
            "dead_letters::a_full_dead_letter_topic_keeps_the_message_in_flight",
            "dead_letters::a_dead_letter_topic_with_room_again_takes_it",
        ],
    ),
    // The rest
    Fact(&[14], "a wrong method is 405 with Allow", &["routes::a_wrong_method_is_told_the_right_ones"]),
    Fact(
        &[14],
        "an unknown route is 404, in plain text below /v1/",
        &["routes::an_unknown_route_is_not_found", "routes::a_path_that_is_not_clean_is_moved"],
    ),
    Fact(
        &[1],
        "health, version and request ids",
        &["routes::health_and_version", "routes::every_answer_has_a_request_id"],
    ),
    Fact(
        &[15],
        "/metrics is Prometheus text",
        &[
            "metrics::lag_and_what_is_in_flight_by_topic_group_and_partition",
            "metrics::a_topic_that_nobody_reads_has_no_lag",
        ],
    ),
    Fact(&[14], "for any method", &["metrics::metrics_may_be_posted_for"]),
    Fact(&[16], "a torn last line of the log refuses to start", &["ends::a_torn_last_line_refuses_to_start"]),
    Fact(&[16], "what was answered is on disk", &["ends::a_kill_loses_nothing_that_was_answered"]),
    Fact(&[22], "SIGTERM with an open stream takes 5 s", &["ends::a_graceful_stop_waits_for_streams"]),
];
