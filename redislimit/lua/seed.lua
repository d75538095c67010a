-- seed remembers requests that others made, at the moments in ARGV[5] and on, in
-- ascending order. They are the server's times, the same for everybody who saw
-- them, so that a request that several clients tell of is counted once.

load()
expire()
if not born then
  born = now
  redis.call('HSET', state, 'born', text(born))
end

local last, nth, added = nil, 0, false
for i = 5, #ARGV do
  local at = tonumber(ARGV[i])
  if at >= born then
    break -- those took their tokens here
  end
  nth = at == last and nth + 1 or 1
  last = at
  if at + 2 * window + slack > now and redis.call('ZCOUNT', log, text(at), text(at)) < nth then
    redis.call('ZADD', log, text(at), 'seed:' .. text(at) .. ':' .. nth)
    added = true
  end
end
if added then
  keep(log)
end
keep_state()
return {}
