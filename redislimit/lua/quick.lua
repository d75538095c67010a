-- quick takes the tokens where that is simple, which it is nearly always: the quotas
-- are open and not guarded, there is room, no process waits, and neither key is new. That costs a third of
-- what follows, which does all the rest. Tokens whose holders are silent count here until
-- they are cleared away, so there may be more left than it says. KEYS and ARGV are those
-- of the script.
local function quick()
  if clock[2] % 64 == 0 then
    return -- it is time to clear away what is out of date
  end
  local call = redis.call
  local replies, first = {}, {2, ARGV[1] + 2, #ARGV + 1} -- where the arguments of a quota begin
  for i = 1, #KEYS / 3 do
    local a, log = first[i], KEYS[3 * i - 1]
    local limit, window, slack, late = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3]
    local witness = ARGV[a + 4]
    if ARGV[a + 8] ~= '' then
      return -- the quota is to be closed
    end
    local fields = call('HMGET', KEYS[3 * i - 2], 'closed', 'guarded', 'born', 'window', 'named', 'kept', 'waiting')
    if fields[2] or fields[7] or not fields[3] or tonumber(fields[1] or 0) > now or tonumber(fields[4] or 0) ~= window or
      fields[5] + window <= now or tonumber(fields[6] or 0) < now + life(window, slack, late) then
      return
    end
    local out = call('ZCOUNT', log, '(' .. text(now - window - slack), '+inf')
    local unknown = (first[i + 1] - a - 13) / 2 -- tokens that Redis may be told of for the first time
    if out == 0 or limit - out - unknown <= ARGV[a + 6] + ARGV[a + 7] or
      witness ~= '' and not call('ZSCORE', log, witness) then
      return
    end
    replies[2 * i - 1], replies[2 * i] = 1, limit - out
  end

  for i = 1, #KEYS / 3 do
    local a, log = first[i], KEYS[3 * i - 1]
    local told, free = {'ZADD', log, text(far + now + ARGV[a + 3]), ARGV[a + 5]}, {'ZREM', log}
    for n = a + 13, first[i + 1] - 1, 2 do
      local token, moment = ARGV[n], ARGV[n + 1]
      if moment == '' then
        free[#free + 1] = token
      else
        told[#told + 1] = text(string.sub(moment, 1, 1) == 'f' and far + now + string.sub(moment, 2) or now + moment)
        told[#told + 1] = token
      end
    end
    replies[2 * i] = replies[2 * i] - call(unpack(told))
    if #free > 2 then
      replies[2 * i] = replies[2 * i] + call(unpack(free))
    end
  end
  return replies
end

local granted = quick()
if granted then
  return granted
end

