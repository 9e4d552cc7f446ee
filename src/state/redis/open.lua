-- Opens a session. The limit is counted and kept in this one step, so it holds under any number of parallel calls (SEC-S5).
local sid, salt, subject, kind, roles, scope, amr, agent, ip = unpack(ARGV, 1, 9)
local idle, lifetime, most, policy = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13]
local key = base .. 's:' .. sid
if late() then return answer('late') end

-- A repeat of a call whose answer was lost: the session ids are random, so this one can only be our own.
local there = view(sid)
if there then
  local evicted = {}
  for other in string.gmatch(remembered(sid) or '', '%S+') do evicted[#evicted + 1] = other end
  return answer('open', there, evicted, {})
end

-- Members of the index whose session has died of age are dropped on the way. Without a limit only the oldest few are
-- looked at, so that a subject with very many sessions does not make each login slower.
local alive, expired = {}, {}
for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, most > 0 and -1 or 15)) do
  if lives(other) then
    alive[#alive + 1] = other
  elseif redis.call('EXISTS', base .. 's:' .. other) == 1 then
    -- Ended by the mark, which was told then.
    drop(other)
  else
    redis.call('ZREM', KEYS[1], other)
    expired[#expired + 1] = other
  end
end
local evicted = {}
if most > 0 and #alive >= most then
  if policy == 'refuse' then return answer('full') end
  for n = 1, #alive - most + 1 do
    drop(alive[n])
    tell('s', alive[n])
    evicted[n] = alive[n]
  end
  remember(sid, table.concat(evicted, ' '))
end

local ends = now + lifetime
redis.call('HSET', key, 'd', salt, 'u', subject, 'k', kind, 'r', roles, 'c', scope, 'm', amr, 'a', agent, 'p', ip,
  'g', 0, 'b', now, 't', now, 'i', idle, 'x', ends)
if mark > 0 then redis.call('HSET', key, 'n', string.format('%.0f', mark)) end
redis.call('PEXPIREAT', key, math.min(now + idle, ends))
redis.call('ZADD', KEYS[1], now, sid)
-- Longer than any session, so that who asks after one that died of age can be told so.
keep(KEYS[1], ends + 86400000)
return answer('open', view(sid, epoch(ends)), evicted, expired)
