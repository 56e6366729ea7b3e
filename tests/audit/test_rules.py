"""Every rule of the auditor finds what it is there for: each violation is planted once."""

from collections.abc import Callable
from typing import Any

import attrs
import orjson
import pytest

from tests.audit import sound
from tests.audit.book import Book, Row
from tests.audit.known import (
    RULES,
    Cap,
    Done,
    Effect,
    Embedding,
    End,
    Known,
    Program,
    Served,
    Verdict,
    Wanted,
)
from tests.audit.rules import violations
from tests.support.pages import words

Damage = Callable[[Known], object]
DAMAGE: list[tuple[str, Damage]] = []


def finds(rule: str) -> Callable[[Damage], Damage]:
    """Enter a violation that *rule* has to find."""

    def enter(damage: Damage) -> Damage:
        DAMAGE.append((rule, damage))
        return damage

    return enter


def event(book: Book, kind: str, nth: int = 0) -> Row:
    return [e for e in book.events if e["kind"] == kind][nth]


def drop(book: Book, gone: Row) -> None:
    """Take an event out, so that the journal is whole without it."""
    place = book.events.index(gone)
    for later in book.events[place:]:
        later["seq"] -= 1
        later["previous"] = None if later["seq"] == 1 else later["previous"]
    book.events.remove(gone)
    for before, after in zip(book.events, book.events[1:], strict=False):
        after["previous"] = before["id"]
    book.sessions[0]["seq"] -= 1


def run(book: Book, name: str) -> Row:
    found = book.run(name)
    assert found is not None
    return found


def asked(book: Book, marker: str) -> Row:
    found = book.message(marker)
    assert found is not None
    return found["body"]


# --- P1


@finds("kept")
def lost_by_the_kill(known: Known) -> None:
    known.kills[0].book.inbox.clear()


@finds("kept")
def lost_since(known: Known) -> None:
    del known.book.inbox[2]


@finds("answered")
def never_ended(known: Known) -> None:
    run(known.book, "rc").update(state="running", outcome=None)


@finds("answered")
def still_in_the_queue(known: Known) -> None:
    known.book.inbox[2]["taken_at"] = None


@finds("answered")
def given_up(known: Known) -> None:
    run(known.book, "rc").update(outcome="error", error="because")


@finds("answered")
def sent_by_nobody(known: Known) -> None:
    del known.sent["c"]


@finds("words")
def failed_in_silence(known: Known) -> None:
    run(known.book, "rc").update(outcome="error")


@finds("words")
def an_empty_answer(known: Known) -> None:
    run(known.book, "rc").update(text="")


@finds("told")
def told_something_else(known: Known) -> None:
    known.sent["c"].texts.append("another answer")


@finds("told")
def told_nothing(known: Known) -> None:
    known.sent["c"].texts.clear()


@finds("told")
def told_that_it_failed(known: Known) -> None:
    known.sent["c"].errors.append("it failed")


@finds("told")
def told_that_it_is_stopped(known: Known) -> None:
    known.sent["c"].stopped = True


@finds("told")
def another_end_was_told(known: Known) -> None:
    known.sent["c"].ends.append(End("aborted", ""))


@finds("told")
def shown_what_the_answer_has_not(known: Known) -> None:
    text = run(known.book, "rc")["text"]
    known.sent["c"].ends.append(End("ok", text, "something else"))


@finds("told")
def acknowledged_as_another_run(known: Known) -> None:
    known.sent["c"].run_id = "r?"


@finds("whole_text")
def a_text_that_is_not_its_answers(known: Known) -> None:
    run(known.book, "rc")["text"] = "something else"


@finds("ordered")
def an_order_about_which_a_model_was_asked(known: Known) -> None:
    (begun,) = known.book.of_run("rc", "run-started")
    begun["body"]["ordered"] = True


@finds("from_a_model")
def an_answer_of_nobody(known: Known) -> None:
    known.calls[:] = [attrs.evolve(call, said="") for call in known.calls]


@finds("said_once")
def said_twice(known: Known) -> None:
    known.book.events[17]["body"] = sound.inbound("a", 1)[2]


@finds("said_once")
def accepted_twice_under_one_id(known: Known) -> None:
    known.book.inbox.append(sound.row("c", 5))


@finds("answered_once")
def two_ends(known: Known) -> None:
    first, second = event(known.book, "run-over"), event(known.book, "asked", 2)
    second.update(kind="run-over", run_id="ra", body=first["body"])


@finds("answered_once")
def two_last_answers(known: Known) -> None:
    event(known.book, "answered", 0)["body"]["stop_reason"] = "stop"


@finds("answered_once")
def the_end_differs(known: Known) -> None:
    event(known.book, "run-over")["body"] = {"outcome": "limited"}


# --- P2


@finds("one_result")
def no_result(known: Known) -> None:
    drop(known.book, event(known.book, "tool-ended"))


@finds("one_result")
def two_results(known: Known) -> None:
    event(known.book, "tool-ended", 1)["body"]["result"]["id"] = "c2"


@finds("one_result")
def a_result_of_nothing(known: Known) -> None:
    event(known.book, "tool-ended", 1)["body"]["result"]["id"] = "c9"


@finds("paired")
def a_prompt_without_a_result(known: Known) -> None:
    bad = known.calls[1].messages
    known.calls[1] = attrs.evolve(known.calls[1], messages=(*bad[:3], *bad[4:]))


@finds("paired")
def a_prompt_with_a_result_of_nothing(known: Known) -> None:
    bad = known.calls[1].messages
    known.calls[1] = attrs.evolve(known.calls[1], messages=(bad[0], *bad[2:]))


@finds("paired")
def a_provider_that_complains(known: Known) -> None:
    known.calls[1] = attrs.evolve(known.calls[1], breaches=("messages",))


@finds("intended")
def an_effect_before_its_intent(known: Known) -> None:
    drop(known.kills[0].book, event(known.kills[0].book, "tool-begun", 1))


@finds("intended")
def an_effect_without_intent(known: Known) -> None:
    known.effects.append(Effect(tool="look", key="ra/c9", text="a/0.9"))


@finds("effects_once")
def an_effect_twice(known: Known) -> None:
    known.effects.append(known.effects[1])


@finds("effects_once")
def an_effect_twice_under_two_keys(known: Known) -> None:
    known.effects.append(attrs.evolve(known.effects[1], key="ra/c1"))


@finds("begun_once")
def unsafe_and_begun_again(known: Known) -> None:
    event(known.book, "tool-begun", 2)["body"].update(call_id="c2", key="ra/c2")


@finds("begun_once")
def begun_under_another_key(known: Known) -> None:
    event(known.book, "tool-begun", 2)["body"]["key"] = "ra/other"


@finds("begun_once")
def begun_for_the_third_time_at_once(known: Known) -> None:
    event(known.book, "tool-begun", 2)["body"]["attempt"] = 3


def news(known: Known, how: str, tail: str = "") -> Row:
    """A command is known to have ended by itself with 3, and its session is told *how*."""
    known.programs = {"a/1.0": Program(said="<<a/1.0>>\ndone\n", code=3)}
    end = f"\nIts output ends with:\n{tail}" if tail else ""
    words = f"[The command cmd-1 is over: {how}.]\necho '<<a/1.0>>'; exit 3{end}"
    body = {"messages": [sound.message("user", sound.text(words))]}
    row = {**known.book.inbox[0], "source": "command", "external_id": "cmd-1"}
    row.update(body=body, marker="re:a/1.0", id=98)
    known.book.inbox.append(row)
    return row


@finds("commands_told")
def told_of_a_command_twice(known: Known) -> None:
    row = news(known, "exit code 3", "<<a/1.0>>\ndone")
    known.book.inbox.append({**row, "id": 99, "external_id": "another"})


@finds("ends_true")
def told_of_another_exit_code(known: Known) -> None:
    news(known, "exit code 0", "<<a/1.0>>\ndone")


@finds("ends_true")
def told_of_a_signal_that_was_none(known: Known) -> None:
    news(known, "signal SIGTERM", "<<a/1.0>>\ndone")


@finds("ends_true")
def told_of_words_that_it_never_said(known: Known) -> None:
    news(known, "exit code 3", "<<a/1.0>>\ndone for")


@finds("ends_true")
def told_that_it_was_lost_and_nobody_died(known: Known) -> None:
    news(known, "lost: the node has ended meanwhile")


@finds("ends_true")
def told_of_an_order_that_nobody_gave(known: Known) -> None:
    news(known, "ended by order (signal SIGTERM)", "<<a/1.0>>")


@finds("ends_true")
def told_that_its_time_was_over_with_another_code(known: Known) -> None:
    news(known, "ended: its time was over (exit code 0)", "<<a/1.0>>")


@finds("ends_true")
def told_of_a_program_that_there_was_not(known: Known) -> None:
    news(known, "exit code 3", "<<a/1.0>>\ndone")
    known.programs = {}


@finds("ends_true")
def told_in_no_words(known: Known) -> None:
    row = news(known, "exit code 3", "<<a/1.0>>\ndone")
    row["body"]["messages"] = [sound.message("user", sound.text("it is over"))]


@finds("commands_told")
def never_told_of_a_command(known: Known) -> None:
    text = "It goes on in the background: session cmd-1, pid 7."
    event(known.book, "tool-ended")["body"]["result"]["text"] = text


@finds("commands_told")
def a_command_that_was_not_told_of_yet(known: Known) -> None:
    known.book.commands.append({"command_id": "cmd-1"})


def typed(known: Known, told: str) -> None:
    """A line was typed at a command that has read it."""
    call = {"text": "a/2.0", "action": "write", "data": "a/2.0"}
    for each in known.book.of_kind("answered"):
        for part in each["body"]["message"]["parts"]:
            if part.get("id") == "c2":
                part.update(name="process", arguments=orjson.dumps(call).decode())
    event(known.book, "tool-ended")["body"]["result"]["text"] = told
    known.effects.append(Effect(tool="typed", key="ra/c2", text="a/2.0"))


@finds("typed_once")
def read_twice(known: Known) -> None:
    typed(known, "whether it was done is not known")
    known.effects.append(known.effects[-1])


@finds("typed_once")
def read_and_told_that_nothing_was_written(known: Known) -> None:
    typed(known, "nothing was written: it is over")


@finds("typed_once")
def read_and_nobody_has_typed_it(known: Known) -> None:
    known.effects.append(Effect(tool="typed", key="ra/c2", text="a/2.0"))


def page(known: Known, outcome: str, told: str) -> None:
    """The page ``x`` was fetched."""
    known.pages = {"x", "y"}
    for each in known.book.of_kind("answered"):
        for part in each["body"]["message"]["parts"]:
            if part.get("id") == "c2":
                part.update(name="web_fetch", arguments='{"url": "http://h/page/x"}')
    body = event(known.book, "tool-ended")["body"]
    body["outcome"], body["result"]["text"] = outcome, told


@finds("fetched")
def told_of_a_page_that_was_not_served(known: Known) -> None:
    page(known, "ok", words("x"))
    known.pages = set()


@finds("fetched")
def told_of_another_page(known: Known) -> None:
    page(known, "ok", words("y"))


@finds("fetched")
def fetched_and_told_nothing(known: Known) -> None:
    page(known, "ok", "")


@finds("fetched")
def a_fetch_of_which_nobody_knows(known: Known) -> None:
    page(known, "unknown", "whether it was done is not known")


def site(known: Known, head: str = "fetched (200, text, 5 bytes)") -> None:
    """A site was asked for what the call ``c2`` wanted, and that was told so."""
    page(
        known, "ok", f'{head}\n---\nwords\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="1">>>'
    )
    known.pages, known.served = None, []
    serve(known, "http://h/page/x")


def serve(known: Known, url: str, words: str = "words") -> None:
    served = Served(
        place="x", url=url, address="8.8.8.8", at=1.0, status=200, words=words
    )
    assert known.served is not None
    known.served.append(served)


@finds("page_said")
def told_what_no_site_has_said(known: Known) -> None:
    site(known)
    known.served = []
    serve(known, "http://h/page/x", "other words")


@finds("page_said")
def told_a_part_as_the_whole(known: Known) -> None:
    site(known)
    known.served = []
    serve(known, "http://h/page/x", "words and more of them")


@finds("page_said")
def told_another_status(known: Known) -> None:
    site(known, "fetched (203, text, 5 bytes)")


@finds("page_said")
def fetched_and_told_nothing_of_it(known: Known) -> None:
    site(known)
    event(known.book, "tool-ended")["body"]["result"]["text"] = "fetched"


@finds("page_asked_once")
def asked_again_without_a_beginning(known: Known) -> None:
    site(known)
    for _ in range(3):
        serve(known, "http://h/page/x")


@finds("outside")
def connected_to_what_is_inside(known: Known) -> None:
    known.reached.append("169.254.169.254")


@finds("strangers_lead")
def led_to_another_host(known: Known) -> None:
    site(known)
    serve(known, "http://else/page/x")
    asked = event(known.book, "answered")
    text = "\n---\n\n<<<END_EXTERNAL_UNTRUSTED_CONTENT "
    body = {"result": {"id": "c0", "text": text}}
    ended = {**asked, "kind": "tool-ended", "body": body, "seq": asked["seq"] - 1}
    known.book.events.insert(0, ended)


@finds("results_true")
def ok_and_nothing_done(known: Known) -> None:
    del known.effects[0]


@finds("results_true")
def refused_and_done(known: Known) -> None:
    event(known.book, "tool-ended")["body"]["outcome"] = "refused"


@finds("results_true")
def a_doubt_though_nobody_died(known: Known) -> None:
    known.kills.clear()
    known.cuts = 0


@finds("results_true")
def a_doubt_that_is_hidden(known: Known) -> None:
    event(known.book, "tool-ended")["body"]["result"]["text"] = "done"


@finds("results_true")
def a_doubt_that_is_no_error(known: Known) -> None:
    event(known.book, "tool-ended")["body"]["result"]["is_error"] = False


# --- files


def changing(known: Known, *changes: tuple[str, Row], **files: str) -> None:
    """Have the tools of the world change files, which are these in the end."""
    parts = event(known.book, "answered")["body"]["message"]["parts"]
    calls = [part for part in parts if part.get("_") == "ToolCall"]
    for call, (tool, given) in zip(calls, changes, strict=False):
        call.update(name=tool, arguments=orjson.dumps(given).decode())
    known.files = files


EDIT = "edit", {"path": "log", "oldText": "end", "newText": "<<a.1>>\nend"}
PATCH = "*** Update File: log\n-end\n+<<a.1>>\n+end\n*** Add File: new\n+<<a.1>>"
WRITES = (
    ("write", {"path": "now", "content": "<<a.1>>\n"}),
    ("write", {"path": "now", "content": "<<a.2>>\n"}),
)


@finds("changed_once")
def an_edit_twice(known: Known) -> None:
    changing(known, EDIT, log="<<a.1>>\n<<a.1>>\nend\n")


@finds("changed_once")
def an_edit_that_is_not_there(known: Known) -> None:
    changing(known, EDIT, log="end\n")


@finds("changed_once")
def an_edit_that_failed_and_is_there(known: Known) -> None:
    changing(known, EDIT, log="<<a.1>>\nend\n")
    event(known.book, "tool-ended", 1)["body"]["outcome"] = "error"


@finds("changed_once")
def half_a_patch(known: Known) -> None:
    changing(known, ("apply_patch", {"input": PATCH}), new="<<a.1>>")


@finds("written_whole")
def half_a_file(known: Known) -> None:
    changing(known, WRITES[0], now="<<a")


@finds("written_whole")
def a_file_that_is_gone(known: Known) -> None:
    changing(known, WRITES[0])


@finds("written_whole")
def written_by_a_call_that_failed(known: Known) -> None:
    changing(known, WRITES[0], now="<<a.1>>\n")
    event(known.book, "tool-ended", 1)["body"]["outcome"] = "error"


@finds("written_whole")
def an_older_file_in_the_place_of_a_newer_one(known: Known) -> None:
    changing(known, *WRITES, now="<<a.2>>\n")
    event(known.book, "tool-begun")["id"] = event(known.book, "tool-ended")["id"] + 1


@finds("changed_by_calls")
def changed_by_nobody(known: Known) -> None:
    changing(known, EDIT, log="<<a.1>>\n<<a.7>>\nend\n")


@pytest.mark.parametrize(
    "how, tail",
    [
        ("exit code 3", "<<a/1.0>>\ndone"),
        (
            "exit code 3; 1 process that it had left behind were ended",
            "<<a/1.0>>\ndone",
        ),
        ("lost: the node has ended meanwhile", ""),
        ("lost: the launcher has ended", "<<a/1.0>>"),
        ("ended: its time was over (exit code 3)", "<<a/1.0>>\ndone"),
        ("ended: its time was over (signal SIGKILL)", ""),
    ],
)
def test_a_command_whose_end_is_told_as_it_came_is_sound(how: str, tail: str):
    known = sound.known()
    known.cuts = 1
    news(known, how, tail)
    found = [each for each in violations(known) if each.startswith("ends_true")]
    assert not found


def test_files_that_are_as_was_told_are_sound():
    known = sound.known()
    changing(known, EDIT, WRITES[1], log="<<a.1>>\nend\n", now="<<a.2>>\n")
    for name in ("changed_once", "written_whole", "changed_by_calls"):
        assert not list(RULES[name](known))


# --- order


@finds("whole_journal")
def a_gap(known: Known) -> None:
    del known.book.events[4]


@finds("whole_journal")
def an_event_behind_another_one(known: Known) -> None:
    known.book.events[4]["previous"] = 101


@finds("whole_journal")
def a_session_that_is_behind(known: Known) -> None:
    known.book.sessions[0]["seq"] -= 1


@finds("in_order")
def taken_in_another_order(known: Known) -> None:
    event(known.book, "inbound", 1)["body"]["inbox_id"] = 3
    event(known.book, "inbound", 2)["body"]["inbox_id"] = 2


@finds("in_order")
def accepted_in_another_order(known: Known) -> None:
    known.book.inbox[1]["id"], known.book.inbox[2]["id"] = 3, 2


@finds("one_lane")
def two_turns_at_once(known: Known) -> None:
    event(known.book, "run-started", 1).update(run_id="rc")


@finds("one_lane")
def an_event_after_the_end(known: Known) -> None:
    event(known.book, "compacted")["run_id"] = "ra"


@finds("one_lane")
def two_open_runs(known: Known) -> None:
    for name in ("ra", "rc"):
        run(known.book, name).update(state="running")


@finds("epochs")
def an_older_owner_writes(known: Known) -> None:
    known.book.events[-1]["owner_epoch"] = 1


@finds("epochs")
def an_older_run_writes(known: Known) -> None:
    event(known.book, "tool-ended", 1)["run_epoch"] = 1


@finds("epochs")
def two_successors_of_one_epoch(known: Known) -> None:
    event(known.book, "run-started", 1)["body"]["epoch"] = 1


@finds("epochs")
def a_run_that_is_behind(known: Known) -> None:
    run(known.book, "ra")["run_epoch"] = 1


@finds("revived")
def a_successor_unannounced(known: Known) -> None:
    drop(known.book, event(known.book, "revived"))


@finds("revived")
def a_revival_uncounted(known: Known) -> None:
    run(known.book, "ra")["revivals"] = 0


# --- P5


@finds("reserved")
def asked_without_reservation(known: Known) -> None:
    del known.book.usage[3]


@finds("reserved")
def called_before_it_was_reserved(known: Known) -> None:
    known.calls[1] = attrs.evolve(known.calls[1], marker="a", at=11.0)


@finds("reserved")
def called_for_a_message_that_was_lost(known: Known) -> None:
    known.calls[1] = attrs.evolve(known.calls[1], at=11.0)


@finds("reserved")
def not_reserved_by_the_life_that_has_called(known: Known) -> None:
    known.calls[1] = attrs.evolve(known.calls[1], life=1)


@finds("sums")
def a_purse_with_too_little(known: Known) -> None:
    known.book.spent[2]["tokens"] -= 1


@finds("sums")
def a_purse_that_is_gone(known: Known) -> None:
    del known.book.spent[1]


@finds("capped")
def beyond_the_cap(known: Known) -> None:
    known.caps = (Cap("session", "cost", 9),)


@finds("capped")
def beyond_the_cap_at_the_kill(known: Known) -> None:
    known.kills[0].book.spent[2]["cost"] = 11


@finds("by_root")
def a_call_of_a_sub_agent_that_its_root_has_not_paid(known: Known) -> None:
    known.book.usage[-1]["root_id"] = None


@finds("by_root")
def more_calls_than_a_conversation_may_make_with_its_sub_agents(known: Known) -> None:
    known.caps = (Cap("session", "calls", 4),)


@finds("by_root")
def more_tokens_than_a_conversation_may_use_with_its_sub_agents(known: Known) -> None:
    known.caps = (Cap("session", "tokens", 74),)


@finds("sums")
def a_root_without_what_its_sub_agent_has_spent(known: Known) -> None:
    known.book.spent[2]["calls"] -= 1


@finds("sums")
def a_root_with_less_than_its_rows_say_though_sub_agents_are_deleted(
    known: Known,
) -> None:
    known.book.deleted["agent:main:subagent:1"] = 0
    known.book.spent[2]["calls"] -= 1


@finds("worked")
def time_of_an_agent_that_is_gone(known: Known) -> None:
    known.book.spent[1]["ms"] -= 1


@finds("worked")
def time_that_is_reserved_for_ever(known: Known) -> None:
    known.book.work.append({"run_id": "ra", "used": 0, "reserved": 1})


@finds("settled")
def never_settled(known: Known) -> None:
    known.book.usage[3]["settled_at"] = None


@finds("settled")
def billed_more_than_booked(known: Known) -> None:
    known.calls[4] = attrs.evolve(known.calls[4], billed=(10, 6))


@finds("bounds")
def used_more_than_reserved(known: Known) -> None:
    known.book.usage[3].update(input=40, output=11)


@finds("not_again")
def asked_again_without_a_kill(known: Known) -> None:
    known.kills.clear()
    event(known.book, "compacted").update(kind="noted")


@finds("not_again")
def answered_twice(known: Known) -> None:
    event(known.book, "answered", 1)["body"]["attempt"] = 1


@finds("not_after")
def asked_after_the_end(known: Known) -> None:
    known.calls[4] = attrs.evolve(known.calls[4], at=61.0)


@finds("not_after")
def asked_about_what_was_over_at_the_kill(known: Known) -> None:
    run(known.kills[0].book, "ra").update(state="ended")
    known.calls[1] = attrs.evolve(known.calls[1], marker="a")


@finds("not_after")
def asked_by_a_later_life_about_what_was_over(known: Known) -> None:
    """Whoever was slow to read: not by its time."""
    run(known.kills[0].book, "ra").update(state="ended")
    known.calls[0] = attrs.evolve(known.calls[0], life=2)


@finds("not_after")
def asked_twice_after_it_was_stopped(known: Known) -> None:
    run(known.book, "rc")["outcome"] = "aborted"
    late = attrs.evolve(known.calls[4], at=61.0, life=2)
    known.calls[4:] = [late, late]


# --- context, persons, joins


@finds("summed_once")
def summed_up_twice(known: Known) -> None:
    body = {"first": 5, "last": 12}
    event(known.book, "asked", 3).update(kind="compacted", body=body)


@finds("summed_once")
def summed_up_what_is_not_there(known: Known) -> None:
    event(known.book, "compacted")["body"]["last"] = 30


@finds("prompted")
def a_prompt_without_a_message(known: Known) -> None:
    bad = known.calls[1].messages
    known.calls[1] = attrs.evolve(known.calls[1], messages=bad[1:])


@finds("prompted")
def a_prompt_with_a_message_twice(known: Known) -> None:
    bad = known.calls[4].messages
    known.calls[4] = attrs.evolve(known.calls[4], messages=(*bad, bad[-1]))


@finds("prompted")
def a_prompt_of_nowhere(known: Known) -> None:
    known.calls[4] = attrs.evolve(known.calls[4], marker="z")


@finds("first_answer")
def two_answers_count(known: Known) -> None:
    known.verdicts[1] = attrs.evolve(known.verdicts[1], counts=True)


@finds("first_answer")
def an_answer_that_does_not_stand(known: Known) -> None:
    known.book.waits[0]["by"] = "other"


@finds("first_answer")
def an_answer_that_nobody_gave(known: Known) -> None:
    known.verdicts.clear()


@finds("first_answer")
def an_answer_to_nothing(known: Known) -> None:
    known.verdicts.append(
        Verdict(wait_id="w9", verdict="deny", by="owner", counts=True)
    )


@finds("agreed")
def something_else_was_carried_out(known: Known) -> None:
    known.effects[0] = attrs.evolve(known.effects[0], script="other")


@finds("agreed")
def done_without_a_grant(known: Known) -> None:
    known.effects[0] = attrs.evolve(known.effects[0], what="q")


@finds("granted")
def granted_by_a_no(known: Known) -> None:
    known.book.waits[0]["always"] = 0


@finds("granted")
def granted_and_not_offered(known: Known) -> None:
    known.book.waits[0] |= {"granting": None, "always": 0, "verdict": "allow"}


@finds("granted")
def allowed_for_good_and_not_granted(known: Known) -> None:
    known.book.grants.clear()


@finds("obeyed")
def carried_out_against_the_answer(known: Known) -> None:
    event(known.book, "wait-over")["body"]["verdict"] = "deny"


@finds("obeyed")
def carried_out_before_the_answer(known: Known) -> None:
    over, begin = event(known.book, "wait-over"), event(known.book, "tool-begun", 1)
    for name in ("kind", "body"):
        over[name], begin[name] = begin[name], over[name]


@finds("obeyed")
def a_question_that_stays_open(known: Known) -> None:
    known.book.waits[0]["closed_at"] = None


@finds("obeyed")
def a_question_that_the_journal_has_not(known: Known) -> None:
    drop(known.book, event(known.book, "wait-begun"))


@finds("joined")
def joined_nothing(known: Known) -> None:
    run(known.book, "rb")["joined"] = None


@finds("joined")
def joined_a_turn_that_has_it_not(known: Known) -> None:
    run(known.book, "rb")["joined"] = "rc"


@finds("asked_alike")
def joined_a_turn_of_another_model(known: Known) -> None:
    asked(known.book, "b")["model"] = "provider/other"


@finds("asked_alike")
def joined_a_turn_that_thinks_more(known: Known) -> None:
    asked(known.book, "a")["params"] = {"thinking": "high"}


@finds("asked_alike")
def joined_a_turn_that_is_answered_elsewhere(known: Known) -> None:
    asked(known.book, "b")["reply_to"] = "elsewhere"


# --- vectors


def vectors(known: Known) -> None:
    """Somebody wanted vectors, and has got them."""
    known.embeddings.append(
        Embedding(marker="v.0", at=0.5, model="vec", billed=10, vectors=((1.0,),))
    )
    known.wanted.append(Wanted(marker="v.0", vectors=((1.0,),), billed=10))
    row = {"model": "vec", "key": "", "run_id": "", "agent": "main", "attempt": 1}
    row |= {"at": 1.0, "settled_at": 2.0, "input": 10, "output": 0, "cost": 0}
    row |= {"bound_input": 20, "bound_output": 0, "bound_cost": 0, "estimated": 0}
    for book in (*(kill.book for kill in known.kills), known.book):
        for other in book.usage:
            other["model"] = "m"
        book.usage.append(dict(row))


@finds("vectors_reserved")
def vectors_that_nobody_reserved(known: Known) -> None:
    vectors(known)
    known.book.usage.pop()


@finds("vectors_reserved")
def vectors_reserved_after_the_kill(known: Known) -> None:
    vectors(known)
    known.kills[0].book.usage.pop()


@finds("vectors_paid")
def vectors_paid_too_little(known: Known) -> None:
    vectors(known)
    known.book.usage[-1]["input"] = 9


@finds("vectors_paid")
def vectors_paid_by_what_others_paid_too_much(known: Known) -> None:
    vectors(known)
    vectors(known)
    known.book.usage[-1]["input"] = 9
    known.book.usage[-2]["input"] = 20


@finds("vectors_settled")
def vectors_answered_and_not_settled(known: Known) -> None:
    vectors(known)
    known.book.usage[-1]["settled_at"] = None


@finds("vectors_true")
def vectors_of_something_else(known: Known) -> None:
    vectors(known)
    known.wanted[0].vectors = ((2.0,),)


@finds("vectors_true")
def vectors_with_another_bill(known: Known) -> None:
    vectors(known)
    known.wanted[0].billed = 11


@finds("vectors_answered")
def vectors_that_are_waited_for_for_ever(known: Known) -> None:
    known.wanted.append(Wanted(marker="v.0"))


@finds("vectors_answered")
def vectors_and_a_refusal(known: Known) -> None:
    vectors(known)
    known.wanted[0].codes.append("server")
    known.wanted[0].codes_explained = frozenset({"server"})


@finds("vectors_answered")
def vectors_refused_for_nothing(known: Known) -> None:
    known.wanted.append(Wanted(marker="v.0", codes=["budget_reached"]))


@finds("vectors_answered")
def a_line_that_breaks_by_itself(known: Known) -> None:
    known.kills.clear()
    known.cuts = 0
    known.wanted.append(Wanted(marker="v.0", cut=True))


# --- sub-agents


@finds("family")
def a_sub_agent_of_nobody(known: Known) -> None:
    known.book.children[0]["call_id"] = "c9"


@finds("family")
def a_sub_agent_left_over(known: Known) -> None:
    run(known.book, "rk").update(state="running", outcome=None)


@finds("family")
def a_sub_agent_not_closed(known: Known) -> None:
    known.book.children[0]["state"] = "open"


@finds("family")
def two_sub_agents_for_one_call(known: Known) -> None:
    known.book.children.append({**known.book.children[0], "run_id": "rc"})


@finds("family")
def a_message_of_no_sub_agent(known: Known) -> None:
    known.book.inbox[2]["source"] = "agent"


@finds("results_come")
def another_result(known: Known) -> None:
    run(known.book, "rk")["text"] = "something else"


@finds("results_come")
def never_announced(known: Known) -> None:
    known.book.children[0]["mode"] = "announce"


@finds("results_come")
def announced_twice(known: Known) -> None:
    told = {**sound.row("k", 5), "source": "agent", "external_id": "rk"}
    known.book.inbox += [told, {**told, "id": 6}]


def tell(known: Known) -> Row:
    """The first call says something in another session, and it is there."""
    event(known.book, "tool-begun")["body"]["tool"] = "tell"
    return known.book.inbox[3]


@finds("letters_come")
def a_letter_that_is_lost(known: Known) -> None:
    tell(known)["external_id"] = "another"


@finds("letters_come")
def a_letter_that_comes_twice(known: Known) -> None:
    known.book.inbox.append({**tell(known), "id": 9})


def carve(known: Known, **more: int) -> None:
    """The turn of the sub-agent was given so much."""
    given = {"model_calls": 1, "tokens": 15, "cost": 2, **more}
    child = {"run_id": "rk", "allowance": given}
    event(known.book, "tool-begun")["body"]["child"] = child


@finds("carved")
def more_calls_than_were_given(known: Known) -> None:
    carve(known, model_calls=0)


@finds("carved")
def more_tokens_than_were_given(known: Known) -> None:
    carve(known, tokens=14)


@finds("carved")
def more_money_than_was_given(known: Known) -> None:
    carve(known, cost=1)


@finds("carved")
def more_than_a_turn_may_use_with_its_sub_agents(known: Known) -> None:
    known.family = (Cap("turn", "tokens", 44),)
    carve(known)


def at_work(known: Known) -> None:
    row = known.book.children[0]
    known.book.children[:] = [row, {**row, "run_id": "rl", "parent_run": "rk"}]
    known.book.children[0]["state"] = known.book.children[1]["state"] = "open"


@finds("few")
def too_many_at_work(known: Known) -> None:
    at_work(known)
    known.family = (Cap("children", "tenant", 1),)


@finds("few")
def too_many_of_one_session(known: Known) -> None:
    at_work(known)
    known.family = (Cap("children", "session", 1),)


@finds("few")
def too_far_down(known: Known) -> None:
    at_work(known)
    known.family = (Cap("children", "depth", 1),)


@finds("stops_go_down")
def a_sub_agent_that_goes_on(known: Known) -> None:
    event(known.book, "run-over")["body"]["outcome"] = "aborted"


def hand_over(known: Known) -> None:
    """The conversation is another agent's from the first turn's end on."""
    over = {"kind": "handed-over", "body": {"agent": "other"}}
    event(known.book, "wait-over").update(over)


@finds("handed_over")
def the_agent_before_is_asked(known: Known) -> None:
    hand_over(known)
    known.book.usage.clear()
    known.calls[4] = attrs.evolve(known.calls[4], agent="main")


@finds("handed_over")
def the_agent_before_pays(known: Known) -> None:
    hand_over(known)


@finds("handed_over")
def the_agent_after_answers_behind_where_it_was_gone_back_to(known: Known) -> None:
    hand_over(known)
    later = event(known.book, "run-started", 2)
    later["parent"] = event(known.book, "asked")["seq"]
    later["key"] = "agent:main:s"
    known.book.events[:] = [{**e, "key": "agent:main:s"} for e in known.book.events]
    known.book.sessions[0]["key"] = "agent:main:s"
    known.book.usage[:] = [{**row, "agent": "other"} for row in known.book.usage[2:3]]


# --- what was deleted


@finds("deleted")
def deleted_unwanted(known: Known) -> None:
    known.book.deleted["gone"] = 0


@finds("deleted")
def deleted_and_not_erased(known: Known) -> None:
    known.unwanted.add("gone")
    known.book.deleted["gone"] = 2


@finds("deleted")
def unwanted_and_there(known: Known) -> None:
    known.unwanted.add("gone")


# --- whole sessions


@finds("begins_anew")
def told_what_was_before(known: Known) -> None:
    known.sent["c"].fresh = True
    last = known.calls[1].messages[0]
    call = next(call for call in known.calls if call.marker == "c")
    known.calls.append(attrs.evolve(call, messages=(last, *call.messages)))


@finds("done")
def told_that_it_is_rewound(known: Known) -> None:
    known.orders.append(Done("rewind", "s", to=3))


@finds("done")
def told_that_it_is_forked(known: Known) -> None:
    known.orders.append(Done("fork", "s", fork="t"))


@finds("forked")
def forked_from_something_else(known: Known) -> None:
    body = {"source": "s", "seq": 1, "messages": []}
    event(known.book, "compacted").update(kind="forked", body=body, key="t")


@finds("shortened")
def answered_what_was_made_shorter(known: Known) -> None:
    begun = known.book.of_run("rk", "run-started")[0]
    begun["body"] = {**begun["body"], "compacts": True}


# --- the tests


def test_a_sound_world_is_found_sound():
    assert violations(sound.known()) == []


def test_a_message_of_a_conversation_that_was_deleted_as_wanted_is_not_lost():
    known = sound.known()
    known.sent["d"] = attrs.evolve(sound.sent("d"), session="gone")
    known.book.deleted["gone"] = 0
    for kill in known.kills:
        kill.book.deleted["gone"] = 0
    known.unwanted.add("gone")

    assert violations(known) == []


def test_a_turn_about_a_command_may_be_deleted_with_its_conversation():
    known = sound.known()
    known.sent["d"] = attrs.evolve(sound.sent("d"), session="gone")
    told = attrs.evolve(known.calls[-1], marker="re:d/0.0")
    known.calls.append(told)
    assert any("re:d/0.0" in words for words in violations(known))

    known.book.deleted["gone"] = 0
    for kill in known.kills:
        kill.book.deleted["gone"] = 0
    known.unwanted.add("gone")
    assert violations(known) == []


def test_a_call_of_a_node_that_is_dead_may_be_read_when_its_turn_is_long_over():
    known = sound.known()
    run(known.kills[0].book, "ra").update(state="ended")
    rule = RULES["not_after"]
    assert not list(rule(known))

    known.calls[0] = attrs.evolve(known.calls[0], at=99.0)
    assert not list(rule(known)), "the harness was slow"

    known.calls[0] = attrs.evolve(known.calls[0], life=None)
    assert list(rule(known)), "by its time it is of the life after"


def test_a_call_that_was_under_way_when_its_turn_was_stopped_may_be_read_after_it():
    known = sound.known()
    run(known.book, "rc")["outcome"] = "aborted"
    known.calls[4] = attrs.evolve(known.calls[4], at=61.0, life=2)

    assert not list(RULES["not_after"](known))


def test_vectors_and_pages_that_are_as_was_told_are_sound():
    known = sound.known()
    site(known)
    vectors(known)
    known.embeddings.append(Embedding(marker="v.1", at=99.0, model="vec", billed=20))
    known.wanted.append(Wanted(marker="v.1", cut=True))
    known.book.usage.append({**known.book.usage[-1], "settled_at": None})

    for name in RULES:
        if name.startswith(("vectors", "page", "outside", "strangers")):
            assert not list(RULES[name](known)), name


def test_what_was_given_and_is_not_gone_beyond_is_in_order():
    known = sound.known()
    carve(known)
    known.family = (
        *(Cap("turn", "calls", 3), Cap("turn", "tokens", 45)),
        *(Cap("children", "tenant", 1), Cap("children", "depth", 1)),
    )

    assert not list(RULES["carved"](known))
    assert not list(RULES["few"](known))


def test_what_a_deleted_sub_agent_has_spent_is_still_in_its_roots_purse():
    known = sound.known()
    known.book.deleted["agent:main:subagent:1"] = 0
    known.book.spent[2]["calls"] += 1
    assert not list(RULES["sums"](known))


def test_of_a_conversation_that_began_anew_counts_what_was_begun_then():
    known = sound.known()
    known.caps = (Cap("session", "calls", 4),)
    assert list(RULES["by_root"](known))

    last = known.book.events[-1]["id"]
    known.book.events.append({"kind": "session-reset", "key": "s", "id": last + 1})
    assert not list(RULES["by_root"](known))


def test_who_has_a_conversation_from_the_next_turn_on_does_not_answer_before():
    known = sound.known()
    hand_over(known)
    known.calls[1] = attrs.evolve(known.calls[1], agent="main")
    for row in known.book.usage:
        row["agent"] = "other" if row["run_id"] == "rc" else row["agent"]

    assert not list(RULES["handed_over"](known))


def test_a_sub_agent_answers_once_more_for_each_that_worked_for_it():
    known = sound.known()
    event(known.book, "answered")["body"]["stop_reason"] = "stop"
    assert list(RULES["answered_once"](known))

    known.book.children[0]["mode"] = "announce"

    assert not list(RULES["answered_once"](known))


def test_what_a_sub_agent_is_told_of_before_is_not_said_again():
    known = sound.known()
    (told,) = [e for e in known.book.events if e["key"] == "k" and e["id"] == 501]
    told["body"]["messages"].insert(0, sound.inbound("a", 1)[2]["messages"][0])
    assert list(RULES["said_once"](known))

    for each in known.book.events:
        each["key"] = each["key"].replace("k", "agent:main:subagent:k")

    assert not list(RULES["said_once"](known))


def test_a_summary_may_begin_with_what_became_of_a_command():
    known = sound.known()
    first = known.calls[0]
    for book in (known.book, *(kill.book for kill in known.kills)):
        for row in book.inbox:
            if row["marker"] == first.marker:
                row["marker"] = f"re:{first.marker}"

    assert not list(RULES["reserved"](known))


def test_the_beginning_of_a_page_may_be_told_if_that_is_said():
    known = sound.known()
    site(known, "fetched (200, text, 5 bytes, the rest is left out)")
    known.served = []
    serve(known, "http://h/page/x", "words and more of them")

    assert not list(RULES["page_said"](known))


def test_what_was_asked_for_before_strangers_had_a_word_may_be_led_anywhere():
    known = sound.known()
    led_to_another_host(known)
    known.book.events[0]["seq"] += 2

    assert not list(RULES["strangers_lead"](known))


@pytest.mark.parametrize(
    "rule, damage", DAMAGE, ids=[f"{rule}-{d.__name__}" for rule, d in DAMAGE]
)
def test_a_planted_violation_is_found(rule: str, damage: Damage):
    known = sound.known()
    damage(known)

    found = list(RULES[rule](known))

    assert found, f"{rule} does not see it; the others: {violations(known)}"


def test_every_rule_has_a_violation_that_it_finds():
    assert {rule for rule, _ in DAMAGE} == set(RULES)


def test_every_rule_says_what_it_is_about():
    nameless: list[Any] = [name for name, rule in RULES.items() if not rule.__doc__]
    assert not nameless


def test_of_a_conversation_that_is_gone_no_time_is_left() -> None:
    book = Book(work=[{"run_id": "ra", "key": "k"}, {"run_id": "rb", "key": "l"}])
    assert [row["run_id"] for row in book.without(["k"]).work] == ["rb"]
