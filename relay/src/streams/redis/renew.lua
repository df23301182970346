-- ARGV: the age of messages, the grace, sessions. KEYS: what is kept of each.
local stream = load(nil)
if not stream then return {} end
local all, missing = living(), false
for at = 3, #ARGV do
    local reader = all[ARGV[at]]
    if reader then
        reader.till = text(now + ARGV[2])
        enter(ARGV[at], reader)
    else
        missing = true
    end
    redis.call('PEXPIRE', KEYS[at + 1], ARGV[2])
end
keep(ARGV[1])
if missing then return {} end
return { marks(stream) }
