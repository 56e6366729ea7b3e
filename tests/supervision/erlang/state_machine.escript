#!/usr/bin/env escript
%% -*- erlang -*-
%% Runs scenarios for state machines on OTP's gen_statem and prints what happened.
%%
%% Reads one term from standard input:
%%     [{Name, Options, Rules, Script}, ...]
%% and prints, for each scenario, a line "= Name" and then one line per thing that a
%% callback or a caller saw. The same scenarios are run by test_state_machine.py.
-module(state_machine).
-mode(compile).
-export([handle/5, enter/4, terminate/3]).

main(_) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, Scenarios} = io:read(''),
    lists:foreach(fun scenario/1, Scenarios).

scenario({Name, Options, Rules, Script}) ->
    Self = self(),
    [compile_module(Module, Options) || Module <- [first, second]],
    {ok, Pid} = gen_statem:start_link(first, {Self, Options, Rules}, []),
    settle(),
    lists:foreach(fun(Step) -> step(Pid, Step), settle() end, Script),
    case is_process_alive(Pid) of
        true -> exit(Pid, kill), receive {'EXIT', Pid, killed} -> ok end;
        false -> receive {'EXIT', Pid, Reason} -> Self ! {log, ["down ", reason(Reason)]} end
    end,
    io:format("= ~s~n", [Name]),
    report().

report() ->
    receive
        {log, Line} -> io:format("~s~n", [Line]), report();
        {'EXIT', _, _} -> report()
    after 0 -> ok
    end.

%% Its time-outs are real: on a machine that has other work all of it has to be so slow
%% that whoever is late is not late by a whole step.
slowly(infinity) -> infinity;
slowly(Time) -> 6 * Time.

settle() -> timer:sleep(slowly(10)).

%% A callback module whose callbacks say who they are.
compile_module(Module, Options) ->
    Mode = proplists:get_value(mode, Options, functions),
    Modes = case Mode of functions -> "state_functions"; event -> "handle_event_function" end,
    Enter = case proplists:get_bool(enter, Options) of true -> ",state_enter"; false -> "" end,
    States = proplists:get_value(states, Options),
    Functions = [io_lib:format(
        "~s(enter,O,D) -> state_machine:enter(~s,O,~s,D);"
        "~s(T,C,D) -> state_machine:handle(~s,T,C,~s,D).~n",
        [S, Module, S, S, Module, S]) || S <- States],
    Source = lists:flatten([
        io_lib:format("-module(~s).~n-compile(export_all).~n-compile(nowarn_export_all).~n", [Module]),
        io_lib:format("callback_mode() -> [~s~s].~n", [Modes, Enter]),
        "init({Collector, Options, Rules}) ->\n"
        "  put(collector, Collector), put(rules, Rules), put(froms, #{}),\n"
        "  process_flag(trap_exit, proplists:get_bool(trap, Options)),\n"
        "  proplists:get_value(init, Options).\n",
        io_lib:format("handle_event(enter,O,S,D) -> state_machine:enter(~s,O,S,D);", [Module]),
        io_lib:format("handle_event(T,C,S,D) -> state_machine:handle(~s,T,C,S,D).~n", [Module]),
        io_lib:format("terminate(R,S,_) -> state_machine:terminate(~s,R,S).~n", [Module]),
        Functions]),
    {ok, Tokens, _} = erl_scan:string(Source),
    Forms = forms(Tokens, [], []),
    {ok, Module, Binary} = compile:forms(Forms, [nowarn_unused_function]),
    code:purge(Module),
    {module, Module} = code:load_binary(Module, "", Binary).

forms([], [], Forms) -> lists:reverse(Forms);
forms([{dot, _} = Dot | Rest], Tokens, Forms) ->
    {ok, Form} = erl_parse:parse_form(lists:reverse([Dot | Tokens])),
    forms(Rest, [], [Form | Forms]);
forms([Token | Rest], Tokens, Forms) -> forms(Rest, [Token | Tokens], Forms).

%% --- callbacks

log(Format, Args) -> get(collector) ! {log, io_lib:format(Format, Args)}.

who(first) -> "";
who(second) -> "second: ".

handle(Module, {call, From}, Content, State, Data) ->
    put(froms, maps:put(Content, From, get(froms))),
    handle(Module, call, Content, State, Data);
handle(Module, {timeout, Name}, Content, State, Data) ->
    handle(Module, list_to_atom("timer:" ++ atom_to_list(Name)), Content, State, Data);
handle(Module, info, {timeout, Ref, _}, State, Data) when is_reference(Ref) ->
    handle(Module, info, stray_timeout, State, Data);
handle(Module, info, {'EXIT', _, Reason}, State, Data) ->
    handle(Module, exit, Reason, State, Data);
handle(Module, Type, Content, State, Data) ->
    log("~s~s ~s ~s", [who(Module), State, Type, Content]),
    result(rule({State, Type, Content}), State, Data).

enter(Module, Old, State, Data) ->
    log("~senter ~s from ~s", [who(Module), State, Old]),
    result(rule({State, enter}), State, Data).

terminate(Module, Reason, State) ->
    log("~sterminate in ~s: ~s", [who(Module), State, reason(Reason)]),
    case rule(terminate) of
        raise -> error({on_purpose});
        _ -> ok
    end.

%% The first result of a rule is used once, the last one again and again.
rule(Key) ->
    Rules = get(rules),
    case lists:keyfind(Key, 1, Rules) of
        false -> {keep, []};
        {Key, [Last]} -> Last;
        {Key, [Next | Rest]} ->
            put(rules, lists:keyreplace(Key, 1, Rules, {Key, Rest})),
            Next
    end.

result({next, State, Actions}, _, Data) -> {next_state, State, Data, actions(Actions)};
result({keep, Actions}, _, _) -> {keep_state_and_data, actions(Actions)};
result({repeat, Actions}, _, _) -> {repeat_state_and_data, actions(Actions)};
result({stop, Reason}, _, _) -> {stop, Reason};
result({stop_and_reply, Reason, Replies}, _, _) -> {stop_and_reply, Reason, actions(Replies)};
result(nonsense, _, _) -> nonsense;
result(raise, _, _) -> error({on_purpose}).

actions(Actions) -> [action(Action) || Action <- Actions].

action({reply, Call, Value}) -> {reply, maps:get(Call, get(froms)), Value};
action({event, Type, Content}) -> {next_event, Type, Content};
action({timer, Name, Time, Content}) -> {{timeout, Name}, slowly(Time), Content};
action({update_timer, Name, Content}) -> {{timeout, Name}, update, Content};
action({cancel_timer, Name}) -> {{timeout, Name}, cancel};
action({event_timeout, Time, Content}) -> {timeout, slowly(Time), Content};
action({state_timeout, Time, Content}) -> {state_timeout, slowly(Time), Content};
action(cancel_event_timeout) -> {timeout, cancel};
action(cancel_state_timeout) -> {state_timeout, cancel};
action({update_event_timeout, Content}) -> {timeout, update, Content};
action({update_state_timeout, Content}) -> {state_timeout, update, Content};
action({change, Module}) -> {change_callback_module, Module};
action({push, Module}) -> {push_callback_module, Module};
action(pop) -> pop_callback_module;
action(Action) -> Action.

%% --- what is done to it

step(Pid, {burst, Steps}) ->
    erlang:suspend_process(Pid),
    [step(Pid, Step) || Step <- Steps],
    erlang:resume_process(Pid);
step(Pid, {cast, Content}) -> gen_statem:cast(Pid, Content);
step(Pid, {send, Content}) -> Pid ! Content;
step(Pid, {call, Content}) ->
    Self = self(),
    Caller = spawn(fun() ->
        Request = gen_statem:send_request(Pid, Content),
        Self ! {sent, self()},
        case gen_statem:receive_response(Request, infinity) of
            {reply, Value} -> Self ! {log, io_lib:format("> ~s is answered ~s", [Content, Value])};
            {error, {Reason, _}} -> Self ! {log, ["> call of ", atom_to_list(Content), " fails: ", reason(Reason)]}
        end
    end),
    receive {sent, Caller} -> ok end;
step(Pid, {exit, Reason}) -> exit(Pid, Reason);
step(Pid, {stop, Reason}) ->
    spawn(fun() -> gen_statem:stop(Pid, Reason, infinity) end);
step(Pid, suspend) -> sys:suspend(Pid);
step(Pid, resume) -> sys:resume(Pid);
step(Pid, {replace, State}) -> sys:replace_state(Pid, fun({_, Data}) -> {State, Data} end);
step(_, {wait, Time}) -> timer:sleep(slowly(Time)).

reason(undef) -> "crash";
reason(Reason) when is_atom(Reason) -> atom_to_list(Reason);
reason(_) -> "crash".
