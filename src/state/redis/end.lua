-- Ends one session; with a salt, only the session that has it. Tells whose it was.
local sid, salt = ARGV[1], ARGV[2]
local field = redis.call('HMGET', base .. 's:' .. sid, 'd', 'u')
if salt ~= '' and field[1] ~= salt then return answer('none') end
if not drop(sid) then return answer('none') end
tell('s', sid)
return answer('ended', field[2])
