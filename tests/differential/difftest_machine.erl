%% State machines for difftest: what the four callback modules share.
%%
%% An event carries its program: what to do at each of its visits (a postponed event is
%% visited again), the last one for all later visits, too. `erlang.py` makes the callback
%% modules, one per callback mode.
-module(difftest_machine).
-export([init/1, handle/5, enter/4, terminate/3]).
-record(m, {data = 0, from = []}).

ev(Event) -> difftest:ev(get(world), Event).

init({S, Name, Trap, Init, Term, Enters}) ->
    difftest:watch(S, Name),
    process_flag(trap_exit, Trap),
    put(world, S), put(name, Name), put(term, Term),
    [put({enter, State}, Results) || {State, Results} <- Enters],
    ev({init, Name, element(1, Init)}),
    case Init of
        {ok, State, Actions} -> {ok, State, #m{}, actions(Actions, none)};
        {ignore} -> ignore;
        {stop, R} -> {stop, R};
        {bad} -> nonsense;
        {die, R} -> difftest:die(R)
    end.

handle(Module, {call, From}, Program, State, M) ->
    run(Module, call, Program, From, State, M);
handle(Module, {timeout, Name}, Program, State, M) ->
    run(Module, {timer, Name}, Program, none, State, M);
handle(Module, info, {info, Program}, State, M) ->
    run(Module, info, Program, none, State, M);
handle(_, info, {timeout, Ref, _}, _, _) when is_reference(Ref) ->
    % A fault of OTP 25: what was set to zero and then to more passes as a stray message.
    ev({quirk, stray_timeout}),
    keep_state_and_data;
handle(_, info, Message, State, _) ->
    Seen = difftest:seen(get(world), Message),
    ev({ev, get(name), State, message, Seen}),
    keep_state_and_data;
handle(Module, Type, Program, State, M) ->
    run(Module, Type, Program, none, State, M).

run(Module, Kind, {Id, Visits}, From, State, M0) ->
    Visit = case get({visits, Id}) of undefined -> 1; N -> min(N + 1, 8) end,
    put({visits, Id}, Visit),
    ev({ev, get(name), State, Kind, Id, Module}),
    {Effects, Result} = case Visit of
        8 -> {[], {keep, []}}; % some would go on for ever
        _ -> lists:nth(min(Visit, length(Visits)), Visits)
    end,
    M = lists:foldl(fun(E, Acc) -> effect(E, From, Acc) end, M0, Effects),
    result(Result, From, M).

enter(Module, Old, State, M) ->
    ev({enter, get(name), State, Old, Module}),
    case get({enter, State}) of
        [Result | Rest] ->
            put({enter, State}, Rest),
            result(Result, none, M);
        _ -> {keep_state, M}
    end.

terminate(Module, R, State) ->
    S = get(world),
    % What a callback raised comes here without its stack: as if it were an exit.
    Reason = case get(raised) of
        R -> {crash, R};
        _ -> difftest:why(S, R)
    end,
    ev({term, get(name), Reason, State, Module}),
    case get(term) of
        ok -> ok;
        crash -> error(ouch)
    end.

result({next, State, Actions}, From, M) -> {next_state, State, M, actions(Actions, From)};
result({keep, Actions}, From, M) -> {keep_state, M, actions(Actions, From)};
result({repeat, Actions}, From, M) -> {repeat_state, M, actions(Actions, From)};
result({stop, R}, _, M) -> {stop, R, M};
result({stop_reply, R, _}, none, M) -> {stop, R, M};
result({stop_reply, R, V}, From, M) -> {stop_and_reply, R, [{reply, From, V}], M};
result(bad, _, _) -> nonsense;
result({die, crash}, _, _) -> put(raised, boom), difftest:die(crash);
result({die, R}, _, _) -> difftest:die(R).

effect({set, V}, _, M) -> M#m{data = V};
effect(stash, From, M) when From =/= none -> M#m{from = M#m.from ++ [From]};
effect({reply_now, V}, From, M) when From =/= none -> gen_statem:reply(From, V), M;
effect({reply_stashed, V}, _, M = #m{from = [F | Rest]}) ->
    gen_statem:reply(F, V),
    M#m{from = Rest};
effect({sleep, Tenths}, _, M) -> timer:sleep(difftest:ms(get(world), Tenths)), M;
effect(_, _, M) -> M.

actions(Actions, From) -> lists:append([action(A, From) || A <- Actions]).

action({reply, _}, none) -> [];
action({reply, V}, From) -> [{reply, From, V}];
action({event, Kind, Program}, _) -> [{next_event, Kind, inserted(Kind, Program)}];
action({set, Which, Tenths, Program}, _) ->
    [{which(Which), difftest:ms(get(world), Tenths), Program}];
action({update, Which, Program}, _) -> [{which(Which), update, Program}];
action({cancel, Which}, _) -> [{which(Which), cancel}];
action({change, Module}, _) -> [{change_callback_module, Module}];
action({push, Module}, _) -> [{push_callback_module, Module}];
action(pop, _) -> [pop_callback_module];
action(Action, _) -> [Action]. % postpone, {postpone, false}

inserted(info, Program) -> {info, Program};
inserted(_, Program) -> Program.

which(event) -> timeout;
which(state) -> state_timeout;
which(Name) -> {timeout, Name}.
