-- take takes a token, if more than so many are free.
--
-- ARGV[5] the token's name; ARGV[6] how many are reserved for others; ARGV[7] how
-- many wait ahead; ARGV[8] how long to close the quota before, or empty; then what
-- settle takes: news that could not be told when they came.
--
-- Returns {1, tokens left}, or {0, how long to wait}.

local token = ARGV[5]

load()
settle(9)
if ARGV[8] ~= '' then
  close(tonumber(ARGV[8]))
end
expire()

local rest = wait(tonumber(ARGV[6]), tonumber(ARGV[7]))
if rest ~= 0 then
  -- A client whose connection broke sends the script again: it may have run.
  if redis.call('ZSCORE', flight, token) then
    return {1, left()}
  end
  return {0, rest}
end

-- Until it is settled, the token stands as a request that is never answered: if
-- its holder dies, it comes back by itself.
inflight = inflight + redis.call('ZADD', flight, text(now + late), token)
keep(flight)
if not born then
  redis.call('HSET', state, 'born', text(now))
end
keep_state()
return {1, left()}
