-- settle notes the state of tokens; ARGV[7] and on as the function takes them. With
-- ARGV[6] it closes the quota for so long, unless that is empty.
--
-- Returns {-1} where Redis has lost its memory, or {0}.

load()
local forgotten = lost()
settle(7)
if ARGV[6] ~= '' then
  close(tonumber(ARGV[6]))
end
keep()
return {forgotten and -1 or 0}
