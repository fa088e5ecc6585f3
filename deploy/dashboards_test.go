package deploy

import "strings"

// This file is the dashboards. A rate is over $__rate_interval; what every host
// reads from the same database is a maximum over hosts; what may have no series
// yet is zero by `or vector(0)`.

func boards() []board {
	return []board{overview(), transactions(), settlement(), ledgerBoard(), terminals(), runtimeBoard()}
}

// quantile of a histogram with the labels that are chosen, by further labels. A
// Prometheus that takes native histograms has it under its bare name, any other
// has buckets.
func quantile(q, name, chosen, window string, by ...string) string {
	if chosen != "" {
		chosen += ","
	}
	chosen = `{` + chosen + `instance=~"$instance"}[` + window + `]`
	native, classic := "sum", "sum by (le)"
	if len(by) > 0 {
		labels := strings.Join(by, ", ")
		native, classic = "sum by ("+labels+")", "sum by ("+labels+", le)"
	}
	return `histogram_quantile(` + q + `, ` + classic + ` (rate(` + name + `_bucket` + chosen + `)))` +
		` or histogram_quantile(` + q + `, ` + native + ` (rate(` + name + chosen + `)))`
}

// latency is a quantile of messages' time in a phase.
func latency(q, phase string) string {
	return quantile(q, "meridian_request_duration_seconds", `phase="`+phase+`"`, rateInterval)
}

// Histograms as a heatmap and as a mean want them.
const (
	rateInterval = "$__rate_interval"
	// durations are buckets, or else a native histogram; a Prometheus that takes both
	// shows the buckets.
	durations = durationBuckets + ` or (sum(increase(meridian_request_duration_seconds{phase="internal",instance=~"$instance"}[$__rate_interval]))` +
		` unless on () ` + durationBuckets + `)`
	durationBuckets = `sum by (le) (increase(meridian_request_duration_seconds_bucket{phase="internal",instance=~"$instance"}[$__rate_interval]))`
	// unitSizes is a native histogram.
	unitSizes = `sum(rate(meridian_lane_batch_size{instance=~"$instance"}[$__rate_interval]))`
)

func overview() board {
	return board{
		file: "overview", title: "Overview",
		description: "Is everything well? If a number is red, the alert of the same name has a page in deploy/runbooks.",
		rows: []row{
			{"Now", []panel{
				stat("Hosts up", "Hosts that answer Prometheus.", "short", `sum(up{job="meridian"})`).greenFrom(1),
				stat("Alerts firing", "Meridian's alerts that fire now. Each has a page in deploy/runbooks.", "short",
					`count(ALERTS{alertname=~"Meridian.*",alertstate="firing"}) or vector(0)`).redFrom(1),
				stat("Requests", "Messages a second that could be read.", "reqps",
					`sum(rate(meridian_requests_total{instance=~"$instance"}[$__rate_interval]))`),
				stat("Availability", "Answers of the last hour that did not fail, without what issuers declined. The objective is 99.95 % over 30 days.",
					"percentunit", `1 - (meridian:availability_errors:ratio_1h or vector(0))`).greenFrom(0.9995),
				stat("Within 250 ms", "Answers of the last hour that were built within 250 ms. The objective is 99.5 % over 30 days.",
					"percentunit", `1 - (meridian:latency_errors:ratio_1h or vector(0))`).greenFrom(0.995),
				stat("Connections", "Open terminal connections.", "short", `sum(meridian_connections{instance=~"$instance"})`),
			}},
			{"Traffic", []panel{
				graph("Requests by type", "Messages a second, by what they ask.", "reqps",
					query{`sum by (type) (rate(meridian_requests_total{instance=~"$instance"}[$__rate_interval]))`, "{{type}}"}).stack(),
				graph("Answers by class", "approved; declined by the issuer; refused for what was asked; rejected for the message or its sender; failed is this host's own.",
					"reqps", query{`sum by (response_class) (rate(meridian_answers_total{instance=~"$instance"}[$__rate_interval]))`, "{{response_class}}"}).stack(),
				graph("Latency", "From the last byte read to the answer built. The objective is held at 250 ms.", "s",
					query{latency("0.5", "internal"), "p50"}, query{latency("0.99", "internal"), "p99"}, query{latency("0.999", "internal"), "p99.9"}),
				graph("Approvals by network", "Approved among what issuers had to say.", "percentunit",
					query{`network:approvals:ratio_rate10m`, "{{network}}"}),
			}},
			{"What needs attention", []panel{
				stat("Postgres", "1 when every chosen host reaches its database.", "short", `min(meridian_database_up{instance=~"$instance"})`).greenFrom(1),
				stat("Imbalance", "Debits less credits of the currency that is furthest off, in minor units.", "short",
					`max(abs(meridian_ledger_imbalance_minor_units))`).redFrom(1),
				stat("Ledger findings", "Rows that the last verification found to be off.", "short", `max(meridian_ledger_findings)`).redFrom(1),
				stat("Cutover lag", "How long the oldest date that is not closed is past its cutoff.", "s", `max(meridian_cutover_lag_seconds)`).redFrom(300),
				stat("Batches out of balance", "Batches whose totals differ from their terminal's.", "short", `max(meridian_batches_out_of_balance)`).redFrom(1),
				stat("Reviews open", "Refunds that wait for a person.", "short", `max(meridian_reviews_open)`),
				stat("Terminals locked", "Terminals that are locked after wrong MACs.", "short", `max(meridian_terminals_locked)`).redFrom(1),
				stat("Wrong MACs", "Messages with wrong, missing or replayed MACs in the last hour.", "short",
					`sum(increase(meridian_mac_failures_total{instance=~"$instance"}[1h]))`),
				stat("Panics", "Defects that were contained to one message in the last day.", "short",
					`sum(increase(meridian_decision_panics_total[1d])) + sum(increase(meridian_message_panics_total[1d])) + sum(increase(meridian_handler_panics_total[1d]))`).redFrom(1),
				stat("Audit chain", "1 when the audit log was changed.", "short", `max(meridian_audit_chain_broken)`).redFrom(1),
				stat("Verified ago", "Since the ledger was last recomputed.", "s", `time() - max(meridian_ledger_verified_timestamp_seconds)`).redFrom(4 * 3600),
				stat("Draining", "Hosts that are shutting down.", "short", `sum(meridian_draining{instance=~"$instance"})`),
			}},
		},
	}
}

func transactions() board {
	return board{
		file: "transactions", title: "Transactions",
		description: "What terminals ask, what they are told and why, and how long it takes.",
		rows: []row{
			{"Asked", []panel{
				graph("Requests by message class", "ISO 8583 message classes.", "reqps",
					query{`sum by (class) (rate(meridian_requests_total{instance=~"$instance"}[$__rate_interval]))`, "{{class}}"}).stack().wide(third),
				graph("Requests by network", "By the network of the card; none without a card, unknown where no range has it.", "reqps",
					query{`sum by (network) (rate(meridian_requests_total{instance=~"$instance"}[$__rate_interval]))`, "{{network}}"}).stack().wide(third),
				graph("Requests by listener", "A listener is an address and the dialect spoken there.", "reqps",
					query{`sum by (listener) (rate(meridian_requests_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}}"}).stack().wide(third),
			}},
			{"Answered", []panel{
				graph("Answers by response code", "The ten most frequent codes (F39); none is a message that got no answer though it should.", "reqps",
					query{`topk(10, sum by (code) (rate(meridian_answers_total{instance=~"$instance"}[$__rate_interval])))`, "{{code}}"}),
				graph("Reasons other than approval", "The ten most frequent. A reason is finer than the response code.", "reqps",
					query{`topk(10, sum by (reason) (rate(meridian_decisions_total{reason!="approved",instance=~"$instance"}[$__rate_interval])))`, "{{reason}}"}),
				graph("Failed answers", "What counts against availability, by type of transaction.", "reqps",
					query{`sum by (type) (rate(meridian_answers_total{response_class="failed",instance=~"$instance"}[$__rate_interval])) or vector(0)`, "{{type}}"}).stack(),
				graph("Availability's budget", "How fast it is used up: at 1 it lasts exactly 30 days. Above 14.4 somebody is woken.", "short",
					query{`(meridian:availability_errors:ratio_5m or vector(0)) / 0.0005`, "5 minutes"},
					query{`(meridian:availability_errors:ratio_1h or vector(0)) / 0.0005`, "1 hour"},
					query{`(meridian:availability_errors:ratio_6h or vector(0)) / 0.0005`, "6 hours"}),
			}},
			{"Void or refund", []panel{
				graph("Cancels by what they became", "void: the money never left. refund: it went back. review: a person decides.", "reqps",
					query{`sum by (verdict) (rate(meridian_cancel_decisions_total{instance=~"$instance"}[$__rate_interval]))`, "{{verdict}}"}).stack().wide(third),
				graph("Cancels by rule", "The rule of the void-or-refund table that decided; docs/reference/decision-rules.md has the table.", "reqps",
					query{`sum by (rule) (rate(meridian_cancel_decisions_total{rule!="",instance=~"$instance"}[$__rate_interval]))`, "{{rule}}"}).stack().wide(third),
				graph("Reversals by origin", "terminal: it did not hear the answer. host: it had told a failure while the outcome was unknown.", "reqps",
					query{`sum by (origin) (rate(meridian_reversals_total{instance=~"$instance"}[$__rate_interval]))`, "{{origin}}"}).stack().wide(third),
				graph("Repeats", "Requests whose key was stored already: same content is answered again, other content is refused.", "reqps",
					query{`sum by (content) (rate(meridian_duplicates_total{instance=~"$instance"}[$__rate_interval]))`, "{{content}}"}).wide(third),
				graph("Told before the outcome was known", "Answered 96 while a commit was in doubt. What was committed of them is reversed by the host.", "reqps",
					query{`sum(rate(meridian_answers_before_outcome_total{instance=~"$instance"}[$__rate_interval]))`, "told"}).wide(third),
				graph("For people to look at", "Exceptions by kind: meridian exceptions list.", "short",
					query{`sum by (kind) (increase(meridian_exceptions_total{instance=~"$instance"}[1h]))`, "{{kind}}"}).wide(third),
			}},
			{"Time", []panel{
				graph("Median by phase", "internal: until the answer is built. queue: until its unit of work. ledger: the unit of work. total: until it is written.", "s",
					query{latency("0.5", "total"), "total"}, query{latency("0.5", "internal"), "internal"},
					query{latency("0.5", "queue"), "queue"}, query{latency("0.5", "ledger"), "ledger"}),
				graph("99th percentile by phase", "If ledger grows it is the database; if queue grows without it, it is load; if only total, it is the peers.", "s",
					query{latency("0.99", "total"), "total"}, query{latency("0.99", "internal"), "internal"},
					query{latency("0.99", "queue"), "queue"}, query{latency("0.99", "ledger"), "ledger"}),
				graph("Slow answers", "Share of answers that took longer than 250 ms inside the host.", "percentunit",
					query{`meridian:latency_errors:ratio_5m or vector(0)`, "5 minutes"}, query{`meridian:latency_errors:ratio_1h or vector(0)`, "1 hour"}),
				{
					title: "How long answers take", help: "Each column is a moment, each cell how many answers took that long (phase internal).",
					kind: "heatmap", unit: "s", width: half,
					queries: []query{{durations, "{{le}}"}},
				},
			}},
		},
	}
}

func settlement() board {
	return board{
		file: "settlement", title: "Settlement",
		description: "Business dates, batches and what waits for people.",
		rows: []row{
			{"Business dates", []panel{
				{
					title: "Next cutoffs", help: "Seconds until each calendar's open date ends, by the business clock.", kind: "table", width: half,
					queries: []query{{`sort(max by (calendar) (meridian_cutover_next_timestamp_seconds) - time())`, ""}},
				},
				graph("Cutover lag", "How long each calendar's oldest date that is not closed is past its cutoff. Five minutes wake somebody.", "s",
					query{`max by (calendar) (meridian_cutover_lag_seconds)`, "{{calendar}}"}),
				graph("Windows that wait", "Windows (a bucket's share of a date) past their cutoff: due is not begun, cutting waits for its close.", "short",
					query{`max by (calendar, state) (meridian_cutover_windows{state!="open"})`, "{{calendar}} {{state}}"}).stack().wide(third),
				graph("Windows closed", "Windows that were closed and settled, by host, in the hour before.", "short",
					query{`sum by (instance) (increase(meridian_cutover_windows_closed_total{instance=~"$instance"}[1h]))`, "{{instance}}"}).wide(third),
				graph("Time of a close", "Longest tenth of closes in the day before: cut waits for requests in flight, close settles and seals.", "s",
					query{quantile("0.9", "meridian_cutover_step_duration_seconds", "", "1d", "step"), "{{step}}"}).wide(third),
			}},
			{"Batches", []panel{
				graph("Current batches", "Terminals' batches by state.", "short",
					query{`max by (state) (meridian_batches)`, "{{state}}"}).stack().wide(third),
				graph("Batches out of balance", "Whose totals differ from their terminal's: now, or closed with differences within the last day.", "short",
					query{`max(meridian_batches_out_of_balance)`, "batches"}).wide(third),
				graph("Differences by kind", "What uploads and the host's records disagreed about within the last day.", "short",
					query{`max by (kind) (meridian_batch_differences)`, "{{kind}}"}).stack().wide(third),
				graph("Settlements", "Settlements, uploads and trailers a second.", "reqps",
					query{`sum by (type) (rate(meridian_requests_total{class=~"reconciliation|file_actions",instance=~"$instance"}[$__rate_interval]))`, "{{type}}"}),
				graph("Settlement answers", "Answers to settlements, uploads and trailers: 95 is a batch out of balance.", "reqps",
					query{`sum by (code) (rate(meridian_answers_total{class=~"reconciliation|file_actions",instance=~"$instance"}[$__rate_interval]))`, "{{code}}"}),
			}},
			{"People", []panel{
				stat("Reviews open", "Refunds that wait for a decision: meridian review list.", "short", `max(meridian_reviews_open)`).wide(quarter),
				stat("Oldest review", "How long the oldest refund has waited.", "s", `max(meridian_reviews_oldest_seconds)`).redFrom(4 * 3600).wide(quarter),
				stat("Exceptions today", "What was recorded for people within a day: meridian exceptions list.", "short",
					`sum(increase(meridian_exceptions_total[1d]))`).wide(quarter),
				stat("Looked at", "Since a host last looked at dates, batches and reviews.", "s", `time() - max(meridian_standing_timestamp_seconds)`).redFrom(300).wide(quarter),
				graph("Reviews over time", "Refunds that wait for a person.", "short", query{`max(meridian_reviews_open)`, "open"}).wide(wide),
			}},
		},
	}
}

func ledgerBoard() board {
	return board{
		file: "ledger", title: "Ledger",
		description: "Whether the books hold, and what the database does for them.",
		rows: []row{
			{"The books", []panel{
				stat("Imbalance in all", "Currencies that are out of balance.", "short", `count(max by (currency) (abs(meridian_ledger_imbalance_minor_units)) > 0) or vector(0)`).redFrom(1),
				stat("Findings", "Rows that the last verification found to be off.", "short", `max(meridian_ledger_findings)`).redFrom(1),
				stat("Verified ago", "Since the last verification ended.", "s", `time() - max(meridian_ledger_verified_timestamp_seconds)`).redFrom(4 * 3600),
				stat("Verification took", "How long the last verification took.", "s", `max(meridian_ledger_verification_duration_seconds)`),
				stat("Audit rows", "Rows of the audit log that fit its chain.", "short", `max(meridian_audit_rows)`),
				stat("Audit chain", "1 when the audit log was changed.", "short", `max(meridian_audit_chain_broken)`).redFrom(1),
				graph("Imbalance by currency", "Signed: debits less credits in minor units. Anything but 0 is money that was made up or lost.", "short",
					query{`max by (currency) (meridian_ledger_imbalance_minor_units)`, "{{currency}}"}),
				graph("Verifications", "How long they took, and those that could not be ended.", "s",
					query{`max by (instance) (meridian_ledger_verification_duration_seconds{instance=~"$instance"})`, "{{instance}} took"},
					query{`sum(increase(meridian_ledger_verification_failures_total{instance=~"$instance"}[1h]))`, "failed in the hour before"}),
			}},
			{"Units of work", []panel{
				graph("Time of a unit", "99th percentile: load reads and locks, decide computes, store writes and commits.", "s",
					query{quantile("0.99", "meridian_unit_duration_seconds", "", rateInterval, "phase"), "{{phase}}"}).wide(third),
				graph("Requests in a unit", "Near 1 when idle; it grows with load, which is what makes load cheap.", "short",
					query{`sum(rate(meridian_lane_batch_size_sum{instance=~"$instance"}[$__rate_interval])) / sum(rate(meridian_lane_batch_size_count{instance=~"$instance"}[$__rate_interval]))` +
						` or histogram_sum(` + unitSizes + `) / histogram_count(` + unitSizes + `)`, "mean"},
					query{quantile("0.99", "meridian_lane_batch_size", "", rateInterval), "p99"}).wide(third),
				graph("Lane depth", "Requests that wait for a unit of work. Steadily above zero: the database is the limit.", "short",
					query{`sum by (instance) (meridian_lane_depth{instance=~"$instance"})`, "{{instance}}"}).wide(third),
				graph("Units tried again", "By what the error says of their commit.", "ops",
					query{`sum by (outcome) (rate(meridian_unit_retries_total{instance=~"$instance"}[$__rate_interval]))`, "{{outcome}}"}).wide(third),
				graph("Units of work", "Units a second, a commit each.", "ops",
					query{`sum(rate(meridian_lane_batch_size_count{instance=~"$instance"}[$__rate_interval])) or histogram_count(` + unitSizes + `)`, "units"}).wide(third),
				graph("Holds that ran out", "And were given back to their cards.", "ops",
					query{`sum(rate(meridian_expired_holds_total{instance=~"$instance"}[$__rate_interval]))`, "holds"}).wide(third),
			}},
			{"Database", []panel{
				graph("Round trip", "How long the database took to answer a look at it.", "s",
					query{`max by (instance) (meridian_database_round_trip_seconds{instance=~"$instance"})`, "{{instance}}"}).wide(third),
				graph("Connections in use", "By pool: lanes are units of work, services is everything beside them.", "short",
					query{`sum by (pool) (meridian_database_connections_in_use{instance=~"$instance"})`, "{{pool}}"},
					query{`sum by (pool) (meridian_database_connections_limit{instance=~"$instance"})`, "{{pool}} limit"}).wide(third),
				graph("Waiting for connections", "Seconds waited each second. Above zero for long: the pool is too small, or the database slow.", "s",
					query{`sum by (pool) (rate(meridian_database_wait_seconds_total{instance=~"$instance"}[$__rate_interval]))`, "{{pool}}"}).wide(third),
				graph("Waits", "Times a second that somebody waited for a connection.", "ops",
					query{`sum by (pool) (rate(meridian_database_waits_total{instance=~"$instance"}[$__rate_interval]))`, "{{pool}}"}).wide(third),
				graph("Connections opened", "A steady rate means that connections are lost.", "ops",
					query{`sum by (pool) (rate(meridian_database_connects_total{instance=~"$instance"}[$__rate_interval]))`, "{{pool}}"}).wide(third),
				graph("Audit rows lost", "Denied attempts that could not be written down, in the hour before.", "short",
					query{`sum by (instance) (increase(meridian_audit_rows_lost_total{instance=~"$instance"}[1h]))`, "{{instance}}"}).wide(third),
			}},
		},
	}
}

func terminals() board {
	return board{
		file: "terminals", title: "Terminals",
		description: "Who is connected, what cannot be read, and who is not let in.",
		rows: []row{
			{"Connections", []panel{
				graph("Open connections", "By listener, TLS handshakes included.", "short",
					query{`sum by (listener) (meridian_connections{instance=~"$instance"})`, "{{listener}}"},
					query{`sum(meridian_connections_limit{instance=~"$instance"})`, "limit"}).wide(third),
				graph("Let in", "New connections a second. Far above the number of terminals: they reconnect.", "ops",
					query{`sum by (listener) (rate(meridian_connections_accepted_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}}"}).wide(third),
				graph("Closed by reason", "peer_closed, idle_timeout and drain are ordinary.", "ops",
					query{`sum by (reason) (rate(meridian_closes_total{instance=~"$instance"}[$__rate_interval]))`, "{{reason}}"}).stack().wide(third),
				graph("Refused connections", "Before a byte was read: the allow-list, or a limit.", "ops",
					query{`sum by (reason) (rate(meridian_refusals_total{instance=~"$instance"}[$__rate_interval]))`, "{{reason}}"}).wide(third),
				graph("Errors of accepting", "Of the operating system; most often too few file descriptors.", "ops",
					query{`sum by (listener) (rate(meridian_accept_errors_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}}"}).wide(third),
				graph("Readers that wait", "Times a second that a reader stopped because a bound was reached: its connection's, or the host's.", "ops",
					query{`sum by (bound) (rate(meridian_reader_waits_total{instance=~"$instance"}[$__rate_interval]))`, "{{bound}}"}).wide(third),
			}},
			{"Frames", []panel{
				graph("Frames", "Messages read and answers written.", "ops",
					query{`sum by (listener) (rate(meridian_frames_received_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}} received"},
					query{`sum by (listener) (rate(meridian_frames_sent_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}} sent"}).wide(third),
				graph("Bytes", "With framing, without TLS.", "Bps",
					query{`sum(rate(meridian_received_bytes_total{instance=~"$instance"}[$__rate_interval]))`, "received"},
					query{`sum(rate(meridian_sent_bytes_total{instance=~"$instance"}[$__rate_interval]))`, "sent"}).wide(third),
				graph("In flight", "Requests that are not answered yet.", "short",
					query{`sum(meridian_in_flight{instance=~"$instance"})`, "in flight"},
					query{`sum(meridian_in_flight_limit{instance=~"$instance"})`, "limit"}).wide(third),
				graph("Cannot be read", "Messages that do not parse. The log has field and offset.", "ops",
					query{`sum by (listener) (rate(meridian_parse_errors_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}}"}).wide(third),
				graph("No request of the dialect", "Parsed, and refused before the switch.", "ops",
					query{`sum by (listener, reason) (rate(meridian_refused_messages_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}} {{reason}}"}).wide(third),
				graph("Frames passed over", "Because of their TPDU or application header: a terminal or access network with a wrong setting.", "ops",
					query{`sum by (listener, reason) (rate(meridian_frames_dropped_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}} {{reason}}"}).wide(third),
				graph("Answers that were not sent", "Second answers, and answers that do not fit their framing. Every one is a defect.", "ops",
					query{`sum(rate(meridian_answers_ignored_total{instance=~"$instance"}[$__rate_interval]))`, "second"},
					query{`sum(rate(meridian_answers_unsendable_total{instance=~"$instance"}[$__rate_interval]))`, "do not fit"}).wide(wide),
			}},
			{"Admission", []panel{
				stat("Locked now", "Terminals that are locked after wrong MACs: meridian terminals list --locked.", "short", `max(meridian_terminals_locked)`).redFrom(1).wide(quarter),
				stat("Locks in a day", "Terminals that the chosen hosts locked within a day.", "short",
					`sum(increase(meridian_terminal_locks_total{instance=~"$instance"}[1d]))`).wide(quarter),
				stat("Denied", "Messages a second whose sender was not let in.", "ops",
					`sum(rate(meridian_denied_messages_total{instance=~"$instance"}[$__rate_interval])) or vector(0)`).wide(quarter),
				stat("Reference data", "Version that the hosts work with. Hosts that differ for long do not follow it.", "none",
					`max(meridian_directory_version{instance=~"$instance"})`).wide(quarter),
				graph("MAC failures", "wrong does not fit the key, missing was not there, replayed was taken before.", "ops",
					query{`sum by (listener, problem) (rate(meridian_mac_failures_total{instance=~"$instance"}[$__rate_interval]))`, "{{listener}} {{problem}}"}),
				graph("Denied by reason", "address_limit and terminal_limit are senders of too much. The audit log names them.", "ops",
					query{`sum by (reason) (rate(meridian_denied_messages_total{instance=~"$instance"}[$__rate_interval])) or vector(0)`, "{{reason}}"}),
			}},
		},
	}
}

func runtimeBoard() board {
	return board{
		file: "runtime", title: "Runtime",
		description: "The processes themselves: processor, memory, garbage collection, clocks, housekeeping.",
		rows: []row{
			{"Hosts", []panel{
				{
					title: "Versions", help: "Which version runs on which host.", kind: "table", width: half,
					queries: []query{{`sum by (instance, version, go) (meridian_build_info)`, ""}},
				},
				stat("Up for", "Since the youngest of the chosen hosts started.", "s", `time() - max(process_start_time_seconds{job="meridian",instance=~"$instance"})`),
				stat("Clock", "How far the clock of the host that is furthest off is from its database's.", "s", `max(abs(meridian_database_clock_offset_seconds{instance=~"$instance"}))`).redFrom(1),
				stat("Housekeeping", "Since the slowest host last completed a turn.", "s", `time() - min(meridian_housekeeping_timestamp_seconds{instance=~"$instance"})`).redFrom(600),
			}},
			{"Process", []panel{
				graph("Processor", "Seconds of processor time each second.", "short",
					query{`rate(process_cpu_seconds_total{job="meridian",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}).wide(third),
				graph("Memory", "Resident memory of the process, and Go's heap in use.", "bytes",
					query{`process_resident_memory_bytes{job="meridian",instance=~"$instance"}`, "{{instance}} resident"},
					query{`go_memstats_heap_inuse_bytes{job="meridian",instance=~"$instance"}`, "{{instance}} heap"}).wide(third),
				graph("File descriptors", "Open ones, and the most that there may be: each connection has one.", "short",
					query{`process_open_fds{job="meridian",instance=~"$instance"}`, "{{instance}}"},
					query{`process_max_fds{job="meridian",instance=~"$instance"}`, "{{instance}} limit"}).wide(third),
			}},
			{"Go", []panel{
				graph("Goroutines", "One for each idle connection, and a few.", "short",
					query{`go_goroutines{job="meridian",instance=~"$instance"}`, "{{instance}}"}).wide(third),
				graph("Allocated", "Bytes a second that the collector will have to look at.", "Bps",
					query{`rate(go_memstats_alloc_bytes_total{job="meridian",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}).wide(third),
				graph("Collections", "Times a second that memory is collected.", "ops",
					query{`rate(go_gc_duration_seconds_count{job="meridian",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}).wide(third),
				graph("Waiting for a processor", "99th percentile of how long a goroutine that could run did not.", "s",
					query{`histogram_quantile(0.99, sum by (instance, le) (rate(go_sched_latencies_seconds_bucket{job="meridian",instance=~"$instance"}[$__rate_interval])))`, "{{instance}}"}).wide(half),
				graph("Stopped by the collector", "99th percentile of how long a collection stopped everything.", "s",
					query{`histogram_quantile(0.99, sum by (instance, le) (rate(go_sched_pauses_total_gc_seconds_bucket{job="meridian",instance=~"$instance"}[$__rate_interval])))`, "{{instance}}"}).wide(half),
			}},
			{"Beside the traffic", []panel{
				graph("Housekeeping that fails", "Steps that are tried again in the next turn, in the hour before.", "short",
					query{`sum by (step) (increase(meridian_housekeeping_failures_total{instance=~"$instance"}[1h]))`, "{{step}}"}).wide(third),
				graph("Panics", "Defects that were contained to one message, in the hour before.", "short",
					query{`sum(increase(meridian_decision_panics_total{instance=~"$instance"}[1h]))`, "deciding"},
					query{`sum(increase(meridian_message_panics_total{instance=~"$instance"}[1h]))`, "verifying or answering"},
					query{`sum(increase(meridian_handler_panics_total{instance=~"$instance"}[1h]))`, "of a connection"}).wide(third),
				graph("Scrapes", "How long a look at the metrics takes.", "s",
					query{`scrape_duration_seconds{job="meridian",instance=~"$instance"}`, "{{instance}}"}).wide(third),
			}},
		},
	}
}
