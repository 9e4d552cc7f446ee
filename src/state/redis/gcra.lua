-- Counts attempts (see `state/counters.rs`): the key holds when its quota is full again, in the store's microseconds. Lua's
-- numbers are exact up to 2^53, which is the year 2255. `spend` is 1 to spend one, 0 to look only.
local burst, each, spend = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local whole = each * burst
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
-- Further ahead than a whole quota takes: of a clock that went back, or of a larger quota before.
local owed = math.min(math.max(full_at - now, 0), whole)
local allowed = whole - owed >= each
if allowed and spend then
  owed = owed + each
  redis.call('SET', KEYS[1], string.format('%.0f', now + owed), 'PX', math.ceil(owed / 1000) + 1)
end
return { allowed and 1 or 0, string.format('%.0f', owed) }
