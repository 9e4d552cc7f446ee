-- Moves a family past the shown generation, or with `in_place` lets the current one stay: the table of `family.rs`, in one step.
local sid, salt, shown, grace, idle, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local ending, stays = ARGV[7], ARGV[8] == 'in_place'
local key = base .. 's:' .. sid
if late() then return answer('late') end
local field = redis.call('HMGET', key, 'd', 'g', 't', 'x', 'q', 'u', 'n')

if not field[1] then
  local whose = remembered(ending)
  if whose then return answer('reused', whose) end
  -- Whatever ends a session takes its name out of the index too; only age leaves it there. Told once.
  if redis.call('ZREM', KEYS[1], sid) == 1 then return answer('expired') end
  return answer('unknown')
end
-- Both sides are digests of what the caller sent, behind a MAC that was verified before: comparing them needs no constant time.
if field[1] ~= salt then return answer('unknown') end
if not is_today(field[7]) then
  drop(sid)
  return answer('unknown')
end
local current, since, ends = tonumber(field[2]), now - tonumber(field[3]), tonumber(field[4])
local calls = field[5] or ''

if string.find(calls, attempt, 1, true) then
  -- This very call, sent again after its answer was lost: it gets what that answer said, whatever the grace, and though another
  -- client may have moved the family on meanwhile. Our own retry is never a replay (SEC-R4).
  local then_given = view(sid, epoch(ends))
  then_given[10] = tostring(stays and shown or shown + 1)
  return answer(stays and 'kept' or 'rotated', then_given)
end
-- The last four calls that were given a successor: more do not fit into the second in which one may be sent again.
calls = string.sub(attempt .. ' ' .. calls, 1, 4 * (#attempt + 1))

local status
if shown == current then
  status = stays and 'kept' or 'rotated'
elseif shown == current + 1 then
  status = 'caught_up'
elseif shown > current then
  return answer('lost')
elseif shown == current - 1 and math.max(since, 0) < grace then
  redis.call('HSET', key, 'q', calls)
  return answer('repeated', view(sid, epoch(ends)))
else
  drop(sid)
  tell('s', sid)
  remember(ending, field[6])
  return answer('reused', field[6])
end
redis.call('HSET', key, 'i', idle, 'q', calls)
if status ~= 'kept' then redis.call('HSET', key, 'g', stays and shown or shown + 1, 't', now) end
redis.call('PEXPIREAT', key, math.min(now + idle, ends))
return answer(status, view(sid, epoch(ends)))
