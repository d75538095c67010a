-- The memory of one quota; every other script begins with this one.
--
-- It keeps what internal/ledger keeps in Go, in three keys of one slot:
--
--   state   a hash: closed (until when), guarded (when the server last refused a
--           request, while the guard is on), born (when the first token was taken),
--           window (the longest that a client names) and named (when)
--   log     when each request may have been counted at the latest, by token
--   flight  tokens that are out, by when they count as never answered
--
-- Only Redis tells the time, so the clocks of its clients do not matter. Times
-- are microseconds, which doubles hold exactly until the year 2255; they are
-- formatted by hand, since Lua's own conversion keeps 14 digits.
--
-- The work of a script is bounded: news comes in batches, and what is out of date
-- is cleared away in batches too. Nothing counts the worse for lying there longer.

local state, log, flight = KEYS[1], KEYS[2], KEYS[3]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local slack, late = tonumber(ARGV[3]), tonumber(ARGV[4])
local witness = ARGV[5]

local batch = 64 -- how many entries a script clears away at the most

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

-- On windows shorter than this a refusal costs seconds, and the guard, which has to
-- look at every request of two of them, would cost more than it saves.
local shortest_guarded = 60 * 1000000

-- memory is how long a request matters to a client whose quota has such a window.
local function memory(length)
  if length >= shortest_guarded then
    length = 2 * length
  end
  return length + slack
end

local closed, guarded, born = 0, nil, nil

-- The longest window that a client names decides how long a request is remembered:
-- clients that are configured differently must not erase each other's memory. A
-- client that is gone has a say for three of its windows more.
local longest, named = window, nil

local function load()
  local fields = redis.call('HMGET', state, 'closed', 'guarded', 'born', 'window', 'named')
  closed = tonumber(fields[1] or 0)
  guarded = fields[2] and tonumber(fields[2])
  born = fields[3] and tonumber(fields[3])
  if closed <= now then
    closed = 0
  end
  local other = tonumber(fields[4] or 0)
  named = tonumber(fields[5] or 0)
  if other >= window and named + 3 * other > now then
    longest = other
  else
    named = nil
  end
end

-- lost reports whether Redis has lost its memory: it does not know a token, the
-- witness, that the client was given and that still counts.
local function lost()
  return witness ~= '' and not redis.call('ZSCORE', flight, witness) and not redis.call('ZSCORE', log, witness)
end

-- keep lets the keys live until nothing in them matters: a token taken now may
-- count late. Every script that writes calls it.
local function keep()
  local life = math.ceil((memory(longest) + late) / 1000) + 1000
  redis.call('PEXPIRE', log, text(life))
  redis.call('PEXPIRE', flight, text(life))
  redis.call('PEXPIRE', state, text(math.max(life, math.ceil((closed - now) / 1000))))
end

-- begin notes the first token, and the window of the quota. Once in a window is
-- enough for the latter.
local function begin()
  if not born then
    born = now
    redis.call('HSET', state, 'born', text(born))
  end
  if longest == window and (not named or named + window <= now) then
    named = now
    redis.call('HSET', state, 'window', text(window), 'named', text(named))
  end
end

-- settle notes the state of tokens. ARGV holds, from there on, pairs of a token and
-- one of: the moment it was counted, relative to now; the moment at which it counts
-- as never answered, after an f, for a token still in flight; nothing for a token
-- whose request never left. Doing it twice is doing it once.
local function settle(from)
  local out, counted = {'ZADD', flight}, {'ZADD', log}
  local settled, free = {'ZREM', flight}, {'ZREM', log}
  for i = from, #ARGV, 2 do
    local token, moment = ARGV[i], ARGV[i + 1]
    if string.sub(moment, 1, 1) == 'f' then
      out[#out + 1] = text(now + string.sub(moment, 2))
      out[#out + 1] = token
    else
      settled[#settled + 1] = token
      if moment == '' then
        free[#free + 1] = token -- it may have been given up for silent
      else
        counted[#counted + 1] = text(now + moment)
        counted[#counted + 1] = token
      end
    end
  end
  for _, command in ipairs({out, settled, free, counted}) do -- one batch may hold both for a token
    if #command > 2 then
      redis.call(unpack(command))
    end
  end
end

-- close admits nothing for so long; no quota is opened early. A refusal where
-- there was room is the sign of a server that weighs its previous window: hence
-- the guard.
local function close(wait)
  closed = math.max(closed, now + wait)
  guarded = now
  redis.call('HSET', state, 'closed', text(closed), 'guarded', text(guarded))
end

-- Requests may have been counted since then, as the quota's window goes.
local since = '(' .. text(now - window - slack)

-- How many tokens are out: in flight, silent (their holders are dead, or slower than
-- any request can be: they count as never answered, but still lie in flight), in
-- the log, and the last two together. All that are silent may be more: those that
-- have come back.
local inflight, silent, logged, out, all_silent = 0, 0, 0, 0, 0

-- remembered is how many requests of two windows there are, beside those in flight.
local function remembered()
  return redis.call('ZCOUNT', log, '(' .. text(now - 2 * window - slack), '+inf') + all_silent
end

-- count writes nothing.
local function count()
  inflight = redis.call('ZCOUNT', flight, '(' .. text(now), '+inf')
  silent = redis.call('ZCOUNT', flight, since, text(now))
  all_silent = redis.call('ZCARD', flight) - inflight
  logged = redis.call('ZCOUNT', log, since, '+inf')
  out = logged + silent
  -- The guard goes once no request was refused and fewer than the limit were made
  -- for two windows.
  if guarded and (window < shortest_guarded or
    guarded + 2 * window + slack <= now and remembered() + inflight < limit) then
    guarded = nil
  end
end

-- expire moves silent tokens into the log and clears away what is out of date, a
-- batch of each, and counts.
local function expire()
  local found = redis.call('ZRANGEBYSCORE', flight, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, batch)
  if #found > 0 then
    local moved, names = {'ZADD', log}, {'ZREM', flight}
    for i = 1, #found, 2 do
      moved[#moved + 1] = found[i + 1]
      moved[#moved + 1] = found[i]
      names[#names + 1] = found[i]
    end
    redis.call(unpack(moved))
    redis.call(unpack(names))
  end
  local old = redis.call('ZCOUNT', log, '-inf', text(now - memory(longest)))
  if old > 0 then
    redis.call('ZREMRANGEBYRANK', log, 0, math.min(old, batch) - 1)
  end
  local before = guarded
  count()
  if before and not guarded then
    redis.call('HDEL', state, 'guarded')
  end
end

local function left()
  return math.max(0, limit - inflight - out)
end

-- recent returns, in ascending order, when requests counted after a moment, at the
-- most so many of them; all of them without a number.
local function recent(moment, number)
  local times = {}
  for _, key in ipairs({log, flight}) do
    if key == log or all_silent > 0 then
      local upto = key == log and '+inf' or text(now)
      local found = redis.call('ZRANGEBYSCORE', key, moment, upto, 'WITHSCORES', 'LIMIT', 0, number or -1)
      for i = 2, #found, 2 do
        times[#times + 1] = tonumber(found[i])
      end
    end
  end
  if all_silent > 0 then
    table.sort(times)
  end
  return times
end

-- returns is when the nth of the requests that still hold a token gives it back.
local function returns(nth)
  local at
  if silent > 0 then
    at = recent(since, nth)[nth]
  else
    local rank = nth - 1 - logged -- those are the last of the log
    at = tonumber(redis.call('ZRANGE', log, rank, rank, 'WITHSCORES')[2])
  end
  return at + window + slack
end

-- How long the guard waits after the weighted count has come down to the limit:
-- servers may count whole seconds.
local guard_slack = 1000000

-- The guard divides a window into pieces. Requests of one piece share one moment,
-- that of the latest.
local piece = window / (limit > 512 and 128 or 512)

-- The groups of requests that share a piece: the moment of each, how many requests
-- are in groups before it, and how many are in all. Made once the guard is needed.
local moments, before, total

local function group()
  moments, before, total = {}, {}, 0
  local last
  for _, t in ipairs(recent('(' .. text(now - 2 * window - slack))) do
    if t > now then
      break -- still to be counted
    end
    local of = math.floor(t / piece)
    if of ~= last then
      moments[#moments + 1] = t
      before[#moments] = total
      last = of
    end
    moments[#moments] = t
    total = total + 1
  end
  before[#moments + 1] = total
end

-- guard moves at to the first moment at which a server that weighs its previous
-- window would count no more than room with one more request, wherever its windows
-- begin. Such a server, whose current window began at s, counts
--
--   previous(s) * (1 - (at - s) / window) + current(s) + 1
--
-- which, for a fixed moment, grows with s, except where s passes a request or
-- passes it by a whole window: only those places need a look, in ascending order.
local function guard(at, room)
  if remembered() + inflight < room then
    return at
  end
  if not moments then
    group()
  end
  -- Requests that are still to be counted will be so in the current window.
  local pending = inflight + redis.call('ZCOUNT', log, '(' .. text(now), '+inf')
  local n, current, previous = #moments, 1, 1
  while current <= n and moments[current] <= at - window do
    current = current + 1
  end
  while previous <= n and moments[previous] <= at - 2 * window do
    previous = previous + 1
  end
  while previous <= n do
    local s = moments[previous] + window
    if current <= n then
      s = math.min(s, moments[current])
    end
    if s > at then
      break
    end
    local left = room - 1 - pending - (total - before[current])
    local weighed = before[current] - before[previous]
    if weighed <= left then
      break -- both windows together are safe, and later ones hold no more
    end
    local wait = window
    if left > 0 then
      wait = math.min(window, math.ceil((weighed - left) / weighed * window) + guard_slack)
    end
    at = math.max(at, s + wait)
    if moments[current] == s then
      current = current + 1
    end
    if moments[previous] + window == s then
      previous = previous + 1
    end
  end
  return at
end

-- wait is how long until more than reserve tokens can be free, with so many ahead
-- in the line, or -1 for never. It is a lower bound where that depends on requests
-- in flight.
local function wait(reserve, ahead)
  if reserve >= limit then
    return -1
  end
  -- A waiter with that many ahead waits for one of theirs to come back.
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
