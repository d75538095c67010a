-- take takes a token of one quota, or of each of two: of the second only where it has
-- one of the first. Above, grant is the script that takes one, as a function of its
-- keys and arguments.
--
-- KEYS are three of each quota; ARGV[1] is how many arguments the first has, which
-- follow, and then those of the second.
--
-- Returns the replies, one after the other, zeros for one that was not asked for, and
-- third number of the first.
local split = ARGV[1] + 1
local function from(list, first, last)
  local part = {}
  for i = first, last do
    part[#part + 1] = list[i]
  end
  return part
end

local first, second = grant(from(KEYS, 1, 3), from(ARGV, 2, split)), {0, 0}
if first[1] == 1 and #KEYS > 3 then
  second = grant(from(KEYS, 4, 6), from(ARGV, split + 1, #ARGV))
end
return {first[1], first[2], second[1], second[2], first[3] or 0}
