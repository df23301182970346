-- ARGV: the age of messages, the grace, sessions. KEYS: what is kept of each.
local stream = load(nil)
if not stream then return {} end
local all = living()
for at = 3, #ARGV do
    local reader = all[ARGV[at]]
    if reader then
        reader.till = text(now + ARGV[2])
        enter(ARGV[at], reader)
    end
    redis.call('PEXPIRE', KEYS[at + 1], ARGV[2])
end
keep(ARGV[1])
return { marks(stream) }
