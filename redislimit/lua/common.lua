-- Every script begins with this.
--
-- Only Redis tells the time, so the clocks of its clients do not matter. Times
-- are microseconds, which doubles hold exactly; they are formatted by hand, since Lua's
-- own conversion keeps 14 digits.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

-- far is behind all moments until the year 2096, and not too far for a double to hold
-- their sum exactly.
local far = 4000000000000000

-- On windows shorter than this a refusal costs seconds, and the guard, which has to
-- look at every request of two of them, would cost more than it saves.
local shortest_guarded = 60 * 1000000

-- memory is how long a request matters to a client whose quota has such a window.
local function memory(window, slack)
  if window >= shortest_guarded then
    window = 2 * window
  end
  return window + slack
end

-- life is how long keys must live after a script: a token taken now may count late.
local function life(window, slack, late)
  return memory(window, slack) + late + 1000000
end

