-- Denies one token until it has expired.
local digest, untl, tag = ARGV[1], tonumber(ARGV[2]), ARGV[3]
redis.call('SET', base .. 'j:' .. digest, '1', 'PX', math.max(untl - now, 1000))
tell('u', tag)
return answer('denied')
