-- The memory of one quota. It keeps what internal/ledger keeps in Go, in two keys of
-- one slot, and in a third who waits:
--
--   state   a hash: closed (until when), guarded (when the server last refused a
--           request, while the guard is on), born (when the first token was taken),
--           window (the longest that a client names) and named (when), kept (until
--           when both keys live at least), and waiting (set while there is a line)
--   log     when each request may have been counted at the latest, by token; or, far
--           behind all those, when a token in flight counts as never answered
--   line    waiters of all processes, by reserve and arrival
--
-- The work of a script is bounded: news comes in batches, and what is out of date
-- is cleared away in batches too. Nothing counts the worse for lying there longer.

local state, log, line = KEYS[1], KEYS[2], KEYS[3]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local slack, late = tonumber(ARGV[3]), tonumber(ARGV[4])
local witness = ARGV[5]

-- How many silent tokens a script clears away at the most, and how many requests.
local batch, old_batch = 64, 256

local closed, guarded, born = 0, nil, nil

-- The longest window that a client names decides how long a request is remembered:
-- clients that are configured differently must not erase each other's memory. A
-- client that is gone has a say for three of its windows more.
local longest, named, kept = window, nil, 0

local waiting = false

local function load()
  local fields = redis.call('HMGET', state, 'closed', 'guarded', 'born', 'window', 'named', 'kept', 'waiting')
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
  kept = tonumber(fields[6] or 0)
  waiting = fields[7]
end

-- lost reports whether Redis has lost its memory: it does not know a token, the
-- witness, that the client was given and that still counts.
local function lost()
  return witness ~= '' and not redis.call('ZSCORE', log, witness)
end

-- Which of the keys may be new, so that no end of them is set.
local new_state, new_log = false, false

-- keep lets the keys live until nothing in them matters. Every script that writes
-- calls it last. They live longer than they must by a quarter, so that they need not
-- be told so each time.
local function keep()
  local life = life(longest, slack, late)
  local renew = new_state or kept < now + life
  if renew then
    kept = now + life + math.ceil(life / 4)
    redis.call('HSET', state, 'kept', text(kept))
    redis.call('PEXPIRE', state, text(math.ceil((math.max(kept, closed) - now) / 1000)))
  end
  if renew or new_log then
    redis.call('PEXPIRE', log, text(math.ceil((kept - now) / 1000)))
  end
end

-- begin notes the first token, and the window of the quota. Once in a window is
-- enough for the latter.
local function begin()
  if not born then
    born = now
    redis.call('HSET', state, 'born', text(born))
    new_state = true
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
  local told, free = {'ZADD', log}, {'ZREM', log}
  for i = from, #ARGV, 2 do
    local token, moment = ARGV[i], ARGV[i + 1]
    if moment == '' then
      free[#free + 1] = token
    else
      told[#told + 1] = text(string.sub(moment, 1, 1) == 'f' and far + now + string.sub(moment, 2) or now + moment)
      told[#told + 1] = token
    end
  end
  for _, command in ipairs({told, free}) do -- one batch may hold both for a token
    if #command > 2 then
      redis.call(unpack(command))
    end
  end
  new_log = #told > 2
end

-- close admits nothing for so long; no quota is opened early. A refusal where
-- there was room is the sign of a server that weighs its previous window: hence
-- the guard.
local function close(wait)
  closed = math.max(closed, now + wait)
  guarded = now
  redis.call('HSET', state, 'closed', text(closed), 'guarded', text(guarded))
  new_state = true
end

-- Requests may have been counted since then, as the quota's window goes.
local since = '(' .. text(now - window - slack)

-- How many tokens are out: in flight, silent (their holders are dead, or slower than
-- any request can be: they count as never answered, but still lie far behind), logged,
-- and the last two together. All that are silent may be more: those that have come
-- back.
local inflight, silent, logged, out, all_silent = 0, 0, 0, 0, 0

-- remembered is how many requests of two windows there are, beside those in flight.
local function remembered()
  return redis.call('ZCOUNT', log, '(' .. text(now - 2 * window - slack), text(far)) + all_silent
end

-- count writes nothing.
local function count()
  inflight = redis.call('ZCOUNT', log, '(' .. text(far + now), '+inf')
  all_silent = redis.call('ZCOUNT', log, text(far), text(far + now))
  if all_silent > 0 then
    silent = redis.call('ZCOUNT', log, '(' .. text(far + now - window - slack), text(far + now))
  end
  logged = redis.call('ZCOUNT', log, since, text(far))
  out = logged + silent
  -- The guard goes once no request was refused and fewer than the limit were made
  -- for two windows.
  if guarded and (window < shortest_guarded or
    guarded + 2 * window + slack <= now and remembered() + inflight < limit) then
    guarded = nil
  end
end

-- expire moves silent tokens to where they belong and clears away what is out of date,
-- a batch of each, and counts.
local function expire()
  local found = redis.call('ZRANGEBYSCORE', log, text(far), text(far + now), 'WITHSCORES', 'LIMIT', 0, batch)
  if #found > 0 then
    local moved = {'ZADD', log}
    for i = 1, #found, 2 do
      moved[#moved + 1] = text(found[i + 1] - far)
      moved[#moved + 1] = found[i]
    end
    redis.call(unpack(moved))
  end
  local old = redis.call('ZCOUNT', log, '-inf', text(now - memory(longest, slack)))
  if old > 0 then
    redis.call('ZREMRANGEBYRANK', log, 0, math.min(old, old_batch) - 1)
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
  for _, behind in ipairs({0, far}) do
    if behind == 0 or all_silent > 0 then
      local upto = text(behind == 0 and far or far + now)
      local found = redis.call('ZRANGEBYSCORE', log, '(' .. text(behind + moment), upto, 'WITHSCORES', 'LIMIT', 0, number or -1)
      for i = 2, #found, 2 do
        times[#times + 1] = found[i] - behind
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
    at = recent(now - window - slack, nth)[nth]
  else
    local rank = nth - 1 - logged - inflight - all_silent -- those are the last
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
  for _, t in ipairs(recent(now - 2 * window - slack)) do
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
  local pending = inflight + redis.call('ZCOUNT', log, '(' .. text(now), text(far))
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
