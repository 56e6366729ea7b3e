#!/usr/bin/env escript
%% The rows of bench_supervision in Erlang/OTP.
%%
%%     escript in_erlang.escript PART [row ...]
%%
%% does a part of the work and prints a line of JSON per row, in the unit of that row.
-module(in_erlang).
-mode(compile).
-export([main/1, init/1, handle_call/3, handle_cast/2, start_server/0, start_server/1]).

main([Part | Wanted]) ->
    P = list_to_integer(Part),
    %% What is reported of a crash is part of what is measured, but not its output.
    logger:set_primary_config(level, none),
    Rows = [
        {"one-way message", fun() -> micro(fun messages/1, 50000 div P) end},
        {"cast to a server", fun() -> micro(fun casts/1, 50000 div P) end},
        {"call with time-out", fun() -> micro(fun calls/1, 20000 div P) end},
        {"spawn, exit, down", fun() -> micro(fun one_by_one/1, 10000 div P) end},
        {"spawn, exit, down in batches of 1,000",
            fun() -> micro(fun in_batches/1, 20000 div P) end},
        {"crash to restarted child", fun() -> restarts(2000 div P, 0, 5) end},
        {"the same after 10,000 restarts", fun() -> restarts(500, 10000 div P, 3) end},
        {"memory of an idle server", fun() -> memory(20000) end}
    ],
    [print(Name, Row()) || {Name, Row} <- Rows, wanted(Name, Wanted)],
    Count = 100000 div P,
    Children = grouped(Count) ++ " children: ",
    case wanted(Children, Wanted) of
        true ->
            {Flight, Stop} = many(Count, 100),
            {One, _} = many(Count, 1),
            print(Children ++ "start, 100 in flight", Flight),
            print(Children ++ "orderly stop", Stop),
            print(Children ++ "start, one caller after the other", One);
        false ->
            ok
    end,
    halt(0).

wanted(_, []) -> true;
wanted(Name, Wanted) -> lists:any(fun(W) -> string:find(Name, W) =/= nomatch end, Wanted).

print(Name, Value) ->
    io:format("{\"name\": \"~s\", \"value\": ~p}~n", [Name, Value * 1.0]).

grouped(N) when N < 1000 -> integer_to_list(N);
grouped(N) -> io_lib:format("~b,~3..0b", [N div 1000, N rem 1000]).

%% The best of some rounds, each in a process of its own; microseconds per operation.
micro(Fun, Count) ->
    lists:min([alone(fun() -> Fun(Count) end) || _ <- lists:seq(1, 7)]) / Count.

alone(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({took, Fun()}) end),
    receive {'DOWN', Ref, process, Pid, {took, Result}} -> Result end.

%% Microseconds since Begin.
since(Begin) ->
    erlang:convert_time_unit(erlang:monotonic_time() - Begin, native, nanosecond) / 1000.

messages(Count) ->
    Self = self(),
    Begin = erlang:monotonic_time(),
    Pid = spawn_link(fun() -> take(Count), Self ! done end),
    [Pid ! N || N <- lists:seq(1, Count)],
    receive done -> since(Begin) end.

take(0) -> ok;
take(N) -> receive _ -> take(N - 1) end.

casts(Count) ->
    {ok, Pid} = start_server(),
    Begin = erlang:monotonic_time(),
    [gen_server:cast(Pid, N) || N <- lists:seq(1, Count)],
    gen_server:call(Pid, ask),
    since(Begin).

calls(Count) ->
    {ok, Pid} = start_server(),
    Begin = erlang:monotonic_time(),
    [gen_server:call(Pid, ask, 5000) || _ <- lists:seq(1, Count)],
    since(Begin).

one_by_one(Count) ->
    Begin = erlang:monotonic_time(),
    [begin spawn_monitor(fun nothing/0), down() end || _ <- lists:seq(1, Count)],
    since(Begin).

in_batches(Count) ->
    Begin = erlang:monotonic_time(),
    [
        begin
            [spawn_monitor(fun nothing/0) || _ <- lists:seq(1, 1000)],
            [down() || _ <- lists:seq(1, 1000)]
        end
     || _ <- lists:seq(1, Count div 1000)
    ],
    since(Begin).

nothing() -> ok.

down() -> receive {'DOWN', _, process, _, _} -> ok end.

%% --- servers and supervisors

start_server() -> gen_server:start_link(?MODULE, idle, []).
start_server(How) -> gen_server:start_link(?MODULE, How, []).

init({supervisor, Flags, Specs}) -> {ok, {Flags, Specs}};
init({tells, Pid}) -> Pid ! {ready, self()}, {ok, 1};
init(idle) -> {ok, 1}.

handle_call(ask, _, State) -> {reply, 1, State}.

handle_cast(crash, _) -> error(on_purpose);
handle_cast(_, State) -> {noreply, State}.

restarts(Count, Before, Rounds) ->
    Took = [alone(fun() -> restarts(Count, Before) end) || _ <- lists:seq(1, Rounds)],
    lists:min(Took) / Count.

restarts(Count, Before) ->
    process_flag(trap_exit, true),
    Flags = #{strategy => one_for_one, intensity => 1000000000, period => 5},
    Spec = #{id => f, start => {gen_server, start_link, [?MODULE, {tells, self()}, []]}},
    {ok, Sup} = supervisor:start_link(?MODULE, {supervisor, Flags, [Spec]}),
    crash(Before),
    Begin = erlang:monotonic_time(),
    crash(Count),
    Took = since(Begin),
    exit(Sup, shutdown),
    receive {'EXIT', Sup, _} -> Took end.

crash(0) -> ok;
crash(N) ->
    receive {ready, Pid} -> gen_server:cast(Pid, crash) end,
    crash(N - 1).

supervisor_of_servers() ->
    Flags = #{strategy => simple_one_for_one},
    Spec = #{id => s, start => {?MODULE, start_server, []}},
    {ok, Sup} = supervisor:start_link(?MODULE, {supervisor, Flags, [Spec]}),
    Sup.

%% KiB of all that grows with a server, its supervisor's knowledge of it included.
memory(Count) ->
    alone(fun() ->
        Sup = supervisor_of_servers(),
        Before = total(),
        [supervisor:start_child(Sup, []) || _ <- lists:seq(1, Count)],
        erlang:garbage_collect(Sup),
        (total() - Before) / Count / 1024
    end).

total() ->
    erlang:garbage_collect(),
    erlang:memory(total).

%% Seconds to start and to stop.
many(Count, InFlight) ->
    alone(fun() ->
        process_flag(trap_exit, true),
        Sup = supervisor_of_servers(),
        Each = Count div InFlight,
        Begin = erlang:monotonic_time(),
        Starters = [
            spawn_link(fun() ->
                [supervisor:start_child(Sup, []) || _ <- lists:seq(1, Each)]
            end)
         || _ <- lists:seq(1, InFlight)
        ],
        [receive {'EXIT', Pid, _} -> ok end || Pid <- Starters],
        Started = since(Begin),
        Stop = erlang:monotonic_time(),
        exit(Sup, shutdown),
        receive {'EXIT', Sup, _} -> ok end,
        {Started / 1.0e6, since(Stop) / 1.0e6}
    end).
