-- grant gives a token, if more than so many are free.
--
-- ARGV[6] the token's name; ARGV[7] how many are reserved for others; ARGV[8] how
-- many wait ahead; ARGV[9] how long to close the quota before, or empty; then what
-- settle takes: news that Redis has not been told yet.
--
-- Returns {1, tokens left}, {0, how long to wait}, or {-1, 0} where Redis has lost its
-- memory: then nothing is taken.

local token = ARGV[6]

load()
local forgotten = lost() -- before the news, which may tell of the witness
settle(10)
if ARGV[9] ~= '' then
  close(tonumber(ARGV[9]))
end
if forgotten then
  keep()
  return {-1, 0}
end
expire()

local rest = wait(tonumber(ARGV[7]), tonumber(ARGV[8]))
if rest ~= 0 then
  keep()
  -- A client whose connection broke sends the script again: it may have run.
  if redis.call('ZSCORE', log, token) then
    return {1, left()}
  end
  return {0, rest}
end

-- Until it is settled, the token stands as a request that is never answered: if
-- its holder dies, it comes back by itself.
new_log = new_log or inflight + out == 0
inflight = inflight + redis.call('ZADD', log, text(far + now + late), token)
begin()
keep()
return {1, left()}
