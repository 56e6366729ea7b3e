"""The list: what is tried, what comes of it, and the tests that fail without the guard.

A test is named by its file, as seen from `tests`, and its function. Most of them stand
where their guard does; here they are found again by what they are against.
"""

from collections.abc import Sequence
from typing import Final

import attrs

_GATEWAY: Final = "beamclaw/gateway/"
_AUTH: Final = f"{_GATEWAY}auth/"
_SOCKET: Final = f"{_GATEWAY}socket/"
_METHODS: Final = f"{_GATEWAY}methods/"


@attrs.frozen
class Attack:
    """One thing that is tried.

    Attributes:
        name: What it is.
        outcome: What comes of it.
        tests: Where that is proved, each as ``file.py::function``.
    """

    name: str
    outcome: str
    tests: tuple[str, ...]


def _of(name: str, outcome: str, *places: tuple[str, *tuple[str, ...]]) -> Attack:
    """Each of *places* is a file, and the functions in it."""
    found = [
        f"{file}.py::test_{function}"
        for file, *functions in places
        for function in functions
    ]
    return Attack(name, outcome, tuple(found))


ATTACKS: Final[dict[str, Sequence[Attack]]] = {
    "Coming in from elsewhere": (
        _of(
            "A web page of somebody else calls the gateway from a person's browser, or opens a WebSocket",
            "403, before anything else is looked at; an Origin is admitted letter by letter, with its scheme and its port, `null` never",
            (
                f"{_GATEWAY}test_admission",
                "origins_match_exactly_or_not_at_all",
            ),
            (f"{_SOCKET}test_client", "a_web_page_of_somebody_else_gets_no_socket"),
            ("attacks/test_surfaces", "no_path_is_for_pages_or_names_of_others"),
        ),
        _of(
            "A name of somebody else's is made to lead to this machine (DNS rebinding)",
            "421: a gateway answers to its own names only",
            (f"{_GATEWAY}test_admission", "only_our_own_names_are_answered_to"),
            (f"{_SOCKET}test_client", "a_request_that_is_no_good_gets_no_socket"),
            (f"{_GATEWAY}test_http", "foreign_names_and_pages_are_turned_away"),
        ),
        _of(
            "A browser's own headers, or a cookie, stand in for the token",
            "they let nobody in",
            (f"{_SOCKET}test_floods", "what_a_browser_adds_by_itself_lets_nobody_in"),
        ),
        _of(
            "The token stands in the address",
            "it is not taken, the refusal says so and does not repeat it",
            (f"{_GATEWAY}test_admission", "a_token_in_the_address_is_none"),
            (
                f"{_GATEWAY}test_http",
                "a_token_in_the_address_is_refused_and_repeated_nowhere",
            ),
            (
                f"{_SOCKET}test_client",
                "any_path_is_fine_and_a_token_in_it_says_nothing",
            ),
            (
                f"{_GATEWAY}hooks/test_hooks",
                "the_token_is_taken_by_its_other_header_and_never_in_the_address",
            ),
        ),
        _of(
            "The gateway's own page is made to talk to another gateway",
            "it runs nothing and loads nothing from elsewhere",
            (
                f"{_GATEWAY}test_page",
                "the_page_loads_nothing_from_elsewhere_and_runs_no_text",
                "no_program_makes_markup_out_of_text",
            ),
            (
                f"{_GATEWAY}test_control_ui",
                "a_page_loads_what_is_its_own_and_nothing_else",
            ),
            (
                "packaging/test_files",
                "a_page_asks_no_foreign_host_and_has_nothing_inline",
            ),
        ),
        _of(
            "A model writes a picture into its answer whose address carries away what it has read",
            "no page loads anything from elsewhere",
            (
                "attacks/test_looking",
                "no_page_asks_another_host_for_what_a_model_has_written",
            ),
            (
                f"{_GATEWAY}test_control_ui",
                "a_page_loads_what_is_its_own_and_nothing_else",
            ),
        ),
        _of(
            "The token is looked for in what a node prints, logs, serves and keeps",
            "it is in its own file, readable by its user, and nowhere else",
            (
                "integration/test_secrets",
                "key_and_token_are_nowhere_to_be_seen",
                "a_token_that_the_node_made_is_in_its_file_and_nowhere_else",
            ),
            (f"{_SOCKET}test_devices", "secrets_are_in_nothing_that_is_told"),
        ),
        _of(
            "Every secret of the configuration is looked for, in whatever a node says and keeps",
            "seen nowhere, whatever fails; the keys that take one are found in the schema",
            (
                "integration/test_canaries",
                "no_secret_of_the_configuration_is_seen_anywhere",
                "each_verb_of_the_command_line_is_typed",
            ),
            (
                "integration/page/test_canaries_in_views",
                "no_view_of_the_page_has_a_secret_of_the_configuration",
            ),
            (
                "beamclaw/config/test_secrets",
                "what_is_wrong_is_said_without_the_secret",
                "whoever_is_shown_the_file_sees_where_a_secret_is_and_no_argument",
            ),
        ),
        _of(
            "What says where somebody comes from is made up (`X-Forwarded-For`, `Forwarded`)",
            "it counts from a configured proxy alone; nobody becomes local by it",
            (f"{_GATEWAY}test_admission", "proxies_are_not_believed"),
            (
                f"{_AUTH}test_proxies",
                "nobody_else_is_believed",
                "guesses_are_counted_for_the_last_address_that_is_not_ours",
            ),
            (
                f"{_GATEWAY}test_permission",
                "a_proxys_user_is_let_in_and_nobody_who_says_so_himself",
            ),
        ),
        _of(
            "The gateway is to listen where others reach it, and to ask nobody for anything",
            "it does not start, and says why",
            (
                f"{_GATEWAY}test_processes",
                "others_are_never_let_in_without_a_token",
                "a_token_that_is_missing_is_no_open_door",
            ),
        ),
    ),
    "Who one is": (
        _of(
            "Something else than `connect` is said first, too much of it, or nothing",
            "closed; 64 KiB and ten seconds are all that a stranger has",
            (
                f"{_SOCKET}test_client",
                "what_is_no_beginning",
                "who_says_nothing_is_cut_off",
            ),
        ),
        _of(
            "Very many connections that never say who they are",
            "503 from a number on, by address; who is known already is served",
            (f"{_SOCKET}test_floods", "who_does_not_say_who_he_is_has_so_many_places"),
            (
                f"{_GATEWAY}test_guards",
                "one_connection_too_many_costs_the_one_that_waited_longest",
                "beyond_the_limit_service_goes_on",
            ),
        ),
        _of(
            "A wrong secret; a right one beside a wrong one; one that is no text, or stands twice",
            "refused in the same words, and compared in the same time",
            (
                f"{_SOCKET}test_floods",
                "a_secret_is_a_text_that_stands_once",
                "wrong_secrets_are_all_refused_in_the_same_words",
            ),
            (f"{_AUTH}test_credentials", "who_is_not"),
            ("attacks/test_secrets", "no_secret_is_compared_letter_by_letter"),
        ),
        _of(
            "Secrets are guessed",
            "after ten the address waits five minutes, over HTTP, WebSocket and hooks alike",
            (f"{_AUTH}test_lockout", "the_one_too_many_locks"),
            (f"{_SOCKET}test_devices", "whoever_guesses_is_not_asked_any_more"),
            (f"{_GATEWAY}test_permission", "whoever_guesses_is_told_to_wait"),
            (f"{_GATEWAY}hooks/test_hooks", "who_guesses_is_locked_out"),
        ),
        _of(
            "What a device signed is said again: for another connection, later, or changed",
            "refused: a signature is good for one challenge",
            (
                f"{_SOCKET}test_devices",
                "what_was_signed_once_is_good_for_one_connection",
            ),
            (
                f"{_AUTH}test_device",
                "a_proof_of_another_connection_is_none",
                "a_clock_may_be_wrong_by_so_much",
                "nothing_that_was_asked_for_can_be_changed",
            ),
        ),
        _of(
            "A device names the id of another one, or uses its token",
            "refused: an id is the hash of the key that signs",
            (f"{_SOCKET}test_devices", "a_forged_device_is_refused"),
            (f"{_AUTH}test_pairing", "a_token_of_another_device_is_none"),
        ),
        _of(
            "Pairing is asked for without end, guessed, or used again",
            "so many wait, each for a while and for one answer",
            (
                f"{_AUTH}test_gate",
                "no_more_wait_than_may",
                "a_request_is_good_once_and_for_a_while",
            ),
        ),
        _of(
            "Somebody lets in a device that may do more than he himself",
            "refused, with what is missing",
            (f"{_AUTH}test_pairing", "nobody_gives_away_more_than_he_has"),
        ),
        _of(
            "A key or token that was revoked is used on: in a new request, on an open socket, in a stream that is being read",
            "the connection is closed in the step that revokes, before that is answered",
            (
                f"{_SOCKET}test_devices",
                "whoever_is_removed_is_cut_off_at_once",
                "who_is_cut_off_has_nothing_done_or_told_any_more",
            ),
            (f"{_GATEWAY}test_permission", "a_stream_ends_when_its_key_is_revoked"),
            (
                f"{_AUTH}test_gate",
                "who_is_removed_is_cut_off_and_not_let_in_again",
                "a_key_that_expires_is_cut_off_in_that_moment",
            ),
        ),
    ),
    "What one may": (
        _of(
            "A client asks for more scopes than it was given",
            "it has those that were asked for and are stored",
            (f"{_SOCKET}test_devices", "scopes_are_cut_to_those_of_the_device"),
            (f"{_AUTH}test_scopes", "granted_is_what_was_asked_for_and_is_stored"),
        ),
        _of(
            "Each method is called without its scope",
            "refused before its parameters are read; a method without a scope fails the tests",
            (
                f"{_METHODS}test_every_method",
                "who_lacks_its_scope_is_refused_each_method",
                "a_method_of_nodes_is_not_for_operators",
            ),
            (
                "attacks/test_surfaces",
                "every_path_method_and_tool_says_who_may_use_it",
                "a_method_that_is_planted_is_found",
            ),
        ),
        _of(
            "Each path is asked for without a token, with a wrong one, with one for something else",
            "401 or 403; a path that nobody has thought of is the owner's",
            (
                "attacks/test_surfaces",
                "every_path_is_refused_to_who_may_not",
                "a_path_that_is_planted_is_found",
            ),
            (
                f"{_GATEWAY}test_permission",
                "a_path_that_nobody_has_thought_of_is_the_owners",
            ),
            (f"{_GATEWAY}hooks/test_hooks", "the_hooks_token_opens_nothing_else"),
        ),
        _of(
            "A device manages another one",
            "denied, in the same words as if there were none",
            (f"{_SOCKET}test_devices", "a_device_manages_nobody_else"),
        ),
        _of(
            "A client orders a tool directly, past the turn in which a person would be asked",
            "what changes the machine may not be ordered, the rest by who may; a person is asked all the same",
            (
                f"{_METHODS}test_tools",
                "what_changes_the_machine_may_not_be_ordered",
                "what_is_on_the_list_takes_an_administrator",
                "whoever_may_only_look_orders_nothing",
                "where_a_person_has_to_agree_the_client_is_told_whom_to_ask",
            ),
        ),
        _of(
            "The Control UI's own address is a way round to the gateway",
            "nothing else is there, and it takes the same token",
            (
                f"{_GATEWAY}test_control_ui_apart",
                "nothing_of_the_gateway_is_there",
                "its_page_talks_to_the_gateway_from_there",
                "others_are_not_let_in_by_that_door_without_a_token",
            ),
        ),
        _of(
            "A tool that is denied is asked for in every way that there is",
            "denied on each surface, in the same words",
            ("integration/test_forbidden_tool", "it_is_denied_on_every_surface"),
            (
                "beamclaw/tools/test_policy",
                "each_tool_that_is_built_in_can_be_taken_away",
            ),
        ),
        _of(
            "A question is answered by somebody who may not decide, twice, or for another session",
            "refused; the first answer of who may counts",
            (
                f"{_METHODS}test_approvals",
                "only_who_may_decide_is_asked",
                "a_question_is_told_and_its_first_answer_counts",
            ),
            (
                "beamclaw/sessions/test_approvals",
                "an_answer_in_another_session_does_not_count",
            ),
        ),
        _of(
            "Somebody who is not the node's owner looks inside by `beamclaw shell`, steers it, or runs Python in it",
            "over the network for who administers the node alone, on the machine for its owner, and not for commands of agents; expressions are off, and over the network until the configuration says so; what is steered is written down",
            (
                "attacks/test_looking",
                "the_inside_is_for_who_administers_the_node",
                "no_expression_runs_unless_the_owner_has_said_so",
                "no_expression_runs_over_the_network_by_what_allows_it_on_the_machine",
            ),
            ("beamclaw/shell/test_frames", "who_may_speak"),
            (
                "beamclaw/shell/test_socket",
                "the_socket_is_private_and_goes_with_the_node",
            ),
            (
                "beamclaw/shell/test_live",
                "a_command_of_an_agent_sees_nothing_inside_and_steers_nothing",
                "without_the_configuration_no_expression_runs",
                "what_cannot_be_done_is_told_and_noted",
            ),
            (
                "beamclaw/telemetry/test_audit",
                "what_somebody_does_is_written_down_and_nothing_else",
            ),
        ),
        _of(
            "A conversation or a run of somebody else is looked for by guessing",
            "not found, as one that does not exist",
            (
                f"{_GATEWAY}test_apart",
                "a_run_is_stopped_by_the_name_of_its_session_alone",
            ),
            ("beamclaw/contracts/test_subagents", "what_is_seen_from_where"),
            (
                "beamclaw/sessions/test_messages_between",
                "what_may_not_be_seen_is_not",
                "only_sessions_that_are_seen_are_written_to",
            ),
            (f"{_GATEWAY}test_hall", "an_event_is_for_those_with_its_scope_and_tenant"),
        ),
        _of(
            "An idempotency key is used again, for something else or by somebody else",
            "a conflict; each client has its own keys",
            (
                f"{_GATEWAY}test_apart",
                "a_key_of_two_clients_is_two_messages",
                "a_key_that_was_used_takes_no_other_message",
                "over_the_socket_each_client_has_its_own_keys",
            ),
            (
                "integration/test_idempotency",
                "the_same_key_with_another_message_is_refused",
            ),
        ),
    ),
    "What is sent": (
        _of(
            "A head or a body comes drop by drop, or never",
            "408 when its time is over",
            (
                f"{_GATEWAY}test_guards",
                "a_head_that_drips_has_no_more_time_than_another",
                "a_head_that_never_comes_is_not_waited_for",
                "a_body_that_never_comes_is_not_waited_for",
            ),
        ),
        _of(
            "A request is framed in two ways (`Content-Length` beside `Transfer-Encoding`)",
            "400, once, and closed",
            (
                f"{_GATEWAY}test_guards",
                "a_request_that_is_framed_twice_is_answered_once_with_400",
                "the_end_of_a_line_is_cr_lf",
                "a_head_that_comes_early_is_checked_as_well",
            ),
        ),
        _of(
            "Headers, bodies and frames that are very large, or unpack to that",
            "refused from the head; nothing is unpacked, no compression is agreed to",
            (
                f"{_GATEWAY}test_http",
                "headers_that_are_too_large_are_refused",
                "a_body_that_is_too_large_is_refused_before_it_is_read",
                "a_compressed_body_is_not_looked_into",
            ),
            (
                f"{_SOCKET}test_floods",
                "no_compression_is_agreed_to_so_that_none_can_be_a_bomb",
            ),
            (
                f"{_SOCKET}test_wire",
                "a_message_in_tiny_pieces_takes_no_more_room_than_its_bytes",
            ),
        ),
        _of(
            "JSON that is very deep, has a key twice, is no UTF-8, or has NaN in it",
            "400: it has one reading, or none",
            (f"{_GATEWAY}test_strict_json", "what_has_two_readings_or_none_is_refused"),
            (f"{_GATEWAY}test_http", "a_body_that_cannot_be_read_is_a_400_in_words"),
        ),
        _of(
            "Frames without a mask, in pieces without end, pings by the thousand, bytes behind an upgrade",
            "[a table of its own](websocket-frames.md); nobody else feels it",
            ("conformance/websocket/test_websocket", "what_comes_of_frames"),
            (
                f"{_GATEWAY}test_guards",
                "a_byte_behind_an_upgrade_request_ends_no_process",
            ),
            ("fuzz/test_fuzz", "bytes_by_chance_break_nothing"),
        ),
        _of(
            "More and more is asked for, or clients come without end",
            "refused above a number, with when to come again",
            (
                f"{_SOCKET}test_floods",
                "so_many_requests_of_one_client_go_on_at_once",
                "when_the_house_is_full_a_client_is_told_so",
            ),
        ),
        _of(
            "Somebody asks, or follows, and does not read",
            "a buffer with a limit, then good-bye; the others go on",
            (f"{_SOCKET}test_floods", "who_asks_and_does_not_read_is_given_up"),
            (
                f"{_SOCKET}test_outbox",
                "what_may_not_be_lost_has_room_or_the_client_is_given_up",
            ),
            (
                f"{_GATEWAY}test_guards",
                "a_reader_that_stalls_holds_no_shutdown",
                "a_reader_that_stalls_is_dropped_and_the_others_go_on",
            ),
        ),
        _of(
            "The configuration is replaced by an old, a cut off or a redacted one",
            "refused, and the file is as it was",
            (
                "beamclaw/config/writing/test_writer",
                "a_refusal_changes_nothing",
                "a_file_that_was_cut_off_is_refused_unless_it_is_meant",
            ),
            (
                f"{_METHODS}test_config",
                "what_is_there_is_replaced_only_by_who_has_read_it",
                "what_a_node_would_not_start_with_is_refused",
            ),
        ),
        _of(
            "The configuration is made to run a program, or to read a file, where a secret stands",
            "a client names no such place; whoever may write the file does",
            (
                "beamclaw/config/test_secrets",
                "a_client_names_no_place_that_the_file_does_not_name",
            ),
        ),
        _of(
            "A path leads out: by `..`, a link, an absolute name, another encoding",
            "it is a file that was found at the start, or refused",
            (f"{_GATEWAY}test_control_ui", "what_a_path_stands_for"),
            (f"{_METHODS}test_agents", "a_file_that_leads_out_is_not_shown"),
            ("beamclaw/files/test_tools", "no_tool_takes_a_path_out_of_the_workspace"),
        ),
        _of(
            "Ids with line breaks, `../`, `__proto__`, marks that turn the writing, or ten thousand letters",
            "refused by a grammar",
            (
                "beamclaw/contracts/test_keys",
                "what_is_no_key_is_refused",
                "a_user_that_makes_no_key_is_refused",
                "nobody_outside_names_a_conversation_of_the_nodes_own",
            ),
            (f"{_GATEWAY}test_frames", "what_is_no_request"),
            (f"{_METHODS}test_method", "what_does_not_fit_is_said_with_its_place"),
            (
                "attacks/test_ids",
                "no_id_becomes_a_line_of_its_own",
                "no_header_is_made_of_an_id",
            ),
        ),
    ),
    "What is kept": (
        _of(
            "Files are read by others on the machine",
            "nothing of a node is for anybody but its user, whatever the umask; there is no core dump",
            ("integration/test_private_files", "nothing_of_it_is_for_others"),
            ("beamclaw/storage/test_database", "a_new_file_is_complete_and_private"),
            ("beamclaw/config/writing/test_writer", "a_first_file_is_made_private"),
        ),
        _of(
            "Crashes and their traces tell secrets",
            "they are taken out of every line",
            (
                "beamclaw/telemetry/test_telemetry",
                "the_configuration_s_secrets_are_in_no_line",
            ),
            ("integration/test_canary_tools", "no_tool_gives_away_the_nodes_secrets"),
        ),
        _of(
            "A name with line breaks or escapes writes a line of its own into the log",
            "it is shown escaped, in one field",
            (
                "beamclaw/telemetry/test_telemetry",
                "nobody_writes_a_line_of_his_own_into_the_log",
                "a_field_takes_no_other_place",
            ),
        ),
        _of(
            "A dependency is another one than the one that was tested",
            "every one is pinned, however deep",
            (
                "packaging/test_files",
                "every_dependency_however_deep_is_pinned_to_a_version_that_fits",
                "a_pin_is_one_exact_version_and_nothing_else",
            ),
        ),
    ),
}


def attacks() -> list[Attack]:
    """All of them."""
    return [attack for group in ATTACKS.values() for attack in group]
