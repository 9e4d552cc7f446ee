-- Ends one session; with a salt, only the session that has it. Tells whose it was.
local sid, salt, attempt = ARGV[1], ARGV[2], ARGV[3]
local field = redis.call('HMGET', base .. 's:' .. sid, 'd', 'u')
if not field[2] then
  local whose = remembered(attempt)
  if whose then return answer('ended', whose) end
  return answer('none')
end
if salt ~= '' and field[1] ~= salt then return answer('none') end
if not drop(sid) then return answer('none') end
tell('s', sid)
remember(attempt, field[2])
return answer('ended', field[2])
