%% Plays scenarios on real Erlang/OTP and writes down what happened.
%%
%% One scheduler only (`erl +S 1:1`): the order in which the watcher's mailbox fills is
%% then the order in which things happened, and "nothing is left to do" is the moment in
%% which the run queue is empty. Nothing here sleeps to wait for somebody.
-module(difftest).
-export([main/1, start_child/3, start_dynamic/5]).
-export([watch/2, ev/2, die/1, ms/2, why/2, seen/2]). % for difftest_machine
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2,
         terminate/2]).

%% Milliseconds that a scenario is played for at most, after one that was too fast.
-define(LONGEST, 16000).

-record(s, {k, t, w, unit}).
-record(st, {s, n, term = ok, from = [], data = 0}).

main([In, Out, UnitText]) ->
    ok = logger:set_primary_config(level, none),
    % Whoever is the first to load a module, or to ask whether something of it is to be
    % logged, waits for others when nobody has anything left to do.
    [begin {module, M} = code:ensure_loaded(M), logger:allow(error, M) end
     || M <- [difftest_machine, m_functions, m_functions_enter, m_events, m_events_enter,
              gen, gen_server, gen_statem, supervisor, proc_lib, sys, pg, lists, maps]],
    register(rester, spawn(fun rester/0)),
    ets:new(stalls, [named_table, ordered_set, public]),
    spawn(fun() -> ticker(erlang:monotonic_time(millisecond)) end),
    {ok, _} = pg:start(pg),
    {ok, Binary} = file:read_file(In),
    Unit = list_to_integer(UnitText),
    {Timed, Untimed} =
        lists:partition(fun(X) -> element(2, X) =/= false end, binary_to_term(Binary)),
    Longest = lists:keysort(1, [{-units(X), X} || X <- Timed]),
    Results = pool([X || {_, X} <- Longest], [], 100, Unit) ++ [play(X, Unit) || X <- Untimed],
    ok = file:write_file(Out, term_to_binary(Results)),
    halt(0).

%% Notes when real time went on without us: timers and sleeps were late then.
ticker(Before) ->
    receive after 2 -> ok end,
    Now = erlang:monotonic_time(millisecond),
    [ets:insert(stalls, {Now, Now - Before}) || Now - Before > 4],
    ticker(Now).

stalled(Begin, Unit) ->
    Stall = Unit div 12,
    ets:select_count(stalls, [{{'$1', '$2'}, [{'>', '$1', Begin}, {'>', '$2', Stall}],
                               [true]}]) > 0.

%% --- rest: answered when no process of the whole node has anything left to do

rester() ->
    receive {rest, From} -> rester([From]) end.

rester(Waiting) ->
    receive
        {rest, From} -> rester([From | Waiting])
    after 0 ->
        erlang:yield(),
        case erlang:statistics(run_queue) of
            0 -> [From ! rested || From <- Waiting], rester();
            _ -> rester(Waiting)
        end
    end.

rest() ->
    rester ! {rest, self()},
    receive rested -> ok after 4000 -> throw(never_rests) end.

%% --- one scenario, each in a process of its own

pool([], [], _, _) -> [];
pool([X | Rest], Running, Free, Unit) when Free > 0 ->
    pool(Rest, [start(X, Unit) | Running], Free - 1, Unit);
pool(Waiting, Running, Free, Unit) ->
    receive
        {played, Pid, Result} ->
            [Result | pool(Waiting, lists:delete(Pid, Running), Free + 1, Unit)]
    end.

start(X, Unit) ->
    Self = self(),
    spawn(fun() -> Self ! {played, self(), drive(X, Unit, 6)} end).

play(X, Unit) ->
    Pid = start(X, Unit),
    receive {played, Pid, Result} -> Result end.

%% A step that took so long that a time-out may have passed meanwhile proves nothing.
drive(X, Unit, Tries) ->
    Longer = 2 * Unit * units(X),
    case drive(X, Unit) of
        late when Tries > 1, Longer =< ?LONGEST -> drive(X, Unit * 2, Tries - 1);
        % Perhaps it was another one, at the same time.
        never_rests when Tries > 4, element(2, X) =/= false -> drive(X, Unit, 1);
        Result -> {element(1, X), Result}
    end.

units({_, _, _, Steps}) -> lists:sum([N || {advance, N} <- Steps]).

drive({K, Timed, Setup, Steps}, Unit) ->
    T = ets:new(t, [public]),
    Driver = self(),
    W = spawn(fun() -> watcher(T, []) end),
    ets:insert(T, [{{pid, Driver}, d}, {{name, d}, Driver}]),
    S = #s{k = K, t = T, w = W, unit = Unit},
    Begin = erlang:monotonic_time(millisecond),
    Trace = try steps(S, Timed, Begin, 0, [{setup, Setup} | Steps])
            catch throw:never_rests -> never_rests
            end,
    Pids = [P || {{pid, P}, _} <- ets:tab2list(T), P =/= Driver],
    [begin unlink(P), exit(P, kill) end || P <- Pids],
    Stalled = Timed =:= fine andalso stalled(Begin, Unit),
    exit(W, kill),
    catch rest(),
    ets:delete(T),
    flush(),
    case Stalled of true -> late; false -> Trace end.

steps(_, _, _, _, []) -> [];
steps(S, Timed, Begin, Now0, [A | Rest]) ->
    Now = act(S, Begin, Now0, A),
    rest(),
    S#s.w ! {take, self()},
    Events = receive {taken, E} -> E end,
    Step = Events ++ snapshot(S),
    Passed = erlang:monotonic_time(millisecond) - Begin,
    case Timed =/= false andalso Passed > Now * S#s.unit + slack(Timed, S#s.unit) of
        true -> late;
        false ->
            case steps(S, Timed, Begin, Now, Rest) of
                late -> late;
                Steps -> [Step | Steps]
            end
    end.

slack(fine, Unit) -> Unit div 6;
slack(coarse, _) -> 400.

flush() -> receive _ -> flush() after 0 -> ok end.

watcher(T, Log) ->
    receive
        {watch, P, Ref} ->
            monitor(process, P),
            P ! {watched, Ref},
            watcher(T, Log);
        {ev, E} -> watcher(T, [E | Log]);
        {'DOWN', _, process, P, R} ->
            watcher(T, [{ended, name_of(T, P), reason(T, R)} | Log]);
        {take, From} ->
            From ! {taken, lists:reverse(Log)},
            watcher(T, [])
    end.

watch(#s{t = T, w = W}, Name) ->
    ets:insert(T, [{{pid, self()}, Name}, {{name, Name}, self()}]),
    Ref = make_ref(),
    W ! {watch, self(), Ref},
    receive {watched, Ref} -> ok end.

ev(#s{w = W}, Event) -> W ! {ev, Event}.

pid(#s{t = T}, Name) ->
    case ets:lookup(T, {name, Name}) of
        [{_, Pid}] -> Pid;
        [] -> none
    end.

name_of(T, Pid) ->
    case ets:lookup(T, {pid, Pid}) of
        [{_, Name}] -> Name;
        [] -> unknown
    end.

real(#s{k = K}, Name) ->
    list_to_atom(atom_to_list(Name) ++ "_" ++ integer_to_list(K)).

ms(_, infinity) -> infinity;
ms(#s{unit = U}, Tenths) -> Tenths * U div 10.

%% --- canonical terms

reason(T, {R, {gen_server, _, _}}) -> reason(T, R);
reason(T, {R, {sys, _, _}}) -> reason(T, R);
reason(T, {R, Child}) when element(1, Child) =:= child -> reason(T, R);
reason(T, {shutdown, R}) -> {shutdown, reason(T, R)};
reason(T, {failed_to_start_child, Id, R}) -> {failed, Id, reason(T, R)};
reason(_, {start_spec, _}) -> bad_spec;
reason(_, {supervisor_data, _}) -> bad_spec;
reason(_, {invalid_significant, _}) -> bad_spec;
reason(_, {bad_combination, _}) -> bad_spec;
reason(_, {bad_return_value, _}) -> bad_return;
reason(_, {Bad, _}) when
    Bad =:= bad_return_from_state_function; Bad =:= bad_return_from_init;
    Bad =:= bad_state_enter_return_from_state_function;
    Bad =:= bad_action_from_state_function;
    Bad =:= bad_state_enter_action_from_state_function -> bad_return;
reason(T, {Bad, [{_, _, _, _} | _]}) when is_tuple(Bad) -> reason(T, Bad);
reason(T, {already_started, P}) -> {already_started, name_of(T, P)};
reason(_, {callback_failed, _, _}) -> callback_failed;
reason(T, {R, [{_, _, _, _} | _]}) -> {crash, reason(T, R)};
reason(_, R) when is_atom(R); is_integer(R) -> R;
reason(_, _) -> other.

message(T, {'EXIT', P, R}) -> {exit, name_of(T, P), reason(T, R)};
message(T, {'DOWN', Ref, process, Object, R}) ->
    [{_, Label}] = ets:lookup(T, {ref, Ref}),
    {down, Label, object(T, Object), reason(T, R)};
message(T, {Ref, Event, _, Pids}) when is_reference(Ref) ->
    [{_, Label}] = ets:lookup(T, {ref, Ref}),
    {Event, Label, lists:sort([name_of(T, P) || P <- Pids])};
message(T, {timeout, Ref, {tag, K}}) ->
    [{_, Label}] = ets:lookup(T, {ref, Ref}),
    {timeout, Label, K};
message(_, {tag, K}) -> {tag, K};
message(_, _) -> other.

object(T, P) when is_pid(P) -> name_of(T, P);
object(S, {Name, _}) -> logical(S, Name).

why(#s{t = T}, R) -> reason(T, R).
seen(#s{t = T}, Message) -> message(T, Message).

%% What can be seen of plain processes: only what has changed since the last step.
snapshot(S = #s{t = T}) ->
    lists:sort(lists:append(
        [snapshot(S, Name, pid(S, Name)) || {{plain, Name}} <- ets:tab2list(T)])).

snapshot(S = #s{t = T}, Name, Pid) ->
    Now = case process_info(Pid, [trap_exit, links, registered_name, messages]) of
        undefined -> dead;
        [{_, Trap}, {_, Links}, {_, Registered}, {_, Messages}] ->
            Linked = lists:sort([name_of(T, P) || P <- Links, name_of(T, P) =/= unknown]),
            Seen = [message(T, M) || M <- Messages, not control(T, M)],
            Named = case Registered of [] -> none; _ -> logical(S, Registered) end,
            {Trap, Linked, Named,
             [M || M = {tag, _} <- Seen],
             lists:sort([M || M <- Seen, element(1, M) =/= tag])}
    end,
    case ets:lookup(T, {seen, Name}) of
        [{_, Now}] -> [];
        _ -> ets:insert(T, {{seen, Name}, Now}), [{state, Name, Now}]
    end.

%% What is no message of a scenario: orders, and what belongs to a request.
control(_, {ctl, _}) -> true;
control(_, {[alias | _], _}) -> true;
control(T, {'DOWN', Ref, _, _, _}) -> not ets:member(T, {ref, Ref});
control(_, _) -> false.

logical(_, Registered) ->
    list_to_atom(hd(string:split(atom_to_list(Registered), "_"))).

%% --- actions; each returns the time that it is then, in whole units

act(S, Begin, Now, {advance, Units}) ->
    Until = Begin + (Now + Units) * S#s.unit,
    timer:sleep(max(0, Until - erlang:monotonic_time(millisecond))),
    Now + Units;
act(S, _, Now, Action) ->
    act(S, Action),
    Now.

act(S, {setup, Parts}) ->
    lists:foreach(fun(Part) -> act(S, Part), rest() end, Parts);
act(S, {plain, Name}) -> start_plain(S, Name, loop, fun erlang:spawn/1);
act(S, {cmd, Name, Commands}) ->
    case pid(S, Name) of
        none -> ok;
        Pid ->
            % What a blocked process would do later, at once, has no defined order.
            case ets:member(S#s.t, {blocked, Name}) of
                true -> ok;
                false -> Pid ! {ctl, Commands}
            end
    end;
act(S, {signal, Name, R}) -> % from the driver itself
    case pid(S, Name) of
        none -> ok;
        Pid -> exit(Pid, R)
    end;
%% supervisors: the root has a process of its own as parent
act(S, {root, Name, What}) ->
    spawn(fun() ->
        watch(S, parent),
        process_flag(trap_exit, true),
        ev(S, {result, 0, started(S, start_child(S, Name, What))}),
        parent(S)
    end);
act(S, {parent, Name, R}) -> pid(S, parent) ! {signal, Name, R};
act(S, {tell, Id, Command}) -> tell(pid(S, Id), {do, Command});
act(S, {req, N, Sup, Request}) ->
    client(S, N, fun() -> request(S, pid(S, Sup), Request) end);
%% servers
act(S, home) ->
    spawn(fun() ->
        watch(S, parent),
        process_flag(trap_exit, true),
        parent(S)
    end);
act(S, {server, Name, Registered, Trap, Init, Term}) ->
    Argument = {server, S, Name, Trap, Init, Term},
    pid(S, parent) ! {start, Name, fun() ->
        case Registered of
            none -> gen_server:start_link(?MODULE, Argument, []);
            _ -> gen_server:start_link({local, real(S, Registered)}, ?MODULE, Argument, [])
        end
    end};
act(S, {machine, Name, Module, Trap, Init, Term, Enters}) ->
    Argument = {S, Name, Trap, Init, Term, Enters},
    pid(S, parent) ! {start, Name, fun() ->
        case {Init, gen_statem:start_link(Module, Argument, [])} of
            % Of an error in init gen_statem tells the starter only half.
            {{die, crash}, {error, boom}} -> {error, {boom, [{?MODULE, init, 1, []}]}};
            {_, Result} -> Result
        end
    end};
act(S, {cast, Name, Program}) ->
    [gen_server:cast(P, Program) || P <- [dest(S, Name)], P =/= none];
act(S, {info, Name, Program}) -> tell(pid(S, Name), {info, Program});
act(S, {call, N, Name, Program, Timeout}) ->
    client(S, N, fun() -> call(S, dest(S, Name), Program, Timeout) end);
act(S, {stop, N, Name, R, Timeout}) ->
    client(S, N, fun() ->
        stop(S, dest(S, Name), R, ms(S, Timeout))
    end).

dest(S, {name, Name}) -> real(S, Name);
dest(S, Name) -> pid(S, Name).

tell(none, _) -> ok;
tell(Pid, Message) -> Pid ! Message.

client(S, N, Fun) ->
    spawn(fun() ->
        ets:insert(S#s.t, {{pid, self()}, client}),
        ev(S, {result, N, Fun()})
    end).

parent(S) ->
    receive
        {start, Name, Fun} -> ev(S, {result, Name, started(S, Fun())}), parent(S);
        {signal, Name, R} -> [exit(P, R) || P <- [pid(S, Name)], P =/= none], parent(S);
        {'EXIT', _, _} -> parent(S)
    end.

started(#s{t = T}, {ok, P}) -> {ok, name_of(T, P)};
started(#s{t = T}, {error, {already_started, P}}) ->
    {error, {already_started, name_of(T, P)}};
started(#s{t = T}, {error, R}) -> {error, reason(T, R)};
started(_, ignore) -> ignore.

%% --- plain processes

start_plain(S, Name, Body, Spawn) ->
    ets:insert(S#s.t, {{plain, Name}}),
    Spawned = Spawn(fun() -> plain(S, Name, Body) end),
    Pid = case Spawned of {P, _} -> P; P -> P end,
    ets:insert(S#s.t, [{{pid, Pid}, Name}, {{name, Name}, Pid}]),
    Spawned.

plain(S, Name, Body) ->
    watch(S, Name),
    try
        case Body of
            loop -> loop(S, Name);
            trap -> process_flag(trap_exit, true), loop(S, Name);
            R -> die(R)
        end
    catch
        throw:return -> ok
    end.

loop(S, Name) ->
    receive
        {ctl, Commands} ->
            [ev(S, {did, Name, do(S, C)}) || C <- Commands],
            loop(S, Name)
    end.

die(return) -> throw(return);
die(crash) -> error(boom);
die(R) -> exit(R).

do(S, {spawn, Name, How, Body}) ->
    case pid(S, Name) of
        none -> spawn_as(S, Name, How, Body);
        _ -> skip
    end;
do(_, {die, R}) -> die(R);
do(_, {trap, Flag}) -> process_flag(trap_exit, Flag);
do(S, {demonitor, Label, Flush}) ->
    case ets:lookup(S#s.t, {label, Label, self()}) of
        [] -> skip;
        [{_, Ref}] -> demonitor(Ref, [flush || Flush])
    end;
do(S, {recv, Tags, Exit, Down, Timeout}) ->
    blocked(S, fun() -> recv(S, Tags, Exit, Down, ms(S, Timeout)) end);
do(S, {timer, Kind, To, Tenths, K, Label}) ->
    case dest(S, To) of
        none -> skip;
        Dest ->
            Ref = case Kind of
                send_after -> erlang:send_after(ms(S, Tenths), Dest, {tag, K});
                start_timer -> erlang:start_timer(ms(S, Tenths), Dest, {tag, K})
            end,
            note_ref(S, Ref, Label),
            ok
    end;
do(S, {cancel_timer, Label}) -> timer_left(S, Label, fun erlang:cancel_timer/1);
do(S, {read_timer, Label}) -> timer_left(S, Label, fun erlang:read_timer/1);
do(S, {receive_response, Label, Timeout}) ->
    case ets:take(S#s.t, {request, Label, self()}) of
        [] -> skip;
        [{_, Id}] ->
            blocked(S, fun() ->
                responded(S, gen_server:receive_response(Id, ms(S, Timeout)))
            end)
    end;
do(S, {receive_any, Timeout}) ->
    blocked(S, fun() ->
        case gen_server:wait_response(collected(), ms(S, Timeout), true) of
            {Response, Label, Rest} ->
                put(collected, Rest),
                {Label, responded(S, Response)};
            Other -> Other
        end
    end);
do(_, collected) -> gen_server:reqids_size(collected());
do(_, give_up) -> put(collected, gen_server:reqids_new()), ok;
do(S, flush) -> canonical(drain(S));
do(S, {send_name, Name, K}) ->
    try real(S, Name) ! {tag, K}, ok catch error:badarg -> badarg end;
do(S, {unregister, Name}) ->
    try unregister(real(S, Name)) catch error:badarg -> badarg end;
do(S, {whereis, Name}) ->
    case whereis(real(S, Name)) of
        undefined -> undefined;
        Pid -> name_of(S#s.t, Pid)
    end;
do(S, {monitor_name, Name, Label}) -> watch_one(S, real(S, Name), Label);
do(S, {members, Group}) ->
    lists:sort([name_of(S#s.t, P) || P <- pg:get_members({S#s.k, Group})]);
do(S, {broadcast, Group, K}) ->
    Members = lists:usort(pg:get_members({S#s.k, Group})),
    [P ! {tag, K} || P <- Members],
    length(Members);
do(S, {monitor_group, Group, Label}) ->
    {Ref, Pids} = pg:monitor(pg, {S#s.k, Group}),
    note_ref(S, Ref, Label),
    lists:sort([name_of(S#s.t, P) || P <- Pids]);
do(S, {demonitor_group, Label}) ->
    case ets:lookup(S#s.t, {label, Label, self()}) of
        [] -> skip;
        [{_, Ref}] -> pg:demonitor(pg, Ref), ok
    end;
do(S, Command) -> % those that need a process
    case pid(S, element(2, Command)) of
        none -> skip;
        Pid -> do(S, Pid, Command)
    end.

do(_, P, {send, _, K}) -> P ! {tag, K}, ok;
do(_, P, {link, _}) -> try link(P) catch error:noproc -> noproc end;
do(_, P, {unlink, _, Flush}) ->
    unlink(P),
    case Flush of
        true -> receive {'EXIT', P, _} -> ok after 0 -> ok end;
        false -> ok
    end;
do(S, P, {monitor, _, Label}) -> watch_one(S, P, Label);
do(_, P, {exit, _, R}) -> exit(P, R);
do(S, P, {send_request, _, Program, Label}) ->
    ets:insert(S#s.t, {{request, Label, self()}, gen_server:send_request(P, Program)}),
    ok;
do(_, P, {collect, _, Program, Label}) ->
    put(collected, gen_server:send_request(P, Program, Label, collected())),
    ok;
do(_, P, {alive, _}) -> is_process_alive(P);
do(S, P, {register, _, Name}) ->
    case process_info(P, registered_name) of
        {registered_name, _} -> skip;
        _ -> try register(real(S, Name), P) catch error:badarg -> badarg end
    end;
do(S, P, {join, _, Group}) ->
    case is_process_alive(P) of
        true -> pg:join({S#s.k, Group}, P);
        false -> noproc
    end;
do(S, P, {leave, _, Group}) ->
    case is_process_alive(P) of
        true -> pg:leave({S#s.k, Group}, P);
        false -> noproc
    end;
do(S, P, {call, _, Program, Timeout}) ->
    blocked(S, fun() -> call(S, P, Program, Timeout) end).

%% While a process waits it is not told to do anything else.
blocked(S, Fun) ->
    Blocked = {blocked, name_of(S#s.t, self())},
    ets:insert(S#s.t, {Blocked}),
    Got = Fun(),
    ets:delete(S#s.t, Blocked),
    Got.

collected() ->
    case get(collected) of
        undefined -> gen_server:reqids_new();
        Ids -> Ids
    end.

responded(_, {reply, Value}) -> {reply, Value};
responded(_, timeout) -> {exit, timeout};
responded(S, {error, {R, _}}) -> {exit, reason(S#s.t, R)}.

%% Whether any was left: how much is a matter of milliseconds.
timer_left(S, Label, Fun) ->
    case ets:lookup(S#s.t, {label, Label, self()}) of
        [] -> skip;
        [{_, Ref}] -> is_integer(Fun(Ref))
    end.

spawn_as(S, Name, plain, Body) -> start_plain(S, Name, Body, fun erlang:spawn/1), ok;
spawn_as(S, Name, link, Body) -> start_plain(S, Name, Body, fun erlang:spawn_link/1), ok;
spawn_as(S, Name, {monitor, Label}, Body) ->
    {_, Ref} = start_plain(S, Name, Body, fun erlang:spawn_monitor/1),
    note_ref(S, Ref, Label),
    ok.

watch_one(S, Object, Label) ->
    note_ref(S, monitor(process, Object), Label),
    ok.

note_ref(#s{t = T}, Ref, Label) ->
    ets:insert(T, [{{ref, Ref}, Label}, {{label, Label, self()}, Ref}]).

%% The clauses that a receive has: any tag or up to two of them, an exit, a down.
recv(S, {Any, K1, K2}, Exit, Down, Timeout) ->
    X = pid(S, Exit),
    D = case ets:lookup(S#s.t, {label, Down, self()}) of [{_, R}] -> R; [] -> none end,
    receive
        {tag, K} = M when Any; K =:= K1; K =:= K2 -> message(S#s.t, M);
        {'EXIT', P, _} = M when Exit =:= any; P =:= X -> message(S#s.t, M);
        {'DOWN', Ref, process, _, _} = M when Ref =:= D -> message(S#s.t, M)
    after Timeout -> timeout
    end.

drain(S) ->
    receive
        M when element(1, M) =/= ctl -> [message(S#s.t, M) | drain(S)]
    after 0 -> []
    end.

canonical(Seen) ->
    {[M || M = {tag, _} <- Seen], lists:sort([M || M <- Seen, element(1, M) =/= tag])}.

%% --- supervisors and their children

incarnation(#s{t = T}, Id) ->
    N = ets:update_counter(T, {count, Id}, 1, {{count, Id}, 0}),
    {N, list_to_atom(atom_to_list(Id) ++ "#" ++ integer_to_list(N))}.

born(S = #s{t = T}, Id) ->
    {N, Name} = incarnation(S, Id),
    watch(S, Name),
    ets:insert(T, {{name, Id}, self()}),
    {N, Name}.

start_child(S, Id, What) when element(1, What) =:= sup ->
    supervisor:start_link(?MODULE, {S, Id, What});
start_child(S, Id, What) when element(1, What) =:= dynamic ->
    supervisor:start_link(?MODULE, {S, Id, What});
start_child(S, Id, What) when element(1, What) =:= windowed ->
    supervisor:start_link(?MODULE, {S, Id, What});
start_child(S, Id, {named, Name, Plan, Trap, Term}) ->
    What = {worker, Plan, Trap, Term},
    gen_server:start_link({local, real(S, Name)}, ?MODULE, {child, S, Id, What}, []);
start_child(S, Id, What) ->
    gen_server:start_link(?MODULE, {child, S, Id, What}, []).

start_dynamic(S, Trap, Term, Id, Plan) -> start_child(S, Id, {worker, Plan, Trap, Term}).

spec(S, {Id, default, default, false, What}) ->
    #{id => Id, start => {?MODULE, start_child, [S, Id, What]}};
spec(S, {Id, Restart, Shutdown, Significant, What}) ->
    #{id => Id,
      start => {?MODULE, start_child, [S, Id, What]},
      restart => Restart,
      shutdown => grace(S, Shutdown),
      significant => Significant,
      type => case element(1, What) of
                  worker -> worker;
                  named -> worker;
                  _ -> supervisor
              end}.

grace(_, brutal_kill) -> brutal_kill;
grace(S, Tenths) -> ms(S, Tenths).

request(_, none, _) -> skip;
request(S, Sup, Request) ->
    try answer(S, Request, ask(S, Sup, Request))
    catch exit:R -> {exit, reason(S#s.t, R)};
          error:R = {callback_failed, _, _} -> {exit, reason(S#s.t, R)}
    end.

ask(S, Sup, {start, Spec}) -> supervisor:start_child(Sup, spec(S, Spec));
ask(_, Sup, {start_dynamic, Id, Plan}) -> supervisor:start_child(Sup, [Id, Plan]);
ask(_, Sup, {terminate, Id}) -> supervisor:terminate_child(Sup, Id);
ask(S, Sup, {terminate_pid, Id}) ->
    case pid(S, Id) of
        none -> skip;
        Pid ->
            % OTP says ok for whatever pid is dead, ours that it has no such child.
            Alive = is_process_alive(Pid),
            case supervisor:terminate_child(Sup, Pid) of
                ok when not Alive -> {error, not_found};
                Answer -> Answer
            end
    end;
ask(_, Sup, {restart, Id}) -> supervisor:restart_child(Sup, Id);
ask(_, Sup, {delete, Id}) -> supervisor:delete_child(Sup, Id);
ask(_, Sup, which) -> supervisor:which_children(Sup);
ask(_, Sup, count) -> supervisor:count_children(Sup);
ask(_, Sup, {spec, Id}) -> supervisor:get_childspec(Sup, Id);
ask(_, Sup, suspend) -> sys:suspend(Sup, infinity);
ask(_, Sup, resume) -> sys:resume(Sup, infinity);
ask(S, Sup, {change, Id, What}) ->
    ets:insert(S#s.t, {{change, Id}, What}),
    ok = sys:suspend(Sup, infinity),
    Changed = sys:change_code(Sup, ?MODULE, none, [], infinity),
    ok = sys:resume(Sup, infinity),
    case Changed of ok -> ok; {error, _} -> {error, bad_spec} end;
ask(_, Sup, {statistics, get}) -> counted(sys:statistics(Sup, get, infinity));
ask(_, Sup, {statistics, start}) -> sys:statistics(Sup, true, infinity);
ask(_, Sup, {statistics, stop}) -> sys:statistics(Sup, false, infinity);
ask(_, Sup, get_state) -> data_of(sys:get_state(Sup, infinity));
ask(_, Sup, {replace, State, Data}) ->
    data_of(sys:replace_state(Sup, fun(Old) -> replaced(Old, State, Data) end, infinity));
ask(S, Sup, {stop, R}) -> stop(S, Sup, R, infinity).

%% Ended with that very reason, but by somebody else's order: not ok in OTP, ok in ours.
stop(_, none, _, _) -> skip;
stop(S, Pid, R, Timeout) ->
    try gen_server:stop(Pid, R, Timeout)
    catch exit:{R, {sys, terminate, _}} -> ok;
          exit:E -> {exit, reason(S#s.t, E)}
    end.

counted({ok, no_statistics}) -> {counted, none};
counted({ok, L}) ->
    {counted, proplists:get_value(messages_in, L), proplists:get_value(messages_out, L)}.

%% What there is to see of the state of a server or of a state machine.
data_of({State, M}) -> {State, element(2, M)};
data_of(St) -> St#st.data.

replaced({_, M}, State, Data) -> {State, setelement(2, M, Data)};
replaced(_, raise, _) -> error(on_purpose);
replaced(St, _, Data) -> St#st{data = Data}.

answer(_, get_state, State) -> State;
answer(_, {replace, _, _}, State) -> State;
answer(#s{t = T}, which, List) ->
    [{case Id of undefined -> none; _ -> Id end, child_pid(T, P), Type}
     || {Id, P, Type, _} <- List];
answer(_, count, L) ->
    {proplists:get_value(specs, L), proplists:get_value(active, L),
     proplists:get_value(supervisors, L), proplists:get_value(workers, L)};
answer(S, {spec, _}, {ok, #{id := Id, restart := R, shutdown := Sh, significant := Sig}}) ->
    {ok, Id, R, ungrace(S, Sh), Sig};
answer(#s{t = T}, _, {ok, P}) -> {ok, child_pid(T, P)};
answer(_, {change, _, _}, Answer) -> Answer;
answer(#s{t = T}, _, {error, R}) -> {error, reason(T, R)};
answer(_, _, Other) -> Other.

ungrace(_, 5000) -> default;
ungrace(#s{unit = U}, N) when is_integer(N) -> N * 10 div U;
ungrace(_, Other) -> Other.

child_pid(T, P) when is_pid(P) -> name_of(T, P);
child_pid(_, Other) -> Other.

%% --- gen_server and supervisor callbacks

init({S, Id, What = {sup, _, _, _, _}}) ->
    case ets:take(S#s.t, {change, Id}) of
        [{_, Changed}] -> flags(S, Changed);
        [] ->
            {_, Name} = born(S, Id),
            ev(S, {init, Name, sup}),
            flags(S, What)
    end;
init({S, Id, {windowed, Strategy, Intensity, Children}}) ->
    {_, Name} = born(S, Id),
    ev(S, {init, Name, sup}),
    {ok, {#{strategy => Strategy, intensity => Intensity, period => 1},
          [spec(S, C) || C <- Children]}};
init({S, Id, {dynamic, Intensity, Restart, Shutdown, Trap, Term}}) ->
    {_, Name} = born(S, Id),
    ev(S, {init, Name, sup}),
    {ok, {#{strategy => simple_one_for_one, intensity => Intensity, period => 3600},
          [#{id => template,
             start => {?MODULE, start_dynamic, [S, Trap, Term]},
             restart => Restart, shutdown => grace(S, Shutdown)}]}};
init({child, S, Id, {worker, Plan, Trap, Term}}) ->
    {N, Name} = born(S, Id),
    process_flag(trap_exit, Trap),
    Outcome = lists:nth(min(N, length(Plan)), Plan),
    ev(S, {init, Name, Outcome}),
    case Outcome of
        ok -> {ok, #st{s = S, n = Name, term = Term}};
        ignore -> ignore;
        {stop, R} -> {stop, R};
        R -> die(R)
    end;
init({server, S, Name, Trap, Init, Term}) ->
    watch(S, Name),
    process_flag(trap_exit, Trap),
    ev(S, {init, Name, element(1, Init)}),
    St = #st{s = S, n = Name, term = Term},
    case Init of
        {ok, Then} -> with({ok, St}, S, Then);
        {ignore} -> ignore;
        {stop, R} -> {stop, R};
        {bad} -> nonsense;
        {die, R} -> die(R)
    end.

flags(S, {sup, Strategy, Intensity, Auto, Children}) ->
    {ok, {#{strategy => Strategy, intensity => Intensity, period => 3600,
            auto_shutdown => Auto},
          [spec(S, C) || C <- Children]}}.

handle_call(Program, From, St) -> run(call, Program, From, St).
handle_cast(Program, St) -> run(cast, Program, none, St).

handle_info({do, Command}, St) ->
    case Command of
        {stop, R} -> {stop, R, St};
        R -> die(R)
    end;
handle_info({info, Program}, St) -> run(info, Program, none, St);
handle_info({answer, From}, St = #st{n = N}) ->
    gen_server:reply(From, N),
    {noreply, St};
handle_info(timeout, St = #st{s = S, n = N}) ->
    ev(S, {cb, N, timeout, 0}),
    {noreply, St};
handle_info(Other, St = #st{s = S, n = N}) ->
    ev(S, {cb, N, message, message(S#s.t, Other)}),
    {noreply, St}.

handle_continue(Program, St) -> run(continue, Program, none, St).

terminate(R, #st{s = S, n = N, term = Term}) ->
    ev(S, {term, N, reason(S#s.t, R)}),
    case Term of
        ok -> ok;
        hang -> receive never -> ok end;
        crash -> error(ouch)
    end.

%% A program: its number, what it does, and what the callback then returns.
run(Kind, {Id, Effects, Result}, From, St0 = #st{s = S, n = N}) ->
    ev(S, {cb, N, Kind, Id}),
    St = lists:foldl(fun(E, Acc) -> effect(E, From, Acc) end, St0, Effects),
    case Result of
        {reply, V, Then} when Kind =:= call -> with({reply, V, St}, S, Then);
        {reply, _, Then} -> with({noreply, St}, S, Then);
        {noreply, Then} -> with({noreply, St}, S, Then);
        {stop, R, V} when Kind =:= call -> {stop, R, V, St};
        {stop, R, _} -> {stop, R, St};
        {stop, R} -> {stop, R, St};
        bad -> nonsense;
        {die, R} -> die(R)
    end.

with(Result, _, none) -> Result;
with(Result, S, {timeout, Tenths}) -> erlang:append_element(Result, ms(S, Tenths));
with(Result, _, {continue, P}) -> erlang:append_element(Result, {continue, P}).

effect({set, V}, _, St) -> St#st{data = V};
effect(stash, none, St) -> St;
effect(stash, From, St) -> St#st{from = St#st.from ++ [From]};
effect({reply_now, _}, none, St) -> St;
effect({reply_now, V}, From, St) -> gen_server:reply(From, V), St;
effect({reply_stashed, _}, _, St = #st{from = []}) -> St;
effect({reply_stashed, V}, _, St = #st{from = [F | Rest]}) ->
    gen_server:reply(F, V),
    St#st{from = Rest};
effect({hand_over, Server}, From, St = #st{s = S}) when From =/= none ->
    tell(pid(S, Server), {answer, From}),
    St;
effect({sleep, Tenths}, _, St = #st{s = S}) -> timer:sleep(ms(S, Tenths)), St;
effect({call, Server, Program, Timeout}, _, St = #st{s = S, n = N}) ->
    case pid(S, Server) of
        none -> ok;
        Pid -> ev(S, {nested, N, call(S, Pid, Program, Timeout)})
    end,
    St;
effect(_, _, St) -> St.

call(_, none, _, _) -> skip;
call(S, Pid, Program, Timeout) ->
    try {reply, gen_server:call(Pid, Program, ms(S, Timeout))}
    catch exit:R -> {exit, reason(S#s.t, R)}
    end.
