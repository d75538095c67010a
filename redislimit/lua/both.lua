-- both takes a token of each of two quotas, of the second only where it has one of the
-- first. Above, run is the script that takes one, as a function of its keys and arguments.
--
-- KEYS are three of each quota; ARGV[1] is how many arguments the first has, which
-- follow, and then those of the second.
--
-- Returns the replies of the two, one after the other; zeros for one that was not run.

local split = tonumber(ARGV[1]) + 1
local function from(list, first, last)
  local part = {}
  for i = first, last do
    part[#part + 1] = list[i]
  end
  return part
end

local first, second = run(from(KEYS, 1, 3), from(ARGV, 2, split)), {0, 0}
if first[1] == 1 then
  second = run(from(KEYS, 4, 6), from(ARGV, split + 1, #ARGV))
end
return {first[1], first[2], second[1], second[2]}
