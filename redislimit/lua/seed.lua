-- seed remembers requests that other clients made: ARGV[6] and on are pairs of a
-- moment and which of the requests at that very moment it is, from 1. The moments
-- are the server's times, the same for all that saw them, so that a request which
-- several clients tell of is counted once.
--
-- Returns {when Redis gave the first token}: later moments are left out, since
-- those requests took their tokens here.

load()
begin()
local added = {'ZADD', log}
for i = 6, #ARGV, 2 do
  local at, nth = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if at < born and at + memory(longest, slack) > now and redis.call('ZCOUNT', log, text(at), text(at)) < nth then
    added[#added + 1] = text(at)
    added[#added + 1] = 'seed:' .. text(at) .. ':' .. nth
  end
end
if #added > 2 then
  redis.call(unpack(added))
  new_log = true
end
keep()
return {born}
