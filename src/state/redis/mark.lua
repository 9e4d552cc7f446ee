-- Ends everyone's sessions: raises the not-before mark. What was opened under a lower one is over, and no step, question or
-- list takes it for alive; it is not searched for. KEYS[1] is the mark too: what is kept here lies beside the log.
-- `least` writes a mark again that the store has lost: it rises no further than to that.
local least, attempt = tonumber(ARGV[1]), ARGV[2]
if late() then return answer('late') end
local told = remembered(attempt)
if told then return answer('marked', tonumber(told)) end
local raised = least > 0 and math.max(mark, least) or math.max(mark + 1, now)
local text = string.format('%.0f', raised)
redis.call('SET', KEYS[1], text)
tell('m', text)
remember(attempt, text)
return answer('marked', raised)
