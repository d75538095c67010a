-- The memory of one quota; every other script begins with this one.
--
-- It keeps what internal/ledger keeps in Go, in three keys of one slot:
--
--   state   a hash: closed (until when), guarded, born (when the first token was taken)
--   log     when each request may have been counted at the latest, by token
--   flight  tokens that are out, by when they count as never answered
--
-- Only Redis tells the time, so the clocks of its clients do not matter. Times
-- are microseconds, which doubles hold exactly until the year 2255; they are
-- formatted by hand, since Lua's own conversion keeps 14 digits.

local state, log, flight = KEYS[1], KEYS[2], KEYS[3]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local slack, late = tonumber(ARGV[3]), tonumber(ARGV[4])

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

local closed, guarded, born = 0, false, nil

local function load()
  local fields = redis.call('HMGET', state, 'closed', 'guarded', 'born')
  closed = tonumber(fields[1] or 0)
  guarded = fields[2] == '1'
  born = fields[3] and tonumber(fields[3])
  if closed <= now then
    closed = 0
  end
end

-- The guard looks two windows back from where a silent holder's token ends. What
-- nobody touches for so long is of no use, and goes by itself.
local life = math.ceil((2 * window + slack + late) / 1000) + 1000

-- That a server weighs its windows is worth knowing longer than any request.
local week = 7 * 24 * 3600 * 1000

local function keep(key)
  redis.call('PEXPIRE', key, text(life))
end

local function keep_state()
  local rest = math.max(life, math.ceil((closed - now) / 1000))
  if guarded then
    rest = math.max(rest, week)
  end
  redis.call('PEXPIRE', state, text(rest))
end

-- settle ends the flight of tokens. ARGV holds, from there on, pairs of a token
-- and when it was counted, relative to now; empty where it never left. Doing it
-- twice is doing it once.
local function settle(from)
  local counted = false
  for i = from, #ARGV, 2 do
    local token, ago = ARGV[i], ARGV[i + 1]
    redis.call('ZREM', flight, token)
    if ago == '' then
      redis.call('ZREM', log, token) -- where it was given up for silent
    else
      redis.call('ZADD', log, text(now + ago), token)
      counted = true
    end
  end
  if counted then
    keep(log)
  end
end

-- close admits nothing for so long; no quota is opened early. A refusal where
-- there was room is the sign of a server that weighs its previous window: hence
-- the guard.
local function close(wait)
  closed = math.max(closed, now + wait)
  guarded = true
  redis.call('HSET', state, 'closed', text(closed), 'guarded', '1')
  keep_state()
end

local inflight, out = 0, 0

-- expire lets go of what lies far enough in the past, and counts the rest.
local function expire()
  -- Whoever took these is dead, or slower than any request can be: they count as
  -- requests that nobody answered.
  local silent = redis.call('ZRANGEBYSCORE', flight, '-inf', text(now), 'WITHSCORES')
  for i = 1, #silent, 2 do
    redis.call('ZADD', log, silent[i + 1], silent[i])
    redis.call('ZREM', flight, silent[i])
    keep(log)
  end
  redis.call('ZREMRANGEBYSCORE', log, '-inf', text(now - 2 * window - slack))
  inflight = redis.call('ZCARD', flight)
  out = redis.call('ZCOUNT', log, '(' .. text(now - window - slack), '+inf')
end

local function left()
  return math.max(0, limit - inflight - out)
end

-- returns is when the nth of the requests that still hold a token gives it back.
local function returns(nth)
  local rank = nth - 1 - out -- those are the last of the log
  local entry = redis.call('ZRANGE', log, rank, rank, 'WITHSCORES')
  return tonumber(entry[2]) + window + slack
end

local times -- the log, once somebody needs all of it

-- How much the guard waits beyond the moment at which the weighted count equals the
-- limit: it must be less, and servers may count whole seconds.
local guard_slack = 1000000

-- guard moves at to the first moment at which a server that weighs its previous
-- window would count fewer than room, wherever its windows begin. Such a
-- server, whose current window began at s, counts
--
--   previous(s) * (1 - (at - s) / window) + current(s)
--
-- which, for a fixed moment, grows with s, except where s passes a request or
-- passes it by a whole window: only those places need a look.
local function guard(at, room)
  if not times then
    times = {}
    local entries = redis.call('ZRANGE', log, 0, -1, 'WITHSCORES')
    for i = 2, #entries, 2 do
      times[#times + 1] = tonumber(entries[i])
    end
  end
  local n = #times
  if n + inflight < room then
    return at
  end

  local begins, safe = {}, {} -- windows that may be too full, and until when
  local function consider(s, previous, current)
    if previous + current < room then
      return
    end
    local free = s + window
    if current < room then
      local share = (room - current) / previous
      free = math.min(free, s + math.ceil((1 - share) * window) + guard_slack)
    end
    begins[#begins + 1] = s
    safe[#begins] = free
  end
  -- The first request not before t, not before t - window, not before t + window:
  -- they only ever move on.
  local first, before, after = 1, 1, 1
  for i = 1, n do
    local t = times[i]
    if t ~= times[first] then
      first = i
    end
    while times[before] < t - window do
      before = before + 1
    end
    while after <= n and times[after] < t + window do
      after = after + 1
    end
    if t > at - window then -- or that window is over
      consider(t, first - before, n - first + 1 + inflight)
    end
    if t > at - 2 * window then
      consider(t + window, after - first, n - after + 1 + inflight)
    end
  end

  while true do
    local later = at
    for i = 1, #begins do
      local s = begins[i]
      if s <= at and s > at - window and safe[i] > later then
        later = safe[i]
      end
    end
    if later == at then
      return at
    end
    at = later
  end
end

-- wait is how long until more than reserve tokens can be free, with so many ahead
-- in the line, or -1 for never. It is a lower bound where that depends on requests
-- in flight.
local function wait(reserve, ahead)
  if reserve >= limit then
    return -1
  end
  -- Whoever has that many ahead waits for one of theirs to come back.
  local round = math.floor(ahead / (limit - reserve))
  ahead = reserve + ahead % (limit - reserve)

  local at = math.max(now, closed)
  local missing = inflight + out + ahead + 1 - limit
  if missing > out then
    at = math.max(at, now + window + slack)
  elseif missing > 0 then
    at = math.max(at, returns(missing))
  end
  if guarded then
    at = guard(at, limit - ahead)
  end
  return at - now + round * (window + slack)
end
