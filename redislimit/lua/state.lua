-- state tells what is left, with ARGV[6] waiting for it already. ARGV[7] tokens that are
-- in flight here have been given back. It writes nothing.
--
-- Returns {tokens that can be had now, until the next one, until it opens}, the
-- latter two 0 where there is nothing to wait for; the first is -1 where Redis has
-- lost its memory.

load()
if lost() then
  return {-1, 0, 0}
end
count()
inflight = math.max(0, inflight - ARGV[7])

-- Waiters have a claim on the first tokens.
local waiting = tonumber(ARGV[6])
local available = 0
if waiting == 0 then
  -- The wait grows with the tokens asked for: find the first that is not free.
  local free, taken = 0, left()
  while free < taken do
    local middle = math.floor((free + taken) / 2)
    if wait(middle, 0) == 0 then
      free = middle + 1
    else
      taken = middle
    end
  end
  available = free
end

local rest
if available == 0 then
  rest = wait(0, waiting)
elseif out > 0 then
  rest = math.max(closed - now, returns(1) - now)
elseif inflight > 0 then
  rest = math.max(closed - now, window + slack)
else
  rest = closed - now
end
return {available, math.max(0, rest), math.max(0, closed - now)}
