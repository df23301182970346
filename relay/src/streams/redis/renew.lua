-- ARGV: an epoch, the age of messages, the grace, sessions. KEYS: what is kept of each.
local stream = find(ARGV[1])
if not stream then return {} end
local all, missing = living(), false
for at = 4, #ARGV do
    local reader = all[ARGV[at]]
    if reader then
        reader.till = text(now + ARGV[3])
        enter(ARGV[at], reader)
    else
        missing = true
    end
    redis.call('PEXPIRE', KEYS[at], ARGV[3])
end
keep(ARGV[2])
if missing then return {} end
return { marks(stream) }
