-- grant gives a token, if more than so many are free.
--
-- ARGV[6] the token's name; ARGV[7] how many are reserved for others; ARGV[8] how
-- many wait ahead in the same process; ARGV[9] how long to close the quota before, or
-- empty; ARGV[10] the waiter's name, or empty; ARGV[11] how long it waits already;
-- ARGV[12] how much longer it would; ARGV[13] whom it has let go first, or empty; then
-- what settle takes: news that Redis has not been told yet.
--
-- Returns {1, tokens left}, {0, how long to wait, how many are ahead}, {2, how long to let
-- others go first, whom}, or {-1, 0} where Redis has lost its memory: then nothing is taken.

local token, waiter, patience = ARGV[6], ARGV[10], tonumber(ARGV[12])
local reserve, ahead = tonumber(ARGV[7]), tonumber(ARGV[8])

-- How long waiters of other processes, who came before, have to take a free token. Those
-- who do not are dead, or gone, or know of no free token, and are passed over.
local courtesy = 100000

-- How long after the next token a waiter asks again for each of those who are ahead of
-- it. They may be gone.
local doubt = 1000000

load()
local forgotten = lost() -- before the news, which may tell of the witness
settle(14)
if ARGV[9] ~= '' then
  close(tonumber(ARGV[9]))
end
if forgotten then
  keep()
  return {-1, 0}
end
expire()

-- Its place in the line of all processes: those with a smaller reserve come first, then
-- those who came first, in milliseconds.
local score = text(math.min(reserve, 2000) * far / 1000 + math.floor((now - ARGV[11]) / 1000))
local place = 0
if waiting then
  place = redis.call('ZRANK', line, waiter) or redis.call('ZCOUNT', line, '-inf', '(' .. score)
end

local rest, code = wait(reserve, ahead), 0
local turn = rest
if rest >= 0 and place > ahead then
  turn = wait(reserve, place)
end
local front = 0
if rest == 0 and turn ~= 0 and patience >= courtesy then
  front = tonumber(redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2])
  if text(front) ~= ARGV[13] then
    rest, code = courtesy, 2
  end
end
if rest ~= 0 then
  -- A client whose connection broke sends the script again: it may have run.
  if redis.call('ZSCORE', log, token) then
    keep()
    return {1, left()}
  end
  if waiter ~= '' and rest > 0 and rest <= patience then
    redis.call('ZADD', line, 'NX', score, waiter)
    redis.call('PEXPIRE', line, text(math.ceil((life(longest, slack, late) + patience) / 1000)))
    if not waiting then
      redis.call('HSET', state, 'waiting', '1')
      new_state = true
    end
    if code == 0 then
      rest = math.min(math.max(rest, turn), rest + place * doubt)
    end
  end
  keep()
  return {code, rest, code == 2 and front or place}
end

if waiting then
  if turn ~= 0 then -- those who were to take the free tokens are passed over
    redis.call('ZREMRANGEBYRANK', line, 0, math.min(place, left()) - 1)
  end
  redis.call('ZREM', line, waiter)
  if redis.call('EXISTS', line) == 0 then
    redis.call('HDEL', state, 'waiting')
  end
end

-- Until it is settled, the token stands as a request that is never answered: if
-- its holder dies, it comes back by itself.
new_log = new_log or inflight + out == 0
inflight = inflight + redis.call('ZADD', log, text(far + now + late), token)
begin()
keep()
return {1, left()}
